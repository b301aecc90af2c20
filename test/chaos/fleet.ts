// The fleet of a chaos run: nodes that start one real `holdline` after another, on several locks, until they are told to
// finish. Owns their processes and what they write; what is done to them is nemesis.ts's.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stringify } from "yaml";
import { SmallDisk } from "../support/small-disk.js";
import { LogTail } from "./log-tail.js";
import type { ChaosLock, Told } from "./verdict.js";

const PROGRAM = resolve("dist/main.cjs");

/** The locks of a chaos run: a mutex, three slots, racks, and one for commands under ephemeral claims. */
export const LOCKS: readonly ChaosLock[] = [
  { name: "mutex", slots: 1, keyOf: () => null, ephemeral: false },
  { name: "slots", slots: 3, keyOf: () => null, ephemeral: false },
  { name: "racks", slots: Number.POSITIVE_INFINITY, keyOf: (node) => `rack-${Number(node.slice(-1)) % 2}`, ephemeral: false },
  { name: "exec", slots: 1, keyOf: () => null, ephemeral: true },
];

// Exit codes that a fleet under attack may have: done, failed, unreachable, claim lost, timed out.
const EXPECTED_CODES = new Set<number | null>([0, 4, 69, 74, 75]);

// What an agent ends with whose journal cannot be written.
const FULL_DISK_CODE = 78;

// A failing command under `exec` ends with its own code.
const FAILED_COMMAND = 9;

/** What an agent is doing, as far as its action's own lines tell: it has said nothing yet, "start", or "end". */
export type Phase = "waiting" | "running" | "releasing";

// Releasing takes some milliseconds: who wants to see it has to look often.
const LOOK_EVERY_MS = 3;

export interface FleetOptions {
  readonly directory: string;
  readonly nodes: number;
  /** Whether the first node has a disk of its own, which can be filled. */
  readonly smallDisk: boolean;
  /** The coordinator's URL for the node with this index. */
  readonly urlOf: (index: number) => string;
}

export class ChaosFleet {
  readonly log: string;
  readonly violations: string[] = [];
  /** How many processes have ended with which code. */
  readonly codes = new Map<string, number>();
  /** What agents have told of runs that went well, to be held against the log. */
  readonly told: Told[] = [];
  readonly #nodes: ChaosNode[];
  readonly #disk: SmallDisk | null;
  readonly #tail: LogTail;
  #isFull = false;
  #stopping = false;

  constructor({ directory, nodes, urlOf, smallDisk }: FleetOptions) {
    this.log = join(directory, "log");
    writeFileSync(this.log, "");
    this.#tail = new LogTail(this.log);
    this.#disk = smallDisk ? new SmallDisk(join(directory, "node-0", "state")) : null;
    this.#nodes = Array.from({ length: nodes }, (_, index) => {
      const lock = LOCKS[index % LOCKS.length] as ChaosLock;
      return new ChaosNode(`${lock.name}-${index}`, lock, join(directory, `node-${index}`), urlOf(index), this.log);
    });
  }

  /**
   * An agent that is doing this at the moment, as soon as there is one; `null` when there was none until `signal`.
   * @param claims only those with durable claims, or any
   */
  async find(phase: Phase, signal: AbortSignal): Promise<ChildProcess | null> {
    while (!signal.aborted) {
      this.#tail.read();
      const agents = this.#nodes.flatMap(({ name, agent, saidBefore }) => {
        if (agent === null) return [];
        const last = this.#tail.lastOf(name);
        const now = last === null || last.number === saidBefore ? "waiting" : last.what === "start" ? "running" : "releasing";
        return now === phase ? [agent] : [];
      });
      const chosen = agents[Math.floor(Math.random() * agents.length)];
      if (chosen !== undefined) return chosen;
      await pause(LOOK_EVERY_MS);
    }
    return null;
  }

  /** Fills the first node's disk to the last byte; false where it has none of its own, or it is full. */
  fillDisk(): boolean {
    if (this.#disk === null || this.#isFull) return false;
    this.#isFull = true;
    this.#disk.fill();
    (this.#nodes[0] as ChaosNode).mayBeFull = true;
    return true;
  }

  emptyDisk(): void {
    this.#disk?.empty();
    this.#isFull = false;
  }

  lines(): string {
    return readFileSync(this.log, "utf8");
  }

  /** Runs until `finish`; resolves when every node has nothing left to do. */
  async run(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => this.#live(node)));
  }

  /** Lets every node finish its work and clear up what it left. Nothing attacks them any more. */
  finish(): void {
    this.#stopping = true;
  }

  async #live(node: ChaosNode): Promise<void> {
    while (!this.#stopping) await this.#once(node, node.command());
    // The last word of each node: whatever is left of it is finished.
    for (let tries = 0; tries < 20; tries += 1) {
      if ((await this.#once(node, ["resume", "--json"])) === 0) return;
    }
    this.violations.push(`${node.name} could not finish what it had left`);
  }

  async #once(node: ChaosNode, args: readonly string[]): Promise<number | null> {
    if (!this.#isFull) node.mayBeFull = false;
    this.#tail.read();
    node.saidBefore = this.#tail.lastOf(node.name)?.number ?? null;
    const { code, signal, stdout, stderr } = await node.start(args);
    const how = signal ?? String(code);
    this.codes.set(how, (this.codes.get(how) ?? 0) + 1);
    const isFull = node.mayBeFull && code === FULL_DISK_CODE && stderr.includes("ENOSPC");
    const isExpected = signal !== null || isFull || EXPECTED_CODES.has(code) || (node.lock.ephemeral && code === FAILED_COMMAND);
    if (!isExpected) this.violations.push(`${node.name}: holdline ${args[0]} ended with ${how}: ${stderr.slice(-2_000)}`);
    if (code === 0 && !node.lock.ephemeral) this.told.push(...toldIn(stdout, node));
    return code;
  }

  killAll(): void {
    for (const { agent } of this.#nodes) agent?.kill("SIGKILL");
  }

  /** What is left of its own on the machine. */
  close(): void {
    this.#disk?.close();
  }
}

class ChaosNode {
  readonly name: string;
  readonly lock: ChaosLock;
  readonly #directory: string;
  readonly #config: string;
  readonly #shell: string;
  agent: ChildProcess | null = null;
  /** The last line that this node's actions had written before the agent was started. */
  saidBefore: number | null = null;
  /** Its disk was full at some time in the life of its agent. */
  mayBeFull = false;

  constructor(name: string, lock: ChaosLock, directory: string, url: string, log: string) {
    this.name = name;
    this.lock = lock;
    this.#directory = directory;
    this.#config = join(directory, "holdline.yaml");
    this.#shell = actionShell(lock, log, join(directory, ".."));
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      this.#config,
      stringify({
        node: name,
        coordinator: url,
        state_dir: join(directory, "state"),
        session_timeout: "6 s",
        connect_timeout: "10 s",
        release_timeout: "60 s",
        acquire: { timeout: "60 s" },
        history: { keep: 100_000 },
        actions: lock.ephemeral ? {} : { work: this.#action() },
      }),
    );
  }

  #action(): object {
    const { name, slots, keyOf } = this.lock;
    const key = keyOf(this.name);
    return { lock: name, shell: this.#shell, ...(Number.isFinite(slots) ? { slots } : {}), ...(key === null ? {} : { key }) };
  }

  command(): string[] {
    return this.lock.ephemeral ? ["exec", this.lock.name, "--", "/bin/sh", "-c", this.#shell] : ["run", "work", "--json"];
  }

  async start(args: readonly string[]) {
    const agent = spawn(process.execPath, [PROGRAM, "-c", this.#config, ...args], {
      cwd: this.#directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.agent = agent;
    let stdout = "";
    let stderr = "";
    agent.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    agent.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-8_000)));
    const [code, signal] = (await once(agent, "exit")) as [number | null, NodeJS.Signals | null];
    this.agent = null;
    // What is in the pipes is read before this; not "close", since an orphan may hold them.
    await new Promise((done) => setImmediate(done));
    const time = new Date().toISOString();
    appendFileSync(join(this.#directory, "agent.log"), `${stderr}${time} ${args[0]} ${agent.pid} ended with ${signal ?? code}\n`);
    // A killed agent's command may go on: the next one is not to be started in a tight loop beside it.
    if (signal !== null) await pause(100);
    return { code, signal, stdout, stderr };
  }
}

/** What a `run` or a `resume` has told of actions that it has run. */
function toldIn(stdout: string, { name, lock }: ChaosNode): Told[] {
  const { results } = JSON.parse(stdout) as {
    readonly results: readonly { outcome: string; claim: string; fencingToken: number }[];
  };
  return results
    .filter(({ outcome }) => outcome === "ran")
    .map(({ claim, fencingToken: token }) => ({ lock: lock.name, node: name, claim, token }));
}

/**
 * What an action does: it says that it starts, works for a moment, and says that it ends; now and then it fails. Each line
 * is one write to a file opened for appending. On a mutex it also looks whether the one before it is still alive.
 */
function actionShell(lock: ChaosLock, log: string, directory: string): string {
  const say = (what: string): string =>
    `echo "${what} ${lock.name} $HOLDLINE_NODE $HOLDLINE_CLAIM $HOLDLINE_FENCING_TOKEN" >> '${log}'`;
  const mark = `${directory}/alive-${lock.name}`;
  // By pid and start: pids come round again within minutes.
  const look = [
    `{ read -r p t < '${mark}'; } 2>/dev/null && s=$(cut -d' ' -f3,22 /proc/$p/stat 2>/dev/null)`,
    `[ "\${s#[!ZX] }" = "$t" ]`,
    `${say("overlap")}; echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > '${mark}'`,
  ].join(" && ");
  const exclusive = lock.slots === 1;
  return [
    exclusive ? look : ":",
    say("start"),
    // Now and then for so long that the next agent comes while the command of one that was killed still runs; under an
    // ephemeral claim for so long that its session ends before it does, where the store is away.
    `r=$(od -An -N1 -tu1 /dev/urandom); [ $((r % 16)) -ne 15 ] || sleep ${lock.ephemeral ? 12 : 4}; sleep 0.$((r % 4))`,
    say("end"),
    exclusive ? `rm -f '${mark}'` : ":",
    `[ $((r % 10)) -ne 0 ] || exit ${FAILED_COMMAND}`,
  ].join("; ");
}
