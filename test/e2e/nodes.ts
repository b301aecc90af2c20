// Nodes of a fleet, as their users meet them: the built program, started with a configuration of each node's own, all on
// one store. Owns the processes that it starts; what a test asks the store itself it asks through a coordinator.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Readable, Writable } from "node:stream";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { openCoordinator } from "../../src/coordinators/registry.js";
import type { Claim } from "../../src/locks/claim.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { until, within } from "../support/wait.js";

/** The stores that a fleet can stand on. */
export type StoreName = "zookeeper" | "sqlite" | "etcd" | "postgresql" | "redis" | "mariadb" | "dynamodb";

export const PROGRAM = resolve(import.meta.dirname, "../../dist/main.cjs");
// Whoever still holds a process's pipes so long after its end is another process.
const PIPES_HELD_MS = 250;
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** How a test opens a fleet's store. */
export const STORE_OPTIONS = {
  connectTimeoutMs: 10_000,
  sessionTimeoutMs: 8_000,
  historyKeep: 100,
  sleepTimeMs: 20,
  log: QUIET,
} as const;

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `holdline`. */
export interface Cli {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Its output so far. */
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
}

export interface Result {
  readonly attempts?: number;
  readonly outcome: string;
  readonly claim: string | null;
  readonly fencingToken: number | null;
  readonly message: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly coordinated: boolean;
}

/** One node: its name, its directory and its configuration. */
export interface Node {
  readonly name: string;
  readonly directory: string;
  /** The path of its configuration file. */
  readonly config: string;
  /** Starts `holdline ARGS` on this node. */
  start(...args: readonly string[]): Cli;
  /** Starts it and waits for its end. */
  run(...args: readonly string[]): Promise<Ended>;
  /** `holdline run ACTION --json`, with its one result. */
  runAction(action: string): Promise<Ended & { readonly result: Result }>;
  /** What the journal holds, by file name. */
  journal(action: string): Readonly<Record<string, string>>;
}

export interface NodeOptions {
  /** Another URL for this node, such as a fault proxy's. */
  readonly coordinator?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** What its processes read on their standard input; nothing by default. */
  readonly input?: string;
  /** Another build of the program. */
  readonly program?: string;
  /** The boot that the node's processes are of, instead of this machine's: any text. */
  readonly boot?: string;
}

export class Fleet {
  readonly kind: StoreName;
  readonly url: string;
  readonly directory: string;
  /** Where actions of tests write their lines. */
  readonly log: string;
  #coordinator: Promise<Coordinator> | null = null;

  constructor(kind: StoreName, url: string, directory: string) {
    this.kind = kind;
    this.url = url;
    this.directory = directory;
    this.log = join(directory, "log");
    writeFileSync(this.log, "");
  }

  /** @param actions as in the configuration file */
  node(name: string, actions: Readonly<Record<string, unknown>>, options: NodeOptions = {}): Node {
    const directory = join(this.directory, name);
    mkdirSync(directory, { recursive: true });
    const config = join(directory, "holdline.yaml");
    const { acquire, ...settings } = { acquire: {}, ...options.settings };
    writeFileSync(
      config,
      stringify({
        node: name,
        principal: `ops@${name}`,
        coordinator: options.coordinator ?? this.url,
        state_dir: join(directory, "state"),
        session_timeout: "4 s",
        connect_timeout: "10 s",
        acquire: { sleep_time: "50 ms", timeout: "60 s", ...acquire },
        ...settings,
        actions,
      }),
      { mode: 0o600 },
    );
    const under = options.boot === undefined ? [] : bootedAs(options.boot, this.directory);
    const start = (...args: readonly string[]): Cli =>
      startCli(["-c", config, ...args], directory, options.env ?? {}, options.input, options.program, under);
    return {
      name,
      directory,
      config,
      start,
      run: (...args) => within(start(...args).ended, `holdline ${args.join(" ")}`, 55_000),
      async runAction(action) {
        const ended = await within(start("run", action, "--json").ended, `run ${action}`, 55_000);
        const { results } = JSON.parse(ended.stdout) as { readonly results: readonly Result[] };
        return { ...ended, result: results[0] as Result };
      },
      journal(action) {
        const place = join(directory, "state", "journal", name, action);
        try {
          // With a leading dot they are files that are just being made.
          const files = readdirSync(place).filter((file) => !file.startsWith("."));
          return Object.fromEntries(files.map((file) => [file, readFileSync(join(place, file), "utf8")]));
        } catch {
          return {};
        }
      },
    };
  }

  /** The store itself, to look at. */
  coordinator(): Promise<Coordinator> {
    this.#coordinator ??= openCoordinator(this.url, STORE_OPTIONS).then((coordinator) => {
      onTestFinished(() => coordinator.close());
      return coordinator;
    });
    return this.#coordinator;
  }

  /** The same root through a fault proxy. */
  urlThrough(proxy: { readonly address: string }): string {
    return this.url.replace(/^(zookeeper:\/\/)[^/]*/, `$1${proxy.address}`);
  }

  async queue(lock: string): Promise<readonly Claim[]> {
    return (await this.coordinator()).queue(lock);
  }

  /** Waits until a lock's queue has so many claims, and gives them. */
  untilQueue(lock: string, length: number): Promise<readonly Claim[]> {
    return until(
      async () => {
        const claims = await this.queue(lock);
        return claims.length === length ? claims : null;
      },
      { what: `${length} claims on ${lock}`, deadlineMs: 50_000 },
    );
  }

  /** The lines that actions have written. */
  lines(): string[] {
    return readFileSync(this.log, "utf8").split("\n").filter(Boolean);
  }

  untilLine(line: string): Promise<unknown> {
    return until(() => this.lines().includes(line), `the line ${JSON.stringify(line)}`);
  }

  /** A path that does not exist yet, to be created as a signal to an action that waits for it. */
  signalFile(): { readonly path: string; give(): void } {
    const path = join(this.directory, `go-${randomBytes(6).toString("hex")}`);
    return { path, give: () => writeFileSync(path, "") };
  }

  /** A shell text that writes "start NODE", waits for a file, and writes "end NODE". */
  waitingShell(go: string): string {
    return `echo "start $HOLDLINE_NODE" >> '${this.log}'; while [ ! -e '${go}' ]; do sleep 0.02; done; echo "end $HOLDLINE_NODE" >> '${this.log}'`;
  }
}

/** Runs what follows on this machine after another boot: in a mount namespace in which the kernel's boot id is another file's. */
function bootedAs(boot: string, directory: string): readonly string[] {
  const file = join(directory, `boot-${boot}`);
  const digest = createHash("sha256").update(boot).digest("hex");
  const id = [8, 4, 4, 4, 12].map((length, index) => digest.slice(index * 12, index * 12 + length)).join("-");
  writeFileSync(file, `${id}\n`);
  return ["unshare", "-m", "sh", "-c", `mount --bind '${file}' /proc/sys/kernel/random/boot_id && exec "$@"`, "sh"];
}

/** Starts the built program. It ends with the test, whatever happens. */
export function startCli(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  input?: string,
  program = PROGRAM,
  under: readonly string[] = [],
): Cli {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HOLDLINE_")));
  const [file = process.execPath, ...all] = [...under, process.execPath, program, ...args];
  const child = spawn(file, all, {
    cwd,
    env: { ...clean, ...env },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  child.stdin?.on("error", () => undefined).end(input);
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  // Not "close" alone: a command that outlives a killed agent may hold the pipes.
  const closed = once(child, "close");
  const ended = once(child, "exit").then(async ([code, signal]) => {
    // What it has said may still be in the pipes.
    await Promise.race([closed, pause(PIPES_HELD_MS)]);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, ...said };
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  });
  return {
    pid: child.pid as number,
    ended,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    kill: (signal) => void child.kill(signal),
  };
}

/** Whether a process with this pid runs. One that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
