import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createProcesses, hasRestarted } from "../../src/actions/processes.js";
import { type ProcessPattern, type RunningProcess } from "../../src/actions/machine.js";
import { identityOf, ownStat, parseStat, readStat, ticksOfUptime } from "../../src/proc.js";
import { resolveUser, uidOfAnswer, uidOfEntry } from "../../src/actions/users.js";
import { type BootMoment } from "../../src/locks/claim.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { failOnLeaks } from "../support/leaks.js";
import { bundle, cleanUpAfterEach, fixture, leaderOf, membersOf, start, temporaryDirectory } from "../support/proc-programs.js";
import { until } from "../support/wait.js";

failOnLeaks();
cleanUpAfterEach();

const processes = createProcesses();
const onLinux = test.skipIf(process.platform !== "linux");

const byName = (commandString: string): ProcessPattern => ({ commandString, fullCmd: false, user: null });
const byCommandLine = (commandString: string): ProcessPattern => ({ commandString, fullCmd: true, user: null });

async function pidsOf(pattern: ProcessPattern): Promise<number[]> {
  return (await processes.matching(pattern)).map(({ pid }) => pid);
}

/** A running copy of `sleep` under a name of the test's choosing. */
async function startAs(name: string, argv: readonly string[] = ["1000"]): Promise<{ readonly pid: number }> {
  const path = join(temporaryDirectory(), name);
  copyFileSync("/bin/sleep", path);
  const child = start(path, argv);
  await until(() => readStat(child.pid)?.comm === name.slice(0, 15), `${name} to run`);
  return child;
}

/** The pid of a process that has ended and whose parent does not notice. */
async function startZombie(): Promise<number> {
  const file = join(temporaryDirectory(), "pid");
  start("/bin/sh", ["-c", 'sleep 0 & echo $! >"$1"; exec sleep 1000', "sh", file]);
  const pid = await until(() => Number(readFileSync(file, "utf8")), "the zombie's pid");
  await until(() => readStat(pid)?.ended, "a zombie");
  return pid;
}

describe("what /proc says", () => {
  const rest = "S 1 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 173028 0 0";

  test.each(["sleep", "tmux: server", "od) (d", ") S 9 9 9", "", "ünï"])("a process may call itself %j", (comm) => {
    expect(parseStat(`42 (${comm}) ${rest}`)).toMatchObject({
      pid: 42,
      comm,
      ended: false,
      stopped: false,
      parent: 1,
      group: 42,
      startTicks: 173028,
    });
  });

  test("any other text is refused", () => {
    for (const text of ["", "42", "42 (sleep", "42 (sleep) S 1", `x (sleep) ${rest}`]) expect(parseStat(text)).toBeNull();
  });

  test("a process goes on when only its first thread has ended", () => {
    expect(parseStat(`42 (d) Z 1 42 42 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 5 0 0`)?.ended).toBe(true);
    expect(parseStat(`42 (d) Z 1 42 42 0 -1 0 1 0 0 0 0 0 0 0 20 0 7 0 5 0 0`)?.ended).toBe(false);
  });

  test("uptime is read without rounding", () => {
    expect(ticksOfUptime("1273.49 2434.78\n")).toBe(127_349);
    expect(ticksOfUptime("0.07 0.00\n")).toBe(7);
    expect(ticksOfUptime("garbage")).toBeNull();
  });
});

describe("this process", () => {
  onLinux("it is known by boot, namespace, pid and start", () => {
    expect(processes.self).toMatchObject({ pid: process.pid, bootId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown });
    expect(processes.self.pidNamespace).toMatch(/^pid:\[\d+\]$/);
    expect(processes.self.startTicks).toBeGreaterThan(0);
  });

  test("it lives", () => {
    expect(processes.isAlive(processes.self)).toBe(true);
  });
});

describe("moments", () => {
  onLinux("no process that starts after a moment is older than it, to the tick", () => {
    for (let tried = 0; tried < 50; tried += 1) {
      const { ticks } = processes.moment();
      expect(readStat(start("/bin/sleep", ["1000"]).pid)?.startTicks).toBeGreaterThanOrEqual(ticks as number);
    }
  });

  onLinux("no process that runs at a moment is younger than it", () => {
    for (let tried = 0; tried < 50; tried += 1) {
      const { pid } = start("/bin/sleep", ["1000"]);
      expect(readStat(pid)?.startTicks).toBeLessThanOrEqual(processes.moment().ticks as number);
    }
  });

  const canMount = spawnSync("unshare", ["--mount", "true"]).status === 0;
  test.skipIf(!canMount)(
    "a container that shows its own uptime, but start times of the host, does not look restarted",
    async () => {
      const directory = temporaryDirectory();
      const program = await bundle("proc-moment", directory);
      writeFileSync(join(directory, "uptime"), "0.50 0.50\n");
      const script = 'mount --bind "$1" /proc/uptime && exec "$2" "$3"';
      const { stdout, stderr } = spawnSync("unshare", [
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        join(directory, "uptime"),
        process.execPath,
        program,
      ]);
      expect(stderr.toString()).toBe("");
      const { moment, self } = JSON.parse(stdout.toString()) as { moment: BootMoment; self: { startTicks: number } };
      expect(moment.ticks).toBeGreaterThanOrEqual(self.startTicks);
    },
  );
});

describe("a service has restarted", () => {
  const moment = (given: Partial<BootMoment>): BootMoment => ({ bootId: "boot", ticks: 1_000, wallMs: 5_000_500, ...given });
  const running = (...starts: Partial<BootMoment>[]): RunningProcess[] =>
    starts.map((given, index) => ({ pid: index + 10, started: moment(given) }));

  test("never where it does not run", () => {
    expect(hasRestarted(moment({}), [])).toBe(false);
  });

  test("when its eldest process is younger", () => {
    expect(hasRestarted(moment({}), running({ ticks: 1_001 }, { ticks: 2_000 }))).toBe(true);
    expect(hasRestarted(moment({}), running({ ticks: 2_000 }, { ticks: 999 }))).toBe(false);
  });

  test("the same tick is not after it", () => {
    expect(hasRestarted(moment({}), running({ ticks: 1_000 }))).toBe(false);
  });

  test("another boot is a restart, whatever the ticks", () => {
    expect(hasRestarted(moment({}), running({ bootId: "next", ticks: 1 }))).toBe(true);
  });

  test("the wall clock has no say where there are ticks", () => {
    expect(hasRestarted(moment({}), running({ ticks: 999, wallMs: 9_000_000 }))).toBe(false);
    expect(hasRestarted(moment({}), running({ ticks: 1_001, wallMs: 0 }))).toBe(true);
  });

  test("without ticks whole seconds are compared, and the same one is not after it", () => {
    const since = moment({ bootId: null, ticks: null });
    expect(hasRestarted(since, running({ bootId: null, ticks: null, wallMs: 5_000_000 }))).toBe(false);
    expect(hasRestarted(since, running({ bootId: null, ticks: null, wallMs: 5_001_000 }))).toBe(true);
    expect(hasRestarted(moment({}), running({ ticks: null, wallMs: 5_000_999 }))).toBe(false);
  });

  onLinux("a real process is older than a later moment, and younger than an earlier one", async () => {
    const { self } = processes;
    const before: BootMoment = { ...processes.moment(), ticks: (self.startTicks as number) - 1 };
    const { pid } = await startAs("hl-restarted");
    const found = await processes.matching(byName("^hl-restarted$"));
    expect(found.map((process) => process.pid)).toEqual([pid]);
    expect(hasRestarted(before, found)).toBe(true);
    expect(hasRestarted(processes.moment(), found)).toBe(false);
  });
});

describe("whether a process lives", () => {
  onLinux("a pid that belongs to another process by now does not count", () => {
    const leader = leaderOf(start("/bin/sleep", ["1000"]));
    expect(processes.isAlive(leader)).toBe(true);
    expect(processes.isAlive({ ...leader, startTicks: (leader.startTicks as number) - 1 })).toBe(false);
  });

  onLinux("of another boot or pid namespace nothing can be said", () => {
    expect(processes.isAlive({ ...processes.self, bootId: "another" })).toBeNull();
    expect(processes.isAlive({ ...processes.self, bootId: null })).toBeNull();
    expect(processes.isAlive({ ...processes.self, pidNamespace: "pid:[1]" })).toBeNull();
  });

  onLinux("a zombie is gone, and so is one that was killed", async () => {
    expect(processes.isAlive(identityOf(await startZombie()))).toBe(false);
    const child = start("/bin/sleep", ["1000"]);
    const leader = leaderOf(child);
    child.kill("SIGKILL");
    await until(() => processes.isAlive(leader) === false, "its end");
  });

  onLinux("where start ticks are unknown the pid has to do", () => {
    expect(processes.isAlive({ ...processes.self, startTicks: null })).toBe(true);
  });
});

describe("the processes that match", () => {
  onLinux("the pattern is sought in the name that the kernel has", async () => {
    const { pid } = await startAs("hl-x) (y z");
    expect(await pidsOf(byName("^hl-x\\) \\(y z$"))).toEqual([pid]);
    expect(await pidsOf(byName("^x\\)"))).toEqual([]);
  });

  onLinux("a name that the kernel cuts off is known whole", async () => {
    const { pid } = await startAs("hl-name-longer-than-the-kernel-keeps");
    expect(await pidsOf(byName("^hl-name-longer-than-the-kernel-keeps$"))).toEqual([pid]);
    expect(await pidsOf(byName("^hl-name-longer-$"))).toEqual([pid]);
  });

  onLinux("so is that of a script, and that of its interpreter", async () => {
    const directory = temporaryDirectory();
    const script = join(directory, "hl-script-with-a-long-name");
    const shell = join(directory, "hl-shell");
    copyFileSync("/bin/sh", shell);
    writeFileSync(script, `#!${shell}\nread -r _ <&3\n`, { mode: 0o755 });
    const child = start(script, [], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    await until(() => readStat(child.pid)?.comm.startsWith("hl-script"), "the script to run");
    expect(await pidsOf(byName("^hl-script-with-a-long-name$"))).toEqual([child.pid]);
    expect(await pidsOf(byName("^hl-shell$"))).toEqual([child.pid]);
  });

  onLinux("with the full command line, arguments count, whatever their letters", async () => {
    const { pid } = await startAs("hl-arguments", ["1000", "0", "0.0"]);
    expect(await pidsOf(byCommandLine("hl-arguments 1000 0 0\\.0$"))).toEqual([pid]);
    expect(await pidsOf(byName("1000 0"))).toEqual([]);

    const child = start("/bin/sh", ["-c", "read -r _ <&3", "hl-grün"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    expect(await pidsOf(byCommandLine("hl-grün$"))).toEqual([child.pid]);
  });

  onLinux("this process and its ancestors never do", async () => {
    const found = await pidsOf(byCommandLine(""));
    expect(found.length).toBeGreaterThan(0);
    for (let pid = process.pid; pid > 0; pid = readStat(pid)?.parent ?? 0) expect(found).not.toContain(pid);
  });

  onLinux("zombies do not", async () => {
    const pid = await startZombie();
    expect(readStat(pid)?.comm).toBe("sleep");
    expect(await pidsOf(byName("^sleep$"))).not.toContain(pid);
  });

  onLinux("users are known by name and by number", async () => {
    const { pid } = await startAs("hl-user");
    const uid = process.getuid?.() as number;
    expect(await pidsOf({ ...byName("^hl-user$"), user: String(uid) })).toEqual([pid]);
    expect(await pidsOf({ ...byName("^hl-user$"), user: spawnSync("id", ["-un"]).stdout.toString().trim() })).toEqual([pid]);
    expect(await pidsOf({ ...byName("^hl-user$"), user: String(uid + 1) })).toEqual([]);
    expect(await pidsOf({ commandString: null, fullCmd: false, user: String(uid) })).toContain(pid);
  });

  test("a user that does not exist is an error that names it", async () => {
    const sought = processes.matching({ commandString: "x", fullCmd: false, user: "no-such-user" });
    await expect(sought).rejects.toThrow('there is no user "no-such-user" on this node');
    await expect(sought).rejects.toMatchObject({ code: "configuration" });
    await expect(resolveUser("-n")).rejects.toBeInstanceOf(HoldlineError);
  });

  test("half a line of a passwd file names nobody", () => {
    const passwd = "root:x:0:0:root:/root:/bin/sh\nbroken:x\nodd:x:abc:0\nweb:x:33:33::/:/bin/false\n";
    expect(["root", "web", "broken", "odd", "ro", ""].map((user) => uidOfEntry(passwd, user))).toEqual([
      0,
      33,
      null,
      null,
      null,
      null,
    ]);
  });

  test("the one answer of the directory is the answer, however it spells the name", async () => {
    const directory = temporaryDirectory();
    const getent = `#!/bin/sh\nif [ "$*" = 'passwd -- CORP\\Ann' ]; then echo 'ann@corp.example:*:70123:70123::/home/ann:/bin/sh'; else exit 2; fi\n`;
    writeFileSync(join(directory, "getent"), getent, { mode: 0o755 });
    vi.stubEnv("PATH", `${directory}:${process.env["PATH"]}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await resolveUser("CORP\\Ann")).toBe(70123);
    await expect(resolveUser("CORP\\Bob")).rejects.toThrow('there is no user "CORP\\\\Bob" on this node');
    expect(["", "ann:x:1:1\nann:x:2:2\n", "ann:x:one:1", "ann:x:7:7::/:/bin/sh\n"].map(uidOfAnswer)).toEqual([null, null, null, 7]);
  });

  onLinux("a pattern that would make others try for ever is done at once", async () => {
    const { pid } = start("/bin/sh", ["-c", "read -r _ <&3", `hl-${"a".repeat(5_000)}b`], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    expect(await pidsOf(byCommandLine("hl-(a+)+$"))).toEqual([]);
    expect(await pidsOf(byCommandLine("hl-(a+)+b$"))).toEqual([pid]);
  });

  test("a text that is no pattern is an error of the configuration", async () => {
    await expect(processes.matching(byName("("))).rejects.toMatchObject({ code: "configuration" });
    await expect(processes.matching(byName("(?<=a)b"))).rejects.toThrow(/no regular expression/);
  });

  onLinux("without a `ps` the kernel is asked", async () => {
    const { pid } = await startAs("hl-without-ps");
    const path = process.env["PATH"] as string;
    process.env["PATH"] = temporaryDirectory();
    try {
      expect(await pidsOf({ ...byName("^hl-without-ps$"), user: String(process.getuid?.()) })).toEqual([pid]);
    } finally {
      process.env["PATH"] = path;
    }
  });

  onLinux("processes that come and go meanwhile do no harm", async () => {
    start("/bin/sh", ["-c", "while :; do sleep 0; done"]);
    for (let looked = 0; looked < 5; looked += 1) await pidsOf(byName("sleep"));
  });
});

describe("containers", () => {
  const mayUnshare = spawnSync("unshare", ["-pf", "--mount-proc", "true"]).status === 0;

  test.skipIf(!mayUnshare)("neither a process in one nor the program that has started it is the service", async () => {
    const name = `webd-${process.pid}: master`;
    const file = join(temporaryDirectory(), "ready");
    start("unshare", ["-pf", "--mount-proc", "--kill-child", "sh", "-c", `touch '${file}'; exec sh -c 'sleep 1000; :' '${name}'`]);
    await until(() => existsSync(file), "the container to run");
    expect(await pidsOf(byCommandLine(name))).toEqual([]);
    // It starts nothing: a child between its fork and its exec would look like it.
    const own = start("/bin/sh", ["-c", "read -r _ <&3", name], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    expect(await pidsOf(byCommandLine(name))).toEqual([own.pid]);
  });
});

describe("ending a process group", () => {
  onLinux("all of it ends, also what ignores SIGTERM", async () => {
    const file = join(temporaryDirectory(), "ready");
    const child = start(fixture("proc-stubborn.sh"), [file]);
    await until(() => existsSync(file) && membersOf(child.pid).length > 1, "the stubborn process and its child");
    await processes.endGroup(leaderOf(child), 50);
    expect(membersOf(child.pid)).toEqual([]);
  });

  onLinux("members that outlive their leader end as well", async () => {
    const file = join(temporaryDirectory(), "ready");
    const child = start("/bin/sh", ["-c", '"$0" "$1" & read -r _ <&3', fixture("proc-stubborn.sh"), file], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const leader = leaderOf(child);
    await until(() => existsSync(file), "the member");
    child.kill("SIGKILL");
    await until(() => processes.isAlive(leader) === false, "the leader's end");
    expect(membersOf(child.pid)).not.toEqual([]);
    await processes.endGroup(leader, 50);
    expect(membersOf(child.pid)).toEqual([]);
  });

  onLinux("SIGTERM is enough for what heeds it, even while it is stopped", async () => {
    const ready = join(temporaryDirectory(), "ready");
    const child = start("/bin/sh", ["-c", 'trap "exit 9" TERM; touch "$1"; while :; do sleep 0.01; done', "sh", ready]);
    await until(() => existsSync(ready), "the trap");
    child.kill("SIGSTOP");
    await until(() => / T /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")), "it to stop");
    // No SIGKILL within this test's time.
    await processes.endGroup(leaderOf(child), 3_600_000);
    await until(() => child.exitCode !== null, "its end");
    expect(child.exitCode).toBe(9);
  });

  onLinux("another process that has the leader's pid by now is left alone", async () => {
    const child = start("/bin/sleep", ["1000"]);
    const leader = leaderOf(child);
    await processes.endGroup({ ...leader, startTicks: (leader.startTicks as number) - 1 }, 0);
    await processes.endGroup({ ...leader, bootId: "another" }, 0);
    await processes.endGroup({ ...leader, pidNamespace: "pid:[1]" }, 0);
    // Signals of one sender arrive in order: an earlier one would have ended it.
    child.kill("SIGUSR1");
    await until(() => child.signalCode, "its end");
    expect(child.signalCode).toBe("SIGUSR1");
  });

  test("a group that is gone is gone", async () => {
    const child = start("/bin/sleep", ["0"]);
    const leader = leaderOf(child);
    await until(() => child.exitCode !== null, "its end");
    await processes.endGroup(leader, 0);
  });

  onLinux("one's own is not ended", async () => {
    const group = ownStat()?.group as number;
    await expect(processes.endGroup(identityOf(group), 0)).rejects.toMatchObject({ code: "not-allowed" });
  });
});
