// The latch by itself, made of several shells: it lets nothing through before its line, and then the command finds the world
// that its caller meant it to find.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { createLatch, type LatchRequest } from "../../../src/actions/commands/latch.js";
import { findProgram } from "../../../src/actions/commands/program.js";
import { NOTHING_HANDED_DOWN } from "../../../src/handed-down.js";
import { failOnLeaks } from "../../support/leaks.js";
import { cleanUpAfterEach, temporaryDirectory } from "../../support/proc-programs.js";
import { isPending } from "../../support/wait.js";

failOnLeaks();
cleanUpAfterEach();

const SHELLS = ["/bin/sh", "/bin/bash"].filter((path) => existsSync(path));
const onLinux = process.platform === "linux";
const PATH = process.env["PATH"] as string;

interface Gated {
  readonly pid: number;
  open(): void;
  shut(): void;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: Buffer; readonly stderr: string }>;
}

function start(argv: readonly string[], given: Partial<LatchRequest> = {}): Gated {
  const cwd = given.cwd ?? process.cwd();
  const env = given.env ?? { PATH };
  const found = findProgram(argv[0], cwd, env["PATH"]);
  const program = "path" in found ? found.path : "/no/such/program";
  const latch = createLatch({ argv, program, cwd, env, handedDown: NOTHING_HANDED_DOWN, ...given });
  const child: ChildProcess = spawn(latch.file, latch.args, {
    argv0: "sh",
    cwd,
    env: latch.env,
    stdio: ["ignore", "pipe", "pipe", ...latch.descriptors],
  });
  const pipe = child.stdio[latch.waitsOn] as unknown as Writable;
  pipe.on("error", () => undefined);
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for (const stream of ["stdout", "stderr"] as const)
    (child[stream] as Readable).on("data", (chunk: Buffer) => chunks[stream].push(chunk));
  const ended = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(chunks.stdout),
    stderr: Buffer.concat(chunks.stderr).toString(),
  }));
  return { pid: child.pid as number, open: () => void pipe.end("\n"), shut: () => void pipe.destroy(), ended };
}

async function through(argv: readonly string[], given: Partial<LatchRequest> = {}): Promise<string> {
  const latched = start(argv, given);
  latched.open();
  const { code, stdout, stderr } = await latched.ended;
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.toString();
}

describe.each(SHELLS)("made of %s", (shell) => {
  test("nothing runs before the line, and without one nothing ever does", async () => {
    const marker = join(temporaryDirectory(), "ran");
    const shut = start(["touch", marker], { shell });
    expect(await isPending(shut.ended)).toBe(true);
    shut.shut();
    expect((await shut.ended).code).toBe(125);
    expect(existsSync(marker)).toBe(false);
    await through(["touch", marker], { shell });
    expect(existsSync(marker)).toBe(true);
  });

  test("it becomes the command: the same process with the words that it got, its name included", async () => {
    const latched = start(["cat", "/proc/self/cmdline", "/proc/self/stat"], { shell });
    latched.open();
    const { stdout } = await latched.ended;
    expect(stdout.toString().startsWith(`cat\0/proc/self/cmdline\0/proc/self/stat\0${latched.pid} (cat)`)).toBe(true);
    const words = ["$HOME", "a b", "", "*", "'\"\\", "`id`", "-n", "--", "é\n"];
    expect(await through(["printf", "[%s]", ...words], { shell })).toBe(words.map((word) => `[${word}]`).join(""));
  });

  const pwd = process.cwd();
  test.each<readonly [string, Readonly<Record<string, string>>]>([
    ["a usual one", { PATH, PWD: pwd, HOME: "/root", SHLVL: "3", _: "/usr/bin/node", OLDPWD: "/x" }],
    ["nothing that a shell would add", { PATH }],
    ["nothing at all", {}],
    [
      "names that no shell takes",
      { PATH, PWD: pwd, "spring.datasource.url": "jdbc:x", "app-key": "k", "BASH_FUNC_f%%": "() { :; }", "-x": "1" },
    ],
    ["an exported function in the place of what the latch uses", { PATH, PWD: pwd, "BASH_FUNC_read%%": "() { echo mine; }" }],
    [
      "what shells set themselves",
      { PATH, PWD: pwd, IFS: "q", OPTIND: "7", PPID: "5", PS1: "a", PS4: "b", LINENO: "3", RANDOM: "4", UID: "5" },
    ],
    [
      "what shells act upon",
      { PATH, PWD: pwd, SHELLOPTS: "xtrace", ENV: "/no/such", BASH_ENV: "/no/such", CDPATH: "/", LC_ALL: "xx_YY" },
    ],
    ["a PWD that leads elsewhere", { PATH, PWD: "/usr" }],
    ["a PWD that is no path", { PATH, PWD: "nonsense" }],
    ["values with everything in them", { PATH, "a.b": `first\nsecond\n\n$HOME \${HOME} \`id\` "q" 'q' \\n \\ #` }],
  ])("the environment is the one that was given: %s", async (_what, env) => {
    const out = await through(["/bin/cat", "/proc/self/environ"], { shell, env });
    expect(out.split("\0").slice(0, -1).sort()).toEqual(
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .sort(),
    );
  });

  test("a PWD by another name of the same folder stays as it is", async () => {
    const link = join(temporaryDirectory(), "link");
    symlinkSync(pwd, link);
    expect(await through(["/bin/cat", "/proc/self/environ"], { shell, env: { PATH, PWD: link } })).toContain(`PWD=${link}\0`);
  });

  test("the latch's own variables reach nobody, and names that only look like them do", async () => {
    const env = { PATH, HOLDLINE_LATCH: "1", HOLDLINE_LATCH_7: "2", HOLDLINE_LATCHWAY: "3", HOLDLINE_CLAIM: "4" };
    const names = (await through(["/bin/cat", "/proc/self/environ"], { shell, env }))
      .split("\0")
      .map((entry) => entry.split("=")[0]);
    expect(names.sort()).toEqual(["", "HOLDLINE_CLAIM", "HOLDLINE_LATCHWAY", "PATH"]);
  });

  test("no value stands in its arguments, and the claim stands in its environment while it waits", async () => {
    const latched = start(["true"], { shell, env: { PATH, "a.b": "secret-4711", HOLDLINE_CLAIM: "c" } });
    expect(readFileSync(`/proc/${latched.pid}/cmdline`, "utf8")).not.toContain("4711");
    expect(`\0${readFileSync(`/proc/${latched.pid}/environ`, "utf8")}`).toContain("\0HOLDLINE_CLAIM=c\0");
    latched.shut();
    await latched.ended;
  });

  test("a variable that names this process names the command then, and the pid of another stays", async () => {
    const self = String(process.pid);
    for (const more of [{}, { "a.b": "c" }]) {
      const env = { PATH, PWD: pwd, LISTEN_PID: self, WATCHDOG_PID: self, LISTEN_PIDFDID: "5", LISTEN_FDS: "1", ...more };
      const latched = start(["/bin/cat", "/proc/self/environ"], { shell, env });
      latched.open();
      const entries = (await latched.ended).stdout.toString().split("\0");
      expect(entries).toEqual(expect.arrayContaining([`LISTEN_PID=${latched.pid}`, `WATCHDOG_PID=${latched.pid}`, "LISTEN_FDS=1"]));
      expect(entries).not.toContain("LISTEN_PIDFDID=5");
    }
    const env = { PATH, LISTEN_PID: "1", LISTEN_PIDFDID: "5" };
    expect(await through(["/bin/cat", "/proc/self/environ"], { shell, env })).toMatch(
      /^(?=.*LISTEN_PID=1\0)(?=.*LISTEN_PIDFDID=5\0)/,
    );
  });

  test.runIf(onLinux).each([[[3]], [[4, 9]], [[3, 4, 5, 200]], [[3, 4, 5, 6, 7, 8, 9]]])(
    "descriptors that were handed down keep their numbers: %j",
    async (numbers) => {
      const directory = temporaryDirectory();
      const files = numbers.map((number) => {
        const file = join(directory, String(number));
        writeFileSync(file, "");
        return { number, file, opened: openSync(file, "r") };
      });
      onTestFinished(() => files.forEach(({ opened }) => closeSync(opened)));
      const handedDown = { ...NOTHING_HANDED_DOWN, descriptors: numbers };
      const argv = ["ls", "-l", "/proc/self/fd"];
      const latch = createLatch({ argv, program: "/bin/ls", cwd: "/", env: { PATH }, handedDown, shell });
      expect(latch.lostDescriptors).toEqual([]);
      // This process has descriptors of its own at some of these numbers, so files stand in for the caller's.
      const places = latch.descriptors.map((place) =>
        typeof place === "number" ? (files.find(({ number }) => number === place)?.opened as number) : place,
      );
      const child = spawn(latch.file, latch.args, { argv0: "sh", env: latch.env, stdio: ["ignore", "pipe", "inherit", ...places] });
      let out = "";
      (child.stdout as Readable).setEncoding("utf8").on("data", (text: string) => (out += text));
      (child.stdio[latch.waitsOn] as unknown as Writable).end("\n");
      await once(child, "close");
      for (const { number, file } of files) expect(out).toContain(`${number} -> ${file}\n`);
      // Beside these there are the standard streams and the folder that `ls` reads, and nothing of the latch. Node lets high
      // numbers through that this process itself got from its caller.
      const listed = [...out.matchAll(/(\d+) -> (?!\/proc\/)/g)]
        .map(([, number]) => Number(number))
        .sort((one, other) => one - other);
      expect(listed.filter((number) => number < 10 || numbers.includes(number))).toEqual([0, 1, 2, ...numbers]);
    },
  );

  test("it puts back the limit of open files", async () => {
    const given = { shell, handedDown: { ...NOTHING_HANDED_DOWN, openFiles: 77 } };
    expect(await through(["sh", "-c", "ulimit -S -n; ulimit -H -n"], given)).toMatch(/^77\n(?!77\n)/);
  });

  test.runIf(onLinux)("what the caller ignores stays ignored, and nothing else is", async () => {
    const { SIGHUP, SIGUSR2 } = constants.signals;
    const given = { shell, handedDown: { ...NOTHING_HANDED_DOWN, ignored: [SIGHUP, SIGUSR2] } };
    const mask = /^SigIgn:\t(\w+)$/m.exec(await through(["cat", "/proc/self/status"], given))?.[1];
    expect(BigInt(`0x${mask}`)).toBe((1n << BigInt(SIGHUP - 1)) | (1n << BigInt(SIGUSR2 - 1)));
    expect(/^SigIgn:\t(\w+)$/m.exec(await through(["cat", "/proc/self/status"], { shell }))?.[1]).toMatch(/^0+$/);
  });

  test("it finds a program whose name looks like an option or an assignment", async () => {
    const directory = temporaryDirectory();
    for (const name of ["-n", "a=b"]) {
      writeFileSync(join(directory, name), "#!/bin/sh\necho found\n", { mode: 0o755 });
      expect(await through([name], { shell, env: { PATH: `${directory}:${PATH}`, PWD: pwd } })).toBe("found\n");
    }
  });
});
