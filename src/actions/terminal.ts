// What the terminal does to a command that shares this process's group: keys reach it by themselves, and it may be stopped, by
// Ctrl-Z or because it wants to read in the background. A stopped command that holds a lock must not go unnoticed.
import type { Members } from "./group.js";
import { isInForeground, ownStat, readStat } from "../proc.js";

/** Has this process a terminal that its commands may ask? */
export function hasTerminal(): boolean {
  return (ownStat()?.terminal ?? 0) !== 0;
}

/** Are these sent by the terminal, to the whole of the group that it listens to? */
const KEYS: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** Has a signal that this process was sent reached its command as well? What is typed does; it must not come twice. */
export function isTyped(signal: NodeJS.Signals): boolean {
  return KEYS.includes(signal) && isInForeground();
}

// What the terminal stops its groups with. SIGTTOU is missing: were it caught, a terminal that keeps the background from writing
// (`stty tostop`) would have this process try to write for ever. So that one stops both, and the shell says so.
const STOPPING: readonly NodeJS.Signals[] = ["SIGTSTP", "SIGTTIN"];

const LOOK_MS = 50;
// A program may have things to put away before it stops, such as the picture of an editor.
const STOPS_WITHIN_MS = 5_000;

/**
 * Watches over a command's stops. In the foreground it goes on at once: an agent that was stopped with it would lose its session,
 * and the shell waits for both. In the background, where it may want to read, it goes on when it is brought to the foreground.
 * @param tell called with what happens
 * @returns what ends the watch
 */
export function watchStops(members: Members, tell: (message: string) => void): () => void {
  let looks: NodeJS.Timeout | null = null;
  let leftMs = 0;
  let isTold = false;
  const look = (): void => {
    leftMs -= LOOK_MS;
    const stopped = members.pids().filter((pid) => readStat(pid)?.stopped === true);
    if (stopped.length === 0) {
      isTold = false;
      if (leftMs <= 0) end();
    } else if (isInForeground()) {
      if (!isTold) tell("Ctrl-Z stops nothing that holds a lock: the command goes on");
      continueAll(stopped);
    } else if (!isTold) {
      tell("the command is stopped and holds its lock: it goes on when it is brought to the foreground (fg)");
      isTold = true;
    }
  };
  const begin = (): void => {
    leftMs = STOPS_WITHIN_MS;
    looks ??= setInterval(look, LOOK_MS);
  };
  const end = (): void => {
    if (looks !== null) clearInterval(looks);
    looks = null;
  };
  for (const signal of STOPPING) process.on(signal, begin);
  return () => {
    for (const signal of STOPPING) process.off(signal, begin);
    end();
  };
}

function continueAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGCONT");
    } catch {
      // It has ended, or is another user's.
    }
  }
}
