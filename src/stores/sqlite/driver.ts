// Loading SQLite's driver. It asks node for a whole diagnostic report, only to learn which C library this process runs
// on; making that takes longer than all the rest of opening a database, so that it is given just that much of one.
import { readFileSync } from "node:fs";
import type Libsql from "libsql";

export async function loadDriver(): Promise<typeof Libsql> {
  const { report } = process;
  const whole = Object.getOwnPropertyDescriptor(report, "getReport");
  if (process.platform === "linux" && whole?.configurable === true) {
    const header = isMusl() ? {} : { glibcVersionRuntime: "present" };
    Object.defineProperty(report, "getReport", { ...whole, value: () => ({ header }) });
  }
  try {
    return (await import("libsql")).default;
  } finally {
    if (whole !== undefined) Object.defineProperty(report, "getReport", whole);
  }
}

/** Is musl's loader, which is its C library as well, in this process? */
function isMusl(): boolean {
  return readFileSync("/proc/self/maps", "utf8").includes("/ld-musl-");
}

// Primary result codes, https://www.sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const PROTOCOL = 15;

/** SQLite's primary result code, which is the lowest byte of what it gives; `null` for other errors. */
export function resultCode(error: unknown): number | null {
  const raw = (error as { readonly rawCode?: unknown } | null)?.rawCode;
  return typeof raw === "number" ? raw & 0xff : null;
}

/** Is it only that somebody else has locked the database? */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === BUSY || code === LOCKED || code === PROTOCOL;
}
