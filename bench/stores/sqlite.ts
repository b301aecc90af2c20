// SQLite, whose floor is two transactions.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bareSqlite } from "../bare-sqlite.js";
import type { BenchStore } from "./store.js";

export const store: BenchStore = {
  title: "SQLite",
  aims: { alone: 1.3, handOffMs: 2 },
  async start() {
    const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
    const at = join(folder, "bare.db");
    const close = async () => rmSync(folder, { recursive: true });
    return { url: `sqlite://${join(folder, "bench.db")}`, at, openRoad: null, close };
  },
  floor: bareSqlite.open,
  rivals: {},
};
