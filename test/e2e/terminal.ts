// The built program on a pseudo-terminal, by util-linux's `script`: what people see, and keys that they press.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { PROGRAM } from "./fleet.js";

/** Why there are no tests on a terminal here; `null` where they can run. */
export const noTerminal: string | null = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "")
  ? null
  : "util-linux's `script` is not installed";

/** A program on a terminal of its own. */
export interface Terminal {
  /** Everything that has been shown so far. */
  shown(): string;
  /** Types; `\x03` is Ctrl-C. */
  type(keys: string): void;
  /** Takes the terminal away, as a connection that breaks does. */
  hangUp(): void;
  /** The program's exit code. */
  readonly ended: Promise<number | null>;
}

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Starts the built program on a terminal. Both its outputs are shown there. */
export function startOnTerminal(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  size: Size | null = null,
): Terminal {
  return startShellOnTerminal(`exec ${[process.execPath, PROGRAM, ...args].map(quoted).join(" ")}`, cwd, env, size);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Starts a line of shell on a terminal. */
export function startShellOnTerminal(
  line: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  size: Size | null = null,
): Terminal {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("HOLDLINE_") && name !== "NO_COLOR" && name !== "FORCE_COLOR",
  );
  const sized = size === null ? line : `stty rows ${size.rows} columns ${size.columns}; ${line}`;
  const child: ChildProcessWithoutNullStreams = spawn("script", ["-qec", sized, "/dev/null"], {
    cwd,
    env: { ...Object.fromEntries(inherited), SHELL: "/bin/sh", TERM: "xterm", ...env },
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (shown += text));
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    // The terminal goes with it, and its processes get a hangup.
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  });
  return { shown: () => shown, type: (keys) => void child.stdin.write(keys), hangUp: () => void child.kill("SIGKILL"), ended };
}
