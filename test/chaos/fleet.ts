// The fleet of a chaos run: nodes that start one real `holdline` after another, on several locks, until they are told to
// finish. Owns their processes and what they write; what is done to them is nemesis.ts's.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stringify } from "yaml";
import type { ChaosLock } from "./verdict.js";

const PROGRAM = resolve("dist/main.js");

/** The locks of a chaos run: a mutex, three slots, racks, and one for commands under ephemeral claims. */
export const LOCKS: readonly ChaosLock[] = [
  { name: "mutex", slots: 1, keyOf: () => null, ephemeral: false },
  { name: "slots", slots: 3, keyOf: () => null, ephemeral: false },
  { name: "racks", slots: Number.POSITIVE_INFINITY, keyOf: (node) => `rack-${Number(node.slice(-1)) % 2}`, ephemeral: false },
  { name: "exec", slots: 1, keyOf: () => null, ephemeral: true },
];

// Exit codes that a fleet under attack may have: done, failed, unreachable, claim lost, timed out.
const EXPECTED_CODES = new Set<number | null>([0, 4, 69, 74, 75]);

// A failing command under `exec` ends with its own code.
const FAILED_COMMAND = 9;

export interface FleetOptions {
  readonly directory: string;
  readonly nodes: number;
  /** The coordinator's URL for the node with this index. */
  readonly urlOf: (index: number) => string;
}

export class ChaosFleet {
  readonly log: string;
  readonly violations: string[] = [];
  /** How many processes have ended with which code. */
  readonly codes = new Map<string, number>();
  readonly #nodes: ChaosNode[];
  #stopping = false;

  constructor({ directory, nodes, urlOf }: FleetOptions) {
    this.log = join(directory, "log");
    writeFileSync(this.log, "");
    this.#nodes = Array.from({ length: nodes }, (_, index) => {
      const lock = LOCKS[index % LOCKS.length] as ChaosLock;
      return new ChaosNode(`${lock.name}-${index}`, lock, join(directory, `node-${index}`), urlOf(index), this.log);
    });
  }

  /** The agents that run now and that may be killed or frozen: whatever they run, others are safe from it. */
  get targets(): readonly ChildProcess[] {
    return this.#nodes.flatMap((node) => (node.lock.ephemeral || node.agent === null ? [] : [node.agent]));
  }

  lines(): string {
    return readFileSync(this.log, "utf8");
  }

  /** Runs until `finish`; resolves when every node has nothing left to do. */
  async run(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => this.#live(node)));
  }

  /** Has every node end what it does and clear up what it left; nobody attacks any more. */
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
    const { code, signal, stderr } = await node.start(args);
    const how = signal ?? String(code);
    this.codes.set(how, (this.codes.get(how) ?? 0) + 1);
    const isExpected = signal !== null || EXPECTED_CODES.has(code) || (node.lock.ephemeral && code === FAILED_COMMAND);
    if (!isExpected) this.violations.push(`${node.name}: holdline ${args[0]} ended with ${how}: ${stderr.slice(-2_000)}`);
    return code;
  }

  killAll(): void {
    for (const { agent } of this.#nodes) agent?.kill("SIGKILL");
  }
}

class ChaosNode {
  readonly name: string;
  readonly lock: ChaosLock;
  readonly #directory: string;
  readonly #config: string;
  readonly #shell: string;
  agent: ChildProcess | null = null;

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
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.agent = agent;
    let stderr = "";
    agent.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-8_000)));
    const [code, signal] = (await once(agent, "exit")) as [number | null, NodeJS.Signals | null];
    this.agent = null;
    // A killed agent's command may go on: the next one is not to be started in a tight loop beside it.
    if (signal !== null) await pause(100);
    return { code, signal, stderr };
  }
}

/**
 * What an action does: it says that it starts, works for a moment, and says that it ends; now and then it fails. Each line
 * is one write to a file opened for appending. On a mutex it also looks whether the one before it is still alive.
 */
function actionShell(lock: ChaosLock, log: string, directory: string): string {
  const say = (what: string): string =>
    `echo "${what} ${lock.name} $HOLDLINE_NODE $HOLDLINE_CLAIM $HOLDLINE_FENCING_TOKEN" >> '${log}'`;
  const mark = `${directory}/alive-${lock.name}`;
  const look = `p=$(cat '${mark}' 2>/dev/null) && grep -qs '^State:.[^ZX]' /proc/$p/status && ${say("overlap")}; echo $$ > '${mark}'`;
  const exclusive = lock.slots === 1;
  return [
    exclusive ? look : ":",
    say("start"),
    "r=$(od -An -N1 -tu1 /dev/urandom); sleep 0.$((r % 4))",
    say("end"),
    exclusive ? `rm -f '${mark}'` : ":",
    `[ $((r % 10)) -ne 0 ] || exit ${FAILED_COMMAND}`,
  ].join("; ");
}
