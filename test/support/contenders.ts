// Starting test/fixtures/contender.ts as a process of its own, over any coordinator, and listening to what it says.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build, stop } from "esbuild";
import type { CoordinatorOptions } from "../../src/locks/coordinator.js";
import type { ContenderTask } from "../fixtures/contender.js";
import { until, within } from "./wait.js";

export type { ContenderTask };

/** Which coordinator a contender is to use: a module below src, and its opener there. */
export interface ContenderKind {
  readonly coordinator: string;
  readonly opener: string;
}

/** Something that a contender has said. */
export interface ContenderEvent {
  readonly event: "opened" | "joined" | "granted" | "settled" | "left" | "closed" | "failed";
  readonly [detail: string]: unknown;
}

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

export interface ContenderStart {
  readonly kind: ContenderKind;
  readonly url: string;
  readonly options: CoordinatorOptions;
  readonly task: ContenderTask;
  /** A command that runs what follows it, such as `setpriv --reuid=65534`. */
  readonly under?: readonly string[];
}

/** Starts a contender; resolves when the process runs, which may be before it has said anything. */
export async function startContender({ kind, url, options, task, under = [] }: ContenderStart): Promise<Contender> {
  const program = await bundleContender(kind);
  const command = [...under, process.execPath, program, url, JSON.stringify({ ...options, log: undefined }), JSON.stringify(task)];
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
      deadlineMs: 50_000,
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
    await within(this.#closed, `contender ${this.pid} to end`, 50_000);
    if (this.#child.exitCode !== 0)
      throw new Error(`contender ${this.pid} ended with ${this.#child.exitCode}:\n${this.#complaints}`);
  }
}

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const bundles = new Map<string, Promise<string>>();

/** Node 20 runs no TypeScript: the fixture is bundled, once for each file of tests, to where it finds node_modules. */
function bundleContender({ coordinator, opener }: ContenderKind): Promise<string> {
  let bundled = bundles.get(coordinator);
  if (bundled === undefined) {
    bundled = bundle(coordinator, opener);
    bundles.set(coordinator, bundled);
  }
  return bundled;
}

async function bundle(coordinator: string, opener: string): Promise<string> {
  const source = [
    `import { ${opener} } from "../../src/${coordinator}/index.ts";`,
    'import { contend } from "./contender.ts";',
    `await contend(${opener});`,
  ];
  const { outputFiles } = await build({
    stdin: { contents: source.join("\n"), resolveDir: join(REPOSITORY, "test/fixtures"), loader: "ts" },
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
  });
  // Its service is a child process, which would count as left open.
  await stop();
  const directory = join(REPOSITORY, "node_modules/.cache/holdline-test");
  await mkdir(directory, { recursive: true });
  const path = join(directory, `contender-${coordinator.replaceAll("/", "-")}.mjs`);
  // Renamed into place: another file's tests may be about to start it.
  await writeFile(`${path}.${process.pid}`, (outputFiles[0] as { text: string }).text);
  await rename(`${path}.${process.pid}`, path);
  return path;
}
