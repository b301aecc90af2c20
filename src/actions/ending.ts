// How a command's process group is ended: signals are passed on to it, and when it has to end it gets SIGTERM, a while, and
// SIGKILL, which further signals hasten. The person who waits is told what for.
import type { Log } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { messageOf } from "../locks/errors.js";
import { createClock } from "../line/clock.js";
import { endMembers, type Members } from "./group.js";
import type { CommandSpec, Commands } from "./machine.js";

// A program that takes Ctrl-C for its own, as a debugger does, gets it now and then: only two that come together are for us.
const TOGETHER_MS = 5_000;

// Most programs end within milliseconds of SIGTERM, and nobody needs to hear of those.
const TELL_AFTER_MS = 500;

const clock = createClock();

export interface CommandEnding {
  /** Passes a signal on; the second one begins to end the group, and the next makes it SIGKILL. */
  readonly relay: (signal: NodeJS.Signals) => void;
  /** Begins to end the group; again, it changes nothing. */
  readonly end: () => void;
  /** The same when the claim is lost: what is left after the grace is killed, whatever has begun before. */
  readonly endInGrace: () => void;
  /** Ends the group by SIGKILL. */
  readonly killNow: () => void;
  hasBegun(): boolean;
  /** Resolves when the group has ended, at once where its end has not begun. */
  done(): Promise<void>;
}

/** @param reached has a signal that this process was sent reached the command by itself? */
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
      () => undefined, // It has ended before.
    );
    // When it may not be ended (it runs as another user) there is only waiting for it: it must not count as ended while it runs.
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

  /** A command may take its time after Ctrl-C, or take no notice of it. */
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
