// After each test: nothing that it opened may be left open. Looks at coordinators and proxies that the harness handed
// out, at child processes, and at signal listeners.
import { readdir, readFile } from "node:fs/promises";
import { beforeEach } from "vitest";
import { until } from "./wait.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Things that are open, with the words for them. */
const open = new Map<object, string>();

/** Notes something that the running test must close; `closed` it when that has happened. */
export function noteOpen(thing: object, what: string): void {
  open.set(thing, what);
}

/** Takes it off the list. */
export function noteClosed(thing: object): void {
  open.delete(thing);
}

/** Every test of this file fails when it leaves something open: what was noted, child processes, signal listeners. */
export function failOnLeaks(): void {
  beforeEach(async ({ onTestFinished }) => {
    const listeners = SIGNALS.map((signal) => process.listenerCount(signal));
    const children = new Set(await childProcesses());
    // What is registered first is called last: after all that closes something.
    onTestFinished(async () => {
      const left = [...open.values()];
      open.clear();
      for (const [index, signal] of SIGNALS.entries()) {
        const more = process.listenerCount(signal) - (listeners[index] as number);
        if (more > 0) left.push(`${more} listener(s) for ${signal}`);
      }
      left.push(...(await lingeringChildren(children)));
      if (left.length > 0) throw new Error(`the test left open: ${left.join(", ")}`);
    });
  });
}

/** Children of this process that have neither ended nor end within a moment. */
async function lingeringChildren(before: ReadonlySet<number>): Promise<string[]> {
  const added = async () => (await childProcesses()).filter((pid) => !before.has(pid));
  try {
    await until(async () => (await added()).length === 0, { what: "child processes to end", deadlineMs: 2_000 });
    return [];
  } catch {
    return Promise.all((await added()).map(async (pid) => `child process ${pid} (${await commandOf(pid)})`));
  }
}

async function childProcesses(): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const tasks = await readdir("/proc/self/task");
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/self/task/${task}/children`, "utf8").catch(() => "")));
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}

async function commandOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "gone by now")).replaceAll("\0", " ").trim();
}
