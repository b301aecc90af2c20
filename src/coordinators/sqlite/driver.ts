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
