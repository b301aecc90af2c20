import { randomBytes, randomUUID } from "node:crypto";
import { EventEmitter, getEventListeners } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { constants } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable, Writable } from "node:stream";
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { createCommands } from "../../../src/actions/commands/command.js";
import { type CommandEnd, type Commands, type CommandSpec } from "../../../src/actions/machine.js";
import { createTail, readOutput, TAIL_BYTES } from "../../../src/actions/commands/output.js";
import { listPids, ownIdentity, readArguments, readStat } from "../../../src/proc.js";
import { createProcesses } from "../../../src/actions/processes.js";
import { findProgram } from "../../../src/actions/commands/program.js";
import { type ProcessIdentity } from "../../../src/locks/claim.js";
import { uptimeMs } from "../../../src/uptime.js";
import { failOnLeaks } from "../../support/leaks.js";
import {
  bundle,
  cleanUpAfterEach,
  createTestLog,
  fixture,
  killGroup,
  membersOf,
  start,
  temporaryDirectory,
} from "../../support/proc-programs.js";
import { isPending, until, within } from "../../support/wait.js";

failOnLeaks();
cleanUpAfterEach();

const processes = createProcesses();
const onLinux = test.skipIf(process.platform !== "linux");
// Longer than any test: SIGTERM alone must end these commands.
const NEVER_MS = 3_600_000;

type Control = Parameters<Commands["run"]>[1];

interface Ran {
  readonly end: CommandEnd;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** The leader that `onGroup` got. */
  readonly leader: ProcessIdentity | null;
}

function specOf(argv: readonly string[], given: Partial<CommandSpec> = {}): CommandSpec {
  return { argv, cwd: null, env: {}, timeoutMs: null, killAfterMs: NEVER_MS, output: "relay", ...given };
}

function sh(script: string, ...args: string[]): string[] {
  return ["/bin/sh", "-c", script, "sh", ...args];
}

async function run(argv: readonly string[], given: Partial<CommandSpec> = {}, control: Partial<Control> = {}): Promise<Ran> {
  const sinks = { stdout: new PassThrough(), stderr: new PassThrough() };
  // As without a terminal, also where somebody runs the tests on one.
  const commands = createCommands({ ...sinks, log: createTestLog(), onTerminal: false });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  sinks.stdout.on("data", (chunk: Buffer) => chunks.stdout.push(chunk));
  sinks.stderr.on("data", (chunk: Buffer) => chunks.stderr.push(chunk));
  let leader: ProcessIdentity | null = null;
  const end = await commands.run(specOf(argv, given), {
    ...control,
    onGroup: async (group) => {
      leader = group;
      await control.onGroup?.(group);
    },
  });
  return { end, stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr), leader };
}

/** Holds up this whole process. */
function hold(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A named pipe: opening it to read waits for a writer. */
function makePipe(path: string): void {
  expect(spawnSync("mkfifo", [path]).status).toBe(0);
}

describe("how a command ends", () => {
  test("by itself, with its exit code", async () => {
    expect((await run(["true"])).end).toMatchObject({ exitCode: 0, signal: null, timedOut: false, startProblem: null, tail: "" });
    expect((await run(sh("exit 3"))).end).toMatchObject({ exitCode: 3, signal: null, timedOut: false, startProblem: null });
  });

  test("by a signal", async () => {
    expect((await run(sh("kill -KILL $$"))).end).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: false });
  });

  test("an exit code that the latch uses itself passes on like any other", async () => {
    for (const exitCode of [125, 126, 127])
      expect((await run(sh(`exit ${exitCode}`))).end).toMatchObject({ exitCode, startProblem: null });
  });
});

describe("what a command finds", () => {
  test("its arguments as they are, without interpretation", async () => {
    const args = ["$HOME", "a b", "", "*", "'", '"', "\\", "-n", "--", "`id`", "$(id)", "é\n"];
    const { stdout } = await run(["printf", "[%s]", ...args]);
    expect(stdout.toString()).toBe(args.map((arg) => `[${arg}]`).join(""));
  });

  test("this process's environment and its own additions", async () => {
    const { stdout } = await run(sh('echo "$ADDED $PATH"'), { env: { ADDED: "a=b c" } });
    expect(stdout.toString()).toBe(`a=b c ${process.env["PATH"]}\n`);
  });

  test("variables whose names no shell takes", async () => {
    const { stdout } = await run(["printenv", "a.b"], { env: { "a.b": "c" } });
    expect(stdout.toString()).toBe("c\n");
  });

  test("its working directory", async () => {
    const directory = temporaryDirectory();
    expect((await run(["pwd", "-P"], { cwd: directory })).stdout.toString()).toBe(`${directory}\n`);
  });

  onLinux("nothing of the latch, and as a check no standard input", async () => {
    const { end } = await run(sh("cat; readlink /proc/$$/fd/0"), { output: "keep" });
    expect(end).toMatchObject({ exitCode: 0, tail: "/dev/null\n" });
    const { stdout } = await run(sh('for fd in /proc/$$/fd/*; do test -e "$fd" && echo "${fd##*/}"; done; env | grep -ci latch'));
    const descriptors = stdout.toString().trim().split("\n");
    // The shell's own descriptors, for its script or its pipe, come after these.
    expect(descriptors).not.toContain("3");
    expect(descriptors.at(-1)).toBe("0");
  });

  onLinux("a process group of its own, whose leader it is, as was told before it began", async () => {
    const { stdout, leader } = await run(sh("echo $$; read -r line </proc/$$/stat; echo $line"));
    const [pid, stat] = stdout.toString().split("\n") as [string, string];
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    expect(leader).toEqual({ ...ownIdentity(), pid: Number(pid), startTicks: Number(fields[19]) });
    expect(Number(fields[2])).toBe(Number(pid));
  });
});

describe("the latch", () => {
  test("nothing runs before `onGroup` has returned", async () => {
    const marker = join(temporaryDirectory(), "ran");
    let open = () => {};
    const told = new Promise<void>((resolve) => (open = resolve));
    let asked = false;
    const ran = run(["touch", marker], {}, { onGroup: () => ((asked = true), told) });
    await until(() => asked, "the question");
    expect(await isPending(ran)).toBe(true);
    expect(existsSync(marker)).toBe(false);
    open();
    expect((await ran).end.exitCode).toBe(0);
    expect(existsSync(marker)).toBe(true);
  });

  onLinux("a command whose agent is killed before it was told never runs", async () => {
    const directory = temporaryDirectory();
    const [marker, groupFile, endFile] = ["ran", "group", "end"].map((name) => join(directory, name)) as [string, string, string];
    const program = await bundle("proc-agent", directory);
    const given = (hang: boolean) => JSON.stringify({ spec: specOf(["touch", marker]), groupFile, endFile, hang });
    const agent = start(process.execPath, [program, given(true)]);
    const leader = await until(() => JSON.parse(readFileSync(groupFile, "utf8")) as ProcessIdentity, "the command's group");
    expect(processes.isAlive(leader)).toBe(true);
    agent.kill("SIGKILL");
    await until(() => processes.isAlive(leader) === false, "the end of the latch");
    expect(existsSync(marker)).toBe(false);

    // Left alone, the same agent runs it.
    start(process.execPath, [program, given(false)]);
    await until(() => existsSync(endFile), "the command's end");
    expect(existsSync(marker)).toBe(true);
  });

  onLinux("when telling fails nothing runs, and that failure comes out", async () => {
    const marker = join(temporaryDirectory(), "ran");
    const failure = new Error("the journal is full");
    const leaders: ProcessIdentity[] = [];
    for (const onGroup of [
      (group: ProcessIdentity) => (leaders.push(group), Promise.reject(failure)),
      (group: ProcessIdentity) => {
        leaders.push(group);
        throw failure;
      },
    ]) {
      await expect(run(["touch", marker], {}, { onGroup })).rejects.toBe(failure);
    }
    expect(leaders.map((leader) => processes.isAlive(leader))).toEqual([false, false]);
    expect(existsSync(marker)).toBe(false);
  });

  test("a latch that somebody kills is a command that was killed", async () => {
    const { end } = await run(["true"], {}, { onGroup: ({ pid }) => void process.kill(pid, "SIGKILL") });
    expect(end).toMatchObject({ exitCode: null, signal: "SIGKILL", startProblem: null });
  });
});

describe("what cannot start", () => {
  test.each([
    ["a program that is not there", ["nginxx"], {}, '"nginxx" was not found in PATH'],
    ["a path that is not there", ["./nginxx"], {}, '"./nginxx" does not exist'],
    ["a directory", ["/etc"], {}, '"/etc" is a directory'],
    ["a file that is no program", ["/etc/passwd"], {}, '"/etc/passwd" is not executable'],
    ["a working directory that is not there", ["true"], { cwd: "/no/such" }, 'the working directory "/no/such" does not exist'],
    ["a working directory that is none", ["true"], { cwd: "/etc/passwd" }, 'the working directory "/etc/passwd" is no directory'],
    ["nothing", [], {}, "the command is empty"],
    ["an empty name", [""], {}, "the command is empty"],
    ["a zero byte", ["echo", "a\0b"], {}, "it could not be started: "],
    ["an argument too long for the system", ["echo", "x".repeat(1_000_000)], {}, "it could not be started: "],
  ] as const)("%s", async (_, argv, given, problem) => {
    const { end, leader } = await run(argv, given);
    expect(end.startProblem?.slice(0, problem.length)).toBe(problem);
    expect(end).toMatchObject({ exitCode: null, signal: null, timedOut: false, tail: "" });
    expect(leader).toBeNull();
  });

  test("the command's own PATH finds its program", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "hl-program"), "#!/bin/sh\necho found\n", { mode: 0o755 });
    writeFileSync(join(directory, "hl-text"), "");
    const env = { PATH: `/no/such:${directory}` };
    expect((await run(["hl-program"], { env })).stdout.toString()).toBe("found\n");
    expect((await run(["hl-text"], { env })).end.startProblem).toBe(
      `"hl-text" was found in PATH, but "${directory}/hl-text" is not executable`,
    );
    expect(findProgram("hl-program", directory, ":")).toEqual({ path: join(directory, "hl-program") });
    expect(findProgram("sh", "/", undefined)).toEqual({ path: "/bin/sh" });
  });

  test("a program relative to the working directory is found there", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "-program"), "#!/bin/sh\necho found\n", { mode: 0o755 });
    expect((await run(["./-program"], { cwd: directory })).stdout.toString()).toBe("found\n");
  });

  test.each(["#!/bin/sh\r\necho ran\r\n", "#! /usr/bin/env sh\r\necho ran\r\n"])(
    "a script that was saved on Windows: %j",
    async (text) => {
      const script = join(temporaryDirectory(), "script");
      writeFileSync(script, text, { mode: 0o755 });
      const { end } = await run([script]);
      expect(end.startProblem).toContain(`"${script}" is a script with the line ends of Windows (CRLF)`);
    },
  );

  test("carriage returns after the first line, or in no script, stop nothing", async () => {
    const script = join(temporaryDirectory(), "script");
    writeFileSync(script, "#!/bin/sh\necho ran #\r\n", { mode: 0o755 });
    expect((await run([script])).end).toMatchObject({ exitCode: 0, tail: "ran\n" });
  });

  test("a script without its interpreter fails with the shell's own words", async () => {
    const script = join(temporaryDirectory(), "script");
    writeFileSync(script, "#!/no/such/interpreter\n", { mode: 0o755 });
    const { end } = await run([script]);
    expect(end.exitCode === 126 || end.exitCode === 127).toBe(true);
    expect(end.tail).toContain(script);
  });
});

describe("its output", () => {
  test("passes untouched, each stream to its own place", async () => {
    const { stdout, stderr, end } = await run(sh("printf 'o\\000\\377'; printf e >&2"));
    expect(stdout).toEqual(Buffer.from([0x6f, 0, 0xff]));
    expect(stderr.toString()).toBe("e");
    expect(end.tail).toHaveLength(4);
  });

  test("ten megabytes arrive to the last byte", async () => {
    const file = join(temporaryDirectory(), "big");
    const bytes = randomBytes(10_485_760);
    writeFileSync(file, bytes);
    const { stdout, stderr } = await run(sh('cat "$1"; cat "$1" >&2', file));
    expect(stdout.equals(bytes)).toBe(true);
    expect(stderr.equals(bytes)).toBe(true);
  });

  onLinux("a slow reader slows the command down, and gets everything", async () => {
    const file = join(temporaryDirectory(), "big");
    const bytes = randomBytes(10_485_760);
    writeFileSync(file, bytes);
    const received: Buffer[] = [];
    let goOn: (() => void) | null = null;
    let isHeldUp = true;
    const stdout = new Writable({
      write(chunk: Buffer, _, done) {
        received.push(chunk);
        if (isHeldUp) goOn = done;
        else done();
      },
    });
    const group: ProcessIdentity[] = [];
    const commands = createCommands({ stdout, log: createTestLog() });
    const end = commands.run(specOf(["cat", file]), { onGroup: (leader) => void group.push(leader) });
    const written = () => /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${group[0]?.pid}/io`, "utf8"))?.[1];
    let before: string | undefined;
    // It prints nothing more, and has not ended.
    await until(() => {
      const now = written();
      const isStuck = now !== "0" && now === before && goOn !== null;
      before = now;
      return isStuck;
    }, "the command to be held up");
    expect(Number(before)).toBeLessThan(bytes.length);
    expect(stdout.writableLength).toBeLessThan(1_048_576);
    isHeldUp = false;
    (goOn as (() => void) | null)?.();
    expect((await end).exitCode).toBe(0);
    await until(() => stdout.writableLength === 0, "the rest to be written");
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
  });

  test("a reader that has gone does not stop the command", async () => {
    const marker = join(temporaryDirectory(), "done");
    const stdout = new Writable({ write: (_, __, done) => done(new Error("EPIPE")) });
    const commands = createCommands({ stdout, log: createTestLog() });
    const end = await commands.run(specOf(sh('head -c 5000000 /dev/zero && touch "$1"', marker)), { onGroup: () => undefined });
    expect(end.exitCode).toBe(0);
    expect(existsSync(marker)).toBe(true);
    const after = await commands.run(specOf(["echo", "x"]), { onGroup: () => undefined });
    expect(after).toMatchObject({ exitCode: 0, tail: "x\n" });
  });

  test("listens to its readers no longer than it runs", async () => {
    const stdout = new PassThrough();
    const commands = createCommands({ stdout, stderr: stdout, log: createTestLog() });
    const listeners = () => stdout.eventNames().map((name) => [name, stdout.listenerCount(name)]);
    const before = listeners();
    await commands.run(specOf(["echo", "x"]), { onGroup: () => undefined });
    expect(listeners()).toEqual(before);
  });

  test("is read to its end by an agent that was held up itself", async () => {
    const ready = join(temporaryDirectory(), "ready");
    const child = start("/bin/sh", ["-c", 'printf all; touch "$1"; exec sleep 1000', "sh", ready], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const output = readOutput([{ source: child.stdout as Readable, sink: null }]);
    // Gives the event loop no turn, so that nothing has been read when the reading should end.
    while (!existsSync(ready)) hold(10);
    const finished = output.finish();
    hold(500);
    await finished;
    expect(output.tail()).toBe("all");
  });

  test("is only kept where the caller asks for that", async () => {
    const { stdout, stderr, end } = await run(sh("echo o; echo e >&2"), { output: "keep" });
    expect(Buffer.concat([stdout, stderr])).toHaveLength(0);
    expect(end.tail.split("\n").sort()).toEqual(["", "e", "o"]);
  });

  onLinux("is this process's own when that is asked for, and so is its input", async () => {
    const directory = temporaryDirectory();
    const [groupFile, endFile] = ["group", "end"].map((name) => join(directory, name)) as [string, string];
    const spec = specOf(sh("cat; echo e >&2; exit 5"), { output: "inherit" });
    const given = JSON.stringify({ spec, groupFile, endFile, hang: false });
    const { stdout, stderr } = spawnSync(process.execPath, [await bundle("proc-agent", directory), given], { input: "through" });
    expect([stdout.toString(), stderr.toString()]).toEqual(["through", "e\n"]);
    expect(JSON.parse(readFileSync(endFile, "utf8"))).toMatchObject({ exitCode: 5, tail: "" });
  });

  test("goes to this process's own streams where no others are given", async () => {
    const directory = temporaryDirectory();
    const [groupFile, endFile] = ["group", "end"].map((name) => join(directory, name)) as [string, string];
    const given = JSON.stringify({ spec: specOf(sh("echo o; echo e >&2")), groupFile, endFile, hang: false });
    const { stdout, stderr } = spawnSync(process.execPath, [await bundle("proc-agent", directory), given]);
    expect([stdout.toString(), stderr.toString()]).toEqual(["o\n", "e\n"]);
  });

  test("its last 4 KiB are kept of both streams together", async () => {
    const { end } = await run(sh("head -c 100000 /dev/zero | tr '\\0' a; echo; sleep 0; echo last >&2"));
    expect(Buffer.byteLength(end.tail)).toBe(TAIL_BYTES);
    expect(end.tail).toContain("aaa");
    expect(end.tail).toContain("last\n");
  });
});

describe("the end of an output", () => {
  const tailOf = (...chunks: Buffer[]) => {
    const tail = createTail();
    for (const chunk of chunks) tail.add(chunk);
    return tail.text();
  };

  test("a short one is kept whole", () => {
    expect(tailOf()).toBe("");
    expect(tailOf(Buffer.from("é"), Buffer.from("a".repeat(TAIL_BYTES - 2)))).toBe(`é${"a".repeat(TAIL_BYTES - 2)}`);
  });

  test.each(["é", "€", "😀"])("it begins with a whole character, however %s is cut", (character) => {
    const text = character.repeat(100_000);
    for (let shift = 0; shift < 4; shift += 1) {
      const bytes = Buffer.from(text + "x".repeat(shift));
      // In one piece, and in pieces that cut characters too.
      const pieces = Array.from({ length: Math.ceil(bytes.length / 1_001) }, (_, index) =>
        bytes.subarray(index * 1_001, (index + 1) * 1_001),
      );
      for (const tail of [tailOf(bytes), tailOf(...pieces)]) {
        expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(TAIL_BYTES);
        expect(Buffer.byteLength(tail)).toBeGreaterThan(TAIL_BYTES - 4);
        expect(text + "x".repeat(shift)).toMatch(new RegExp(`${tail.slice(0, 8)}`, "u"));
        expect(tail).not.toContain("\uFFFD");
        expect(tail.endsWith(character + "x".repeat(shift))).toBe(true);
      }
    }
  });

  test("bytes that are no text do not become longer than 4 KiB", () => {
    expect(Buffer.byteLength(tailOf(Buffer.alloc(10_000, 0xff)))).toBeLessThanOrEqual(TAIL_BYTES);
    expect(Buffer.byteLength(tailOf(Buffer.alloc(10_000, 0x80)))).toBeLessThanOrEqual(TAIL_BYTES);
  });
});

describe("a command that takes too long", () => {
  test("is ended with SIGTERM", async () => {
    const { end } = await run(["sleep", "1000"], { timeoutMs: 50 });
    expect(end).toMatchObject({ timedOut: true, exitCode: null, signal: "SIGTERM", startProblem: null });
  });

  onLinux("is ended with its whole group, however stubborn that is", async () => {
    const script = 'trap "" TERM; sleep 1000 & sleep 1000';
    const { end, leader } = await run(sh(script), { timeoutMs: 300, killAfterMs: 300 });
    expect(end).toMatchObject({ timedOut: true, exitCode: null });
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });

  test("one that is done in time has not timed out", async () => {
    expect((await run(["true"], { timeoutMs: NEVER_MS })).end).toMatchObject({ timedOut: false, exitCode: 0 });
  });
});

describe("a command that is called off", () => {
  test("before it has started, it never does", async () => {
    const marker = join(temporaryDirectory(), "ran");
    const { end, leader } = await run(["touch", marker], {}, { signal: AbortSignal.abort() });
    expect(end.startProblem).toBe("it was called off before it started");
    expect(leader).toBeNull();

    const stop = new AbortController();
    const second = await run(["touch", marker], {}, { signal: stop.signal, onGroup: () => stop.abort() });
    expect(second.end.startProblem).toBe("it was called off before it started");
    expect(second.leader && processes.isAlive(second.leader)).toBe(false);
    expect(existsSync(marker)).toBe(false);
  });

  /** Calls a command off once it has made the file that its last argument names. */
  async function callOff(argv: (ready: string) => readonly string[], killAfterMs: number): Promise<Ran> {
    const ready = join(temporaryDirectory(), "ready");
    const stop = new AbortController();
    const running = run(argv(ready), { killAfterMs }, { signal: stop.signal });
    await until(() => existsSync(ready), "the command to run");
    stop.abort();
    return running;
  }

  onLinux("while it runs, its group is ended", async () => {
    const { end, leader } = await callOff((ready) => sh('sleep 1000 & touch "$1"; wait', ready), NEVER_MS);
    expect(end).toMatchObject({ timedOut: false, exitCode: null, signal: "SIGTERM", startProblem: null });
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });

  test("it can say its last words", async () => {
    const script = 'trap "echo bye; exit 7" TERM; touch "$1"; while :; do sleep 0.01; done';
    const { end } = await callOff((ready) => sh(script, ready), NEVER_MS);
    expect(end).toMatchObject({ timedOut: false, exitCode: 7, signal: null });
    expect(end.tail).toContain("bye\n");
  });

  onLinux("it is killed with its whole group when it ignores SIGTERM", async () => {
    const { end, leader } = await callOff((ready) => [fixture("proc-stubborn.sh"), ready], 50);
    expect(end).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });

  onLinux("it is not over before the members are that outlive their leader", async () => {
    // Long enough to notice, well before this, that the leader has ended and its pipes are silent.
    const { end, leader } = await callOff((ready) => sh('"$1" "$2" & exec sleep 1000', fixture("proc-stubborn.sh"), ready), 1_000);
    expect(end).toMatchObject({ exitCode: null, signal: "SIGTERM" });
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });

  test("no listener stays on the signal", async () => {
    const { signal } = new AbortController();
    await run(["true"], { timeoutMs: NEVER_MS }, { signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});

describe("signals that are passed on", () => {
  const relayOf = (emitter: EventEmitter): NonNullable<Control["relayed"]> => ({
    subscribe(listener) {
      emitter.on("signal", listener);
      return () => void emitter.off("signal", listener);
    },
  });

  test("reach the command, and nobody listens afterwards", async () => {
    const ready = join(temporaryDirectory(), "ready");
    const emitter = new EventEmitter();
    const running = run(
      sh('trap "exit 9" INT; touch "$1"; while :; do sleep 0.01; done', ready),
      {},
      { relayed: relayOf(emitter) },
    );
    await until(() => existsSync(ready), "the command to run");
    emitter.emit("signal", "SIGINT" satisfies keyof typeof constants.signals);
    expect((await running).end).toMatchObject({ exitCode: 9, signal: null, timedOut: false });
    expect(emitter.listenerCount("signal")).toBe(0);
  });

  test("end a command that has not begun yet", async () => {
    const marker = join(temporaryDirectory(), "ran");
    const emitter = new EventEmitter();
    const onGroup = () => void emitter.emit("signal", "SIGTERM");
    const { end } = await run(["touch", marker], {}, { relayed: relayOf(emitter), onGroup });
    expect(end).toMatchObject({ exitCode: null, signal: "SIGTERM" });
    expect(existsSync(marker)).toBe(false);
  });
});

describe("a daemon that a command leaves behind", () => {
  onLinux("neither keeps the command from ending, nor loses its output's other end", async () => {
    const directory = temporaryDirectory();
    makePipe(join(directory, "go"));
    const open = () => readdirSync("/proc/self/fd").length;
    await run(["true"]);
    const before = open();
    const { end, stdout, leader } = await within(run([fixture("proc-daemon.sh"), directory]), "the command's end");
    const daemon = Number(/^daemon (\d+)\n$/.exec(stdout.toString())?.[1]);
    try {
      expect(end).toMatchObject({ exitCode: 0, timedOut: false });
      expect(readStat(leader?.pid as number)).toBeNull();
      expect(membersOf(daemon)).toHaveLength(1);
      // We read nothing of what it prints now. A closed pipe would end it by SIGPIPE, and a full one would hang it.
      writeFileSync(join(directory, "go"), "go\n");
      await until(() => existsSync(join(directory, "survived")), "the daemon to survive its own words");
      await until(() => open() <= before, "nothing of it to stay open here");
    } finally {
      killGroup(daemon);
    }
  });

  onLinux("does not keep the command from ending by printing without end", async () => {
    const file = join(temporaryDirectory(), "pid");
    const argv = sh('setsid sh -c \'echo $$ > "$1"; exec yes\' sh "$1" & until test -s "$1"; do sleep 0.01; done', file);
    const { end } = await within(run(argv), "the command's end");
    const daemon = Number(readFileSync(file, "utf8"));
    try {
      expect(end.exitCode).toBe(0);
      expect(membersOf(daemon)).toHaveLength(1);
    } finally {
      killGroup(daemon);
    }
  });

  onLinux("is named in the log, by the claim in its environment", async () => {
    const file = join(temporaryDirectory(), "pid");
    const log = createTestLog();
    const env = { HOLDLINE_CLAIM: randomUUID() };
    const argv = sh('setsid sh -c \'echo $$ > "$1"; exec sleep 1000\' sh "$1" & until test -s "$1"; do sleep 0.01; done', file);
    await createCommands({ log }).run(specOf(argv, { env }), { onGroup: () => undefined });
    const daemon = Number(readFileSync(file, "utf8"));
    try {
      const named = { level: "debug", details: { pids: [daemon], claim: env.HOLDLINE_CLAIM } };
      expect(log.lines).toMatchObject([named]);
      // A check finds the same daemon, and has nothing to add.
      await createCommands({ log }).run(specOf(["true"], { env, output: "keep" }), { onGroup: () => undefined });
      expect(log.lines).toMatchObject([named]);
    } finally {
      killGroup(daemon);
    }
  });
});

describe("what is left of the group when the leader has ended", () => {
  onLinux.each(["exit 0", "exit 3"])("is ended before the command counts as ended: %s", async (ending) => {
    const { end, leader } = await run(sh(`sleep 1000 & sleep 1000 & ${ending}`));
    expect(end.exitCode).toBe(Number(ending.slice(5)));
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });

  onLinux("ends by itself where it is about to: what is on its way through a pipe arrives", async () => {
    const { stdout } = await run(sh("(trap 'exit 1' TERM; sleep 0.02; echo last words) & exit 0"));
    expect(stdout.toString()).toBe("last words\n");
  });

  onLinux("is waited for, in words; a further signal kills it at once", async () => {
    const ready = join(temporaryDirectory(), "ready");
    const emitter = new EventEmitter();
    const relayed: NonNullable<Control["relayed"]> = {
      subscribe: (listener) => (emitter.on("signal", listener), () => void emitter.off("signal", listener)),
    };
    const told: string[] = [];
    const tell = (message: string): void => void told.push(message);
    const argv = sh('"$1" "$2" & until test -e "$2"; do sleep 0.01; done', fixture("proc-stubborn.sh"), ready);
    const running = run(argv, {}, { relayed, tell });
    await until(() => told.length > 0, "the wait to be told");
    expect(told[0]).toMatch(/^waiting for \d+ process(es)? of the command to end \(pid \d+.*\); .*|.*Ctrl-C again/);
    emitter.emit("signal", "SIGINT");
    const { end, leader } = await within(running, "the command's end");
    expect(end.exitCode).toBe(0);
    expect(membersOf(leader?.pid as number)).toEqual([]);
  });
});

describe("a command that must not outlive its claim", () => {
  onLinux("is killed, and what has left its group as well, when the deadline is not moved in time", async () => {
    const file = join(temporaryDirectory(), "pid");
    const argv = sh('setsid sh -c \'echo $$ > "$1"; exec sleep 1000\' sh "$1" & exec sleep 1000', file);
    // Infinity, so that this process's own look never acts, and the watcher alone does.
    const deadline = uptimeMs() + 2_000;
    const heldUntil = (): number => (uptimeMs() < deadline - 1_000 ? deadline : Number.POSITIVE_INFINITY);
    const running = run(argv, { env: { HOLDLINE_CLAIM: randomUUID() }, endsWith: { heldUntil, graceMs: 0 } });
    const daemon = await until(() => existsSync(file) && Number(readFileSync(file, "utf8")), "the daemon's pid");
    const { end } = await within(running, "the command's end");
    expect(end).toMatchObject({ signal: "SIGKILL", outheld: true });
    await until(() => readStat(daemon)?.ended !== false, "the daemon's end");
  });

  onLinux("goes on while its watcher is killed and another takes its place", async () => {
    const go = join(temporaryDirectory(), "go");
    const claim = randomUUID();
    const running = run(sh('until test -e "$1"; do sleep 0.01; done', go), {
      env: { HOLDLINE_CLAIM: claim },
      endsWith: { heldUntil: () => Number.POSITIVE_INFINITY, graceMs: 0 },
    });
    const first = await until(() => watchersOf(claim)[0], "a watcher");
    process.kill(first, "SIGKILL");
    await until(() => watchersOf(claim).some((pid) => pid !== first), "another watcher");
    writeFileSync(go, "");
    expect((await running).end).toMatchObject({ exitCode: 0, signal: null });
    await until(() => watchersOf(claim).length === 0, "no watcher to be left");
  });

  function watchersOf(claim: string): number[] {
    return listPids().filter((pid) => readArguments(pid)?.includes(`HOLDLINE_CLAIM=${claim}`) && readStat(pid)?.ended === false);
  }
});
