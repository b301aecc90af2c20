// Loading SQLite's driver. It asks node for a whole diagnostic report, only to learn which C library this process runs
// on; making that takes longer than all the rest of opening a database, so that it is given just that much of one.
import { readFileSync } from "node:fs";
import type Libsql from "libsql";

export async function loadDriver(): Promise<typeof Libsql> {
  const { report } = process;
  const { getReport } = report;
  if (process.platform === "linux") report.getReport = () => ({ header: isMusl() ? {} : { glibcVersionRuntime: "present" } });
  try {
    return (await import("libsql")).default;
  } finally {
    report.getReport = getReport;
  }
}

/** Is musl's loader, which is its C library as well, in this process? */
function isMusl(): boolean {
  return readFileSync("/proc/self/maps", "utf8").includes("/ld-musl-");
}
