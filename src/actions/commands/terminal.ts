// What a terminal does to a command that shares this process's group: keys reach the command by themselves, and Ctrl-Z, or a
// read in the background, stops it. A stopped command that holds a lock must not go unnoticed.
import type { Members } from "./group.js";
import { isInForeground, ownStat, readStat } from "../../proc.js";

/** Whether this process has a terminal that its commands may ask. */
export function hasTerminal(): boolean {
  return (ownStat()?.terminal ?? 0) !== 0;
}

/** The signals that a terminal sends to all of its foreground group. */
const KEYS: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** Whether a signal to this process was typed. Then it has reached the command as well, and must not come twice. */
export function isTyped(signal: NodeJS.Signals): boolean {
  return KEYS.includes(signal) && isInForeground();
}

// The signals by which a terminal stops its groups. SIGTTOU is missing: a process that catches it would try for ever to write
// to a terminal that keeps the background from writing (`stty tostop`). So that one stops both, and the shell says so.
const STOPPING: readonly NodeJS.Signals[] = ["SIGTSTP", "SIGTTIN"];

const LOOK_MS = 50;
// A program may have to tidy up before it stops, as an editor restores the screen.
const STOPS_WITHIN_MS = 5_000;

/**
 * Watches for a command that was stopped. In the foreground the command goes on at once: an agent that stopped with it would
 * lose its session. In the background, where it may want to read, it goes on when somebody brings it to the foreground.
 * @param tell called with what happens
 * @returns a function that ends the watch
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
      // It has ended, or belongs to another user.
    }
  }
}
