// Processes that run from files that have been replaced or deleted: real processes, whose program the test replaces.
import { copyFileSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codeMappings, lookForOutdated } from "../../../src/actions/facts/outdated.js";
import { createProcesses } from "../../../src/actions/processes.js";
import { readStat } from "../../../src/proc.js";
import { failOnLeaks } from "../../support/leaks.js";
import { cleanUpAfterEach, start, temporaryDirectory } from "../../support/proc-programs.js";
import { until } from "../../support/wait.js";

failOnLeaks();
cleanUpAfterEach();

const onLinux = test.skipIf(process.platform !== "linux");
const started = createProcesses().moment();

async function service(): Promise<{ readonly program: string; readonly pid: number }> {
  const program = join(temporaryDirectory(), "service");
  copyFileSync("/bin/sleep", program);
  const { pid } = start(program, ["1000"]);
  await until(() => readStat(pid)?.comm === "service", "the service to run");
  // Its libraries are mapped a moment later.
  await until(() => readFileSync(`/proc/${pid}/maps`, "utf8").includes("libc"), "its libraries");
  return { program, pid };
}

const look = (...pids: readonly number[]) => lookForOutdated(pids.map((pid) => ({ pid, started })));

onLinux("a process whose program and libraries are as they were is up to date", async () => {
  expect(await look((await service()).pid)).toEqual({ found: "up-to-date", processes: 1 });
});

onLinux("a program that was replaced, as package managers do it", async () => {
  const { program, pid } = await service();
  copyFileSync("/bin/sleep", `${program}.new`);
  renameSync(`${program}.new`, program);
  expect(await look(pid)).toEqual({ found: "outdated", pid, path: program, became: "replaced" });
});

onLinux("a program that was deleted", async () => {
  const [one, { program, pid }] = [await service(), await service()];
  rmSync(program);
  expect(await look(one.pid, pid)).toEqual({ found: "outdated", pid, path: program, became: "deleted" });
});

onLinux("a process that ends meanwhile is none, and no process at all is said so", async () => {
  const { pid } = await service();
  process.kill(-pid, "SIGKILL");
  await until(() => readStat(pid) === null, "its end");
  expect(await look(pid)).toMatchObject({ found: "up-to-date" });
  expect(await look()).toEqual({ found: "no-process" });
});

test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
  "whoever may not see what a process runs from is told so",
  async () => {
    const { pid } = await service();
    const own = process.geteuid?.() ?? 0;
    process.seteuid?.(65_534);
    try {
      expect(await look(pid)).toMatchObject({
        found: "problem",
        problem: expect.stringContaining(`process ${pid} is another user's`) as string,
      });
    } finally {
      process.seteuid?.(own);
    }
  },
);

describe("the mappings of a process", () => {
  const paths = (...lines: readonly string[]) => codeMappings(lines.join("\n")).map(({ path }) => path);

  test("code counts, each file once, and data does not", () => {
    expect(
      codeMappings(
        [
          "7f00-7f01 r--p 00000000 08:01 1835 /usr/lib/libc.so.6",
          "7f01-7f02 r-xp 00026000 08:01 1835 /usr/lib/libc.so.6",
          "7f02-7f03 r-xp 00126000 08:01 1835 /usr/lib/libc.so.6",
          "7f04-7f05 r-xp 00026000 fe:00 77   /usr/lib/a b.so (deleted)",
          "7f06-7f07 rw-p 00000000 00:00 0 ",
          "7ffe-7fff r-xp 00000000 00:00 0    [vdso]",
        ].join("\n"),
      ),
    ).toEqual([
      { path: "/usr/lib/libc.so.6", device: "08:01", inode: "1835" },
      { path: "/usr/lib/a b.so (deleted)", device: "fe:00", inode: "77" },
    ]);
  });

  test.each([
    "/memfd:jit (deleted)",
    "/dev/zero (deleted)",
    "/dev/shm/x (deleted)",
    "/SYSV00000000 (deleted)",
    "/drm mm object (deleted)",
    "/i915 (deleted)",
    "/[aio] (deleted)",
    "/anon_hugepage (deleted)",
    "/tmp/jit-1 (deleted)",
    "/var/tmp/x",
    "/run/user/0/orcexec.ab12",
    "/home/ann/.orcexec/orcexec.aB12 (deleted)",
    "/opt/x/jffi123.tmp (deleted)",
    "/var/lib/x/#1234 (deleted)",
  ])("%s is no file of a package", (path) => {
    expect(paths(`7f01-7f02 rwxp 00000000 00:05 12 ${path}`)).toEqual([]);
  });
});
