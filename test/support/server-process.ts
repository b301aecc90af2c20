// A server of a test's own: its process, its folder, and what a test does to it. What program it is, how it is configured and when it
// serves is said by whoever starts one: zookeeper-server.ts, and servers/.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./wait.js";
import { withoutOrphans } from "./zookeeper-install.js";

/** How a server is started. */
export interface ServerCommand {
  /** The program's path and its arguments. */
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The user to run as, for servers that refuse to be root's. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface ServerPlan {
  /** What it is and where it listens, for messages. */
  readonly name: string;
  /** Its own: its output goes there, and it is removed with all that is in it when the server is closed. */
  readonly directory: string;
  /** Files in the directory with its last words, beside its output. */
  readonly logs?: readonly string[];
  /** What asks it to end at once, where that is not SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Called before each start: writes what it reads, and says what to run. */
  prepare(): Promise<ServerCommand>;
  /** Whether it serves by now. May reject, which counts as not yet. */
  serves(): Promise<boolean>;
}

//   stopped → (launch) running ⇄ frozen → (stop, kill) stopped → (close) removed
export class ServerProcess {
  readonly plan: ServerPlan;
  #child: ChildProcess | null = null;

  constructor(plan: ServerPlan) {
    this.plan = plan;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts it; `serving` says when it can be used. */
  async launch(): Promise<void> {
    const { directory } = this.plan;
    const { argv, env, uid, gid } = await this.plan.prepare();
    const output = openSync(join(directory, "output.log"), "a");
    const command = withoutOrphans(argv);
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ["ignore", output, output],
      cwd: directory,
      ...(env === undefined ? {} : { env }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    closeSync(output);
    await once(child, "spawn");
    this.#child = child;
    living.add(child);
    child.once("exit", () => {
      living.delete(child);
      if (this.#child === child) this.#child = null;
    });
  }

  /** Resolves when it serves; rejects when it ends before, with its last words. */
  async serving(): Promise<void> {
    const child = this.#child;
    const ended = new Promise<never>((_, reject) => {
      child?.once("exit", (code, signal) => {
        void this.#lastWords().then((words) => {
          reject(new Error(`${this.plan.name} ended (${signal ?? code}) before it served:\n${words}`));
        });
      });
    });
    ended.catch(() => undefined);
    const serves = until(() => this.plan.serves().catch(() => false), { what: `${this.plan.name} to serve`, deadlineMs: 60_000 });
    await Promise.race([serves, ended]);
  }

  /** SIGTERM, or the plan's own signal; resolves when the process is gone. Its data stay. */
  async stop(): Promise<void> {
    await this.#end(this.plan.stopSignal ?? "SIGTERM");
  }

  /** SIGKILL; resolves when the process is gone. Its data stay. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGSTOP: connections stay open and nothing answers. Resolves when the process and its children have stopped. */
  async freeze(): Promise<void> {
    const { pid } = this;
    if (pid === null) return;
    for (const one of withChildren(pid)) process.kill(one, "SIGSTOP");
    // Its threads stop one by one.
    const states = async () =>
      Promise.all((await readdir(`/proc/${pid}/task`)).map((task) => readFile(`/proc/${pid}/task/${task}/stat`, "utf8")));
    if (process.platform === "linux")
      await until(async () => (await states()).every((stat) => / [Tt] /.test(stat)), "all threads to stop");
  }

  /** SIGCONT. */
  thaw(): void {
    const { pid } = this;
    if (pid === null) return;
    // Those that were about to end do so as soon as they may, and their parent takes them away.
    for (const one of withChildren(pid)) signalQuietly(one, "SIGCONT");
  }

  /** Starts it again with the same data, after `stop` or `kill`, and waits until it serves. */
  async restart(): Promise<void> {
    if (this.#child !== null) await this.stop();
    await this.launch();
    await this.serving();
  }

  /** Ends it and removes its files. */
  async close(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.plan.directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // Processes that serve one connection each outlive a parent that is killed.
    const children = signal === "SIGKILL" ? withChildren(child.pid as number).slice(1) : [];
    child.kill(signal);
    // A stopped process takes SIGTERM only once it is continued.
    child.kill("SIGCONT");
    for (const one of children) signalQuietly(one, "SIGKILL");
    await exited;
  }

  async #lastWords(): Promise<string> {
    const { directory, logs = [] } = this.plan;
    const paths = ["output.log", ...logs].map((name) => join(directory, name)).filter((path) => existsSync(path));
    const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
    return texts.join("\n").split("\n").slice(-20).join("\n");
  }
}

/** Starts several, each at once; resolves when all of them serve. None is left where one does not. */
export async function startServers(servers: readonly ServerProcess[]): Promise<void> {
  try {
    await Promise.all(servers.map((server) => server.launch()));
    await Promise.all(servers.map((server) => server.serving()));
  } catch (error) {
    await Promise.all(servers.map((server) => server.close()));
    throw error;
  }
}

function withChildren(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return [pid, ...text.split(" ").filter(Boolean).map(Number)];
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

// Servers that a crash of the test run would leave behind: the last thing that this process does is to end them.
const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});
