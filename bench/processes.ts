// Whole processes: how long a command takes from its start to its end, and how much memory node takes meanwhile.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Command {
  readonly name: string;
  /** Arguments of node. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProcessFigures {
  readonly name: string;
  /** Medians. */
  readonly wallMs: number;
  readonly peakKb: number;
}

/** Runs the commands in turn, so that a machine whose speed drifts treats them alike; the first round does not count. */
export async function timeProcesses(commands: readonly Command[], rounds: number): Promise<ProcessFigures[]> {
  const times = commands.map((): number[] => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, command] of commands.entries()) {
      const started = performance.now();
      await runOnce(command);
      if (round > 0) (times[index] as number[]).push(performance.now() - started);
    }
  }
  const figures: ProcessFigures[] = [];
  for (const [index, command] of commands.entries()) {
    figures.push({ name: command.name, wallMs: median(times[index] as number[]), peakKb: await peakMemory(command) });
  }
  return figures;
}

/** Measured apart from the timing, because the process itself must report it: at its end, through a module that is loaded first. */
async function peakMemory(command: Command): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "holdline-bench-"));
  try {
    const hook = join(folder, "hook.cjs");
    const out = join(folder, "peak");
    writeFileSync(
      hook,
      `process.on("exit", () => require("node:fs").writeFileSync(${JSON.stringify(out)}, String(process.resourceUsage().maxRSS)));`,
    );
    const peaks: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await runOnce({ ...command, argv: ["--require", hook, ...command.argv] });
      peaks.push(Number(readFileSync(out, "utf8")));
    }
    return median(peaks);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The most memory in KiB that a command has taken by `moment`. The command does not end by itself; this ends it. */
export async function peakWhileRunning({ name, argv, env }: Command, moment: () => Promise<void>): Promise<number> {
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words += text;
  });
  const ended = once(child, "close");
  try {
    const early = ended.then(([code]) => {
      throw new Error(`${name} ended early with ${String(code)}: ${words}`);
    });
    await Promise.race([moment(), early]);
    return memoryKb(child.pid, "VmHWM");
  } finally {
    child.kill();
    await ended;
  }
}

/** A process's memory, by the system: how much it takes now (VmRSS), or has taken at most (VmHWM). */
export function memoryKb(pid: number | undefined, field: "VmRSS" | "VmHWM"): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function runOnce({ name, argv, env }: Command): Promise<void> {
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code ?? "a signal"}: ${words}`);
}

/** The middle value; of an even number of values, the upper one. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Starts this program once more, as one of several that measure together. They talk by messages. */
export function startMember(args: readonly string[]): { readonly child: ChildProcess; readonly next: () => Promise<unknown> } {
  const child = fork(process.argv[1] as string, args);
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`one of the processes ended with ${String(code)}`);
  });
  // The process ends when nobody asks any more.
  ended.catch(() => undefined);
  return { child, next: () => Promise.race([once(child, "message").then(([message]) => message as unknown), ended]) };
}
