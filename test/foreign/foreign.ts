// The foreign clients: whether they are installed, and programs that use them (contender.py, Contender.java) to contend for a lock's path.
// Tests talk to both programs in lines of text.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inject } from "vitest";
import { findLocalInstall, withoutOrphans } from "../support/zookeeper-install.js";
import { until } from "../support/wait.js";

/** Debian's own Python, because another one does not see Debian's packages. */
const PYTHON = "/usr/bin/python3";

const CURATOR_JARS = [
  ...["curator-recipes", "curator-framework", "curator-client", "guava", "zookeeper", "zookeeper-jute"],
  // No test reads Curator's log.
  ...["slf4j-api", "slf4j-nop"],
].map((name) => `/usr/share/java/${name}.jar`);

/** A library with which other programs take the same locks. */
export interface ForeignClient {
  readonly name: "kazoo" | "curator";
  /** The command that starts its program; the servers' addresses follow. */
  readonly command: readonly string[];
}

/** Gives the client, or the reason why it is not available. */
export async function findForeignClient(name: ForeignClient["name"]): Promise<ForeignClient | { readonly missing: string }> {
  return name === "kazoo" ? findKazoo() : findCurator();
}

function findKazoo(): ForeignClient | { readonly missing: string } {
  const usable = existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import kazoo.client"]).status === 0;
  if (!usable) return { missing: "python3-kazoo is not installed" };
  return { name: "kazoo", command: [PYTHON, join(import.meta.dirname, "contender.py")] };
}

async function findCurator(): Promise<ForeignClient | { readonly missing: string }> {
  const java = (await findLocalInstall())?.java ?? "java";
  if (!CURATOR_JARS.every((jar) => existsSync(jar))) return { missing: "libcurator-recipes-java is not installed" };
  // Java compiles a program in one source file when it starts, and needs its compiler for that.
  if (!spawnSync(java, ["--list-modules"], { encoding: "utf8" }).stdout.includes("jdk.compiler@")) {
    return { missing: "this Java has no compiler (Debian: default-jdk-headless)" };
  }
  const source = join(import.meta.dirname, "Contender.java");
  // The program is idle most of the time: a second compiler and parallel collectors would only take the cores from the others.
  return { name: "curator", command: [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", CURATOR_JARS.join(":"), source] };
}

/** A running program of a foreign client, with as many contenders as the test asks for. */
export class ForeignProgram {
  readonly #child: ChildProcess;
  readonly #said: string[] = [];
  readonly #closed: Promise<unknown>;
  #complaints = "";
  #isClosed = false;

  constructor({ command }: ForeignClient) {
    const { host, port } = inject("zookeeper");
    const [program, ...args] = withoutOrphans([...command, `${host}:${port}`]) as [string, ...string[]];
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on("line", (line) => this.#said.push(line));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#complaints += text));
    this.#child.stdin?.on("error", () => undefined);
    this.#closed = once(this.#child, "close").then(() => (this.#isClosed = true));
  }

  /** Every name takes that many turns on a path, each with two lines in the log. Resolves when all turns are over. */
  async takeTurns(path: string, log: string, count: number, names: readonly string[]): Promise<void> {
    this.#tell(["turns", path, log, `${count}`, ...names]);
    await this.#heard("done", 100_000);
  }

  /** Joins the line; `held` resolves when it has the lock. */
  acquire(path: string, name: string, kind: "mutex" | "read" | "write" = "mutex"): { readonly held: Promise<void> } {
    this.#tell(["acquire", path, name, kind]);
    return { held: this.#heard(`held ${name}`) };
  }

  /** Whether it has said that this contender holds the lock. */
  holds(name: string): boolean {
    return this.#said.includes(`held ${name}`);
  }

  async release(name: string): Promise<void> {
    this.#tell(["release", name]);
    await this.#heard(`released ${name}`);
  }

  /** Ends the program, and with it the sessions of all its contenders. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#closed;
  }

  #tell(words: readonly string[]): void {
    this.#child.stdin?.write(`${words.join(" ")}\n`);
  }

  async #heard(line: string, deadlineMs = 55_000): Promise<void> {
    await until(() => this.#said.includes(line) || this.#isClosed || this.#failures().length > 0, {
      what: `the foreign program to say "${line}"`,
      deadlineMs,
    });
    if (this.#said.includes(line)) return;
    throw new Error(`the foreign program did not say "${line}": ${this.#failures().join("; ")}\n${this.#complaints}`);
  }

  #failures(): readonly string[] {
    return this.#said.filter((line) => line.startsWith("failed "));
  }
}
