// How a command comes to its end: signals to this process go on to the command, the second one ends it (SIGTERM, a while,
// SIGKILL), and further ones hasten that. Tells the person who waits what the agent waits for.
import type { Log } from "../../locks/log.js";
import { formatDuration } from "../../locks/durations.js";
import { messageOf } from "../../locks/errors.js";
import { createClock } from "../../line/clock.js";
import { endMembers, type Members } from "./group.js";
import type { CommandSpec, Commands } from "../machine.js";

// A program that has its own use for Ctrl-C, as a debugger has, gets it now and then. Two in a row are for us.
const TOGETHER_MS = 5_000;

// Most programs end within milliseconds of SIGTERM, which nobody needs to hear of.
const TELL_AFTER_MS = 500;

const clock = createClock();

export interface CommandEnding {
  /** Passes a signal on. The second one begins to end the command, and the next one kills it. */
  readonly relay: (signal: NodeJS.Signals) => void;
  /** Begins to end the command. A second call changes nothing. */
  readonly end: () => void;
  /** The same when the claim is lost: after the grace the rest is killed, even if its end has begun before. */
  readonly endInGrace: () => void;
  /** Ends the command by SIGKILL. */
  readonly killNow: () => void;
  hasBegun(): boolean;
  /** Resolves when the command has ended; at once where its end has not begun. */
  done(): Promise<void>;
}

/** @param reached whether a signal to this process has reached the command by itself */
export function createEnding(
  log: Log,
  spec: CommandSpec,
  members: Members,
  control: Pick<Parameters<Commands["run"]>[1], "tell">,
  reached: (signal: NodeJS.Signals) => boolean,
): CommandEnding {
  const hasten = new AbortController();
  let relayedAt = Number.NEGATIVE_INFINITY;
  let ending: Promise<void> | null = null;

  const end = (): void => {
    if (ending !== null) return;
    const over = new AbortController();
    clock.sleep(TELL_AFTER_MS, over.signal).then(
      () => control.tell?.(waitingFor(members, spec.killAfterMs)),
      () => undefined, // The command ended first.
    );
    // A command that this process may not end (it runs as another user) must not count as ended: there is only waiting.
    const refused = (error: unknown) =>
      log.warn({ error: messageOf(error), pids: members.pids() }, "the command cannot be ended: waiting for it");
    ending = endMembers(members, spec.killAfterMs, hasten.signal)
      .catch(refused)
      .finally(() => over.abort());
  };
  return {
    relay(signal) {
      const isTyped = reached(signal);
      const isAgain = clock.now() - relayedAt < (isTyped ? TOGETHER_MS : Number.POSITIVE_INFINITY);
      relayedAt = clock.now();
      if (ending !== null) hasten.abort();
      else if (isAgain) end();
      if (!isTyped) pass(log, members, signal);
      if (!isAgain) tellLater();
    },
    end,
    endInGrace() {
      const graceMs = spec.endsWith?.graceMs ?? spec.killAfterMs;
      if (graceMs < spec.killAfterMs) setTimeout(() => hasten.abort(), graceMs).unref();
      end();
    },
    killNow() {
      hasten.abort();
      end();
    },
    hasBegun: () => ending !== null,
    done: () => ending ?? Promise.resolve(),
  };

  /** A command may take its time after Ctrl-C, or ignore it. */
  function tellLater(): void {
    const timer = setTimeout(() => {
      if (ending === null && members.pids().length > 0) control.tell?.(waitingFor(members, null));
    }, TELL_AFTER_MS);
    timer.unref();
  }
}

function waitingFor(members: Members, killAfterMs: number | null): string {
  const pids = members.pids();
  const what = `waiting for ${pids.length === 1 ? "1 process" : `${pids.length} processes`} of the command to end (pid ${pids.slice(0, 5).join(", ")}${pids.length > 5 ? ", …" : ""})`;
  if (killAfterMs === null) return `${what}; Ctrl-C again within ${formatDuration(TOGETHER_MS)} to send SIGTERM`;
  return `${what}, SIGKILL ${formatDuration(killAfterMs)} after SIGTERM; Ctrl-C again to kill at once`;
}

function pass(log: Log, members: Members, signal: NodeJS.Signals): void {
  try {
    members.signal(signal);
  } catch (error) {
    log.warn({ error: messageOf(error), signal }, "the signal could not be passed on to the command");
  }
}
