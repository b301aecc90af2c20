// Programs for the tests of processes and commands: our own sources as processes of their own, and children that are
// ended with the test. Fixtures beginning with `proc-` belong to these.
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, stop } from "esbuild";
import { afterEach } from "vitest";
import { type ProcessIdentity } from "../../src/locks/claim.js";
import { type Log } from "../../src/locks/log.js";
import { identityOf, listPids, readStat } from "../../src/proc.js";

const cleanups: (() => void)[] = [];

/** Has every test of this file end what it started here. Call it after `failOnLeaks`, which then looks afterwards. */
export function cleanUpAfterEach(): void {
  afterEach(() => {
    for (const cleanUp of cleanups.splice(0).reverse()) cleanUp();
  });
}

/** The path of a fixture that is a program by itself. */
export function fixture(name: string): string {
  return join(import.meta.dirname, "..", "fixtures", name);
}

/** A directory that goes away with the test. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "holdline-proc-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A fixture in TypeScript, put together with all that it imports, for `node` to run. */
export async function bundle(name: string, directory: string): Promise<string> {
  const outfile = join(directory, `${name}.mjs`);
  await build({
    entryPoints: [fixture(`${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
    // Some of what is bundled is CommonJS and calls `require` for node's own modules.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  // It keeps a process for further work, which would look as if the test had left it open.
  await stop();
  return outfile;
}

/** A child in a group of its own, which is killed with all its group after the test. */
export function start(
  program: string,
  argv: readonly string[] = [],
  options: SpawnOptions = {},
): ChildProcess & { readonly pid: number } {
  const child = spawn(program, argv, { stdio: "ignore", detached: true, ...options });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} did not start`);
  cleanups.push(() => killGroup(pid));
  return child as ChildProcess & { readonly pid: number };
}

/** What it runs as: once `start` has returned, the program may not have replaced the one that started it yet. */
export function leaderOf(child: { readonly pid: number }): ProcessIdentity {
  return identityOf(child.pid);
}

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** The members of a process group that have not ended. */
export function membersOf(group: number): number[] {
  return listPids().filter((pid) => {
    const stat = readStat(pid);
    return stat !== null && stat.group === group && !stat.ended;
  });
}

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly details: object;
  readonly message: string;
}

/** A log that can be read. */
export function createTestLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine["level"]) => (details: object, message: string) => void lines.push({ level, details, message });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
