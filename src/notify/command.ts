// Tells a command: starts it and writes the event to its standard input.
import { spawn, type ChildProcess } from "node:child_process";
import { basename } from "node:path";
import { messageOf } from "../locks/errors.js";
import { workingDirectory } from "../working-directory.js";
import type { Channel } from "./outbox.js";

export function commandChannel(argv: readonly string[]): Channel {
  const [program = "", ...args] = argv;
  return {
    // Arguments may hold a token.
    name: basename(program),
    deliver: (message, signal) => deliver(program, args, message, signal),
  };
}

function deliver(program: string, args: readonly string[], message: string, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      // A group of its own: all of it can be ended, and Ctrl-C on a terminal does not. What it prints may hold a token.
      child = spawn(program, args, { cwd: workingDirectory() ?? "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
    } catch (error) {
      resolve(`it could not be started: ${messageOf(error)}`);
      return;
    }
    const { stdin } = child;
    const kill = (): void => end(killGroup(child) ? "it was killed" : "it could not be killed");
    const end = (problem: string | null): void => {
      signal.removeEventListener("abort", kill);
      // Something that it has started may still have the other end.
      stdin?.destroy();
      resolve(problem);
    };
    signal.addEventListener("abort", kill, { once: true });
    child.once("error", (error) => end(`it could not be started: ${messageOf(error)}`));
    child.once("exit", (code, by) => end(code === 0 ? null : by === null ? `exit code ${code}` : `ended by ${by}`));
    // A command need not read what it is told: its exit code says whether all is well.
    stdin?.on("error", () => undefined);
    stdin?.end(message);
  });
}

/** @returns whether its processes are no more. Those of a command that has become another user, by sudo say, are not this one's to kill. */
function killGroup({ pid }: ChildProcess): boolean {
  if (pid === undefined) return true;
  try {
    return process.kill(-pid, "SIGKILL");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
