// Contenders as the suite handles them: processes of their own, or for a store that lives in one process a contender in the
// test's own. What they do is contending.ts's.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Coordinator } from "../locks/coordinator.js";
import { contend, type ContenderEvent, type ContenderTask } from "./contending.js";
import { until, within } from "./until.js";

// Longer than any contender of the suite waits for another one.
const DEADLINE_MS = 50_000;

export interface Contender {
  readonly pid: number;
  /** Resolves with the first event of that name; rejects when the process ends before, with all that it said. */
  event(name: ContenderEvent["event"]): Promise<ContenderEvent>;
  /** All that it has said so far. */
  events(): readonly ContenderEvent[];
  /** Tells it to go on: to end its claim and itself. */
  tell(): void;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL, unless it has ended; resolves when it has. */
  kill(): Promise<void>;
  /** Resolves when it has ended by itself. */
  ended(): Promise<void>;
}

/** Starts a program that calls `runContender`; resolves when the process runs, which may be before it has said anything. */
export async function startProgram(command: readonly string[]): Promise<Contender> {
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
  await once(child, "spawn");
  return new RunningContender(child);
}

class RunningContender implements Contender {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #events: ContenderEvent[] = [];
  readonly #closed: Promise<unknown>;
  #complaints = "";
  #isClosed = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#events.push(JSON.parse(line) as ContenderEvent);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    child.stdin?.on("error", () => undefined);
    this.#closed = once(child, "close").then(() => {
      this.#isClosed = true;
    });
  }

  async event(name: ContenderEvent["event"]): Promise<ContenderEvent> {
    const found = await until(() => this.#events.find(({ event }) => event === name) ?? this.#isClosed, {
      what: `contender ${this.pid} to have ${name}`,
      deadlineMs: DEADLINE_MS,
    });
    if (found !== true) return found;
    const last = this.#events.find(({ event }) => event === name);
    if (last !== undefined) return last;
    throw new Error(`contender ${this.pid} ended without "${name}": ${JSON.stringify(this.#events)}\n${this.#complaints}`);
  }

  events(): readonly ContenderEvent[] {
    return this.#events;
  }

  tell(): void {
    this.#child.stdin?.write("\n");
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    if (!this.#isClosed) this.#child.kill("SIGKILL");
    await this.#closed;
  }

  async ended(): Promise<void> {
    await within(this.#closed, `contender ${this.pid} to end`, DEADLINE_MS);
    if (this.#child.exitCode !== 0)
      throw new Error(`contender ${this.pid} ended with ${this.#child.exitCode}:\n${this.#complaints}`);
  }
}

let near = 0;

/**
 * A contender in the test's own process, for a store that no other process reaches.
 * @param die has the coordinator fall silent as if its process were killed
 */
export function contendHere(coordinator: Coordinator, task: ContenderTask, die: () => void): Contender {
  const events: ContenderEvent[] = [];
  const pid = (near += 1);
  let tell: () => void = () => undefined;
  const told = new Promise<void>((resolve) => (tell = resolve));
  const say = (event: ContenderEvent["event"], details: object): void => void events.push({ event, ...details });
  const done = contend(coordinator, task, { say, told: () => told });
  done.catch(() => undefined);
  const cannotStop = (): never => {
    throw new Error("a contender in the test's own process cannot be stopped");
  };
  return {
    pid,
    event: (name) => until(() => events.find(({ event }) => event === name), `contender ${pid} to have ${name}`),
    events: () => events,
    tell,
    freeze: cannotStop,
    thaw: cannotStop,
    kill: () => Promise.resolve(die()),
    ended: () => done,
  };
}
