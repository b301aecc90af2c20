// Waiting in a lock's line as a guarded run does it: with a deadline, a look every so often, and words for what is ahead.
// The queueing itself is locks/turn.ts's; what to do about claims of one's own that are found there is recovery.ts's.
import type { Claim } from "../locks/claim.js";
import { conditionOf } from "../locks/claim.js";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { ClaimLostError, UnreachableError } from "../locks/errors.js";
import { execProgramOf } from "../locks/exec-actions.js";
import { endExpired, readHolders } from "./holders.js";
import { link } from "../locks/signals.js";
import { shortened } from "../locks/text.js";
import type { Turn } from "./turn.js";
import { takeTurn } from "./turn.js";
import type { Clock } from "./clock.js";
import type { Behind, Progress } from "./progress.js";

// Far back in a long line looks are rarer, a sleep_time for each claim ahead, so that a fleet's looks add up to little;
// but never rarer than this, so that what a person is shown is not long out of date.
const RAREST_LOOK_MS = 10_000;

// A store may refuse at once; one that does not answer has had its connect timeout already.
const ASKED_AGAIN_MS = 1_000;

export interface AcquireSettings {
  /** The longest pause between looks where nothing wakes the waiter sooner. */
  readonly sleepTimeMs: number;
  /** 0: do not wait; `null`: wait for ever. */
  readonly timeoutMs: number | null;
}

export type LineOutcome =
  | Extract<Turn, { readonly outcome: "granted" }>
  | { readonly outcome: "timed-out"; readonly ahead: number; readonly behind: Behind | null }
  /** Somebody took the claim out of the queue while it waited. */
  | { readonly outcome: "taken-out"; readonly message: string }
  /** A claim of one's own was found in the queue that has to be dealt with first. */
  | { readonly outcome: "leftover" };

export interface LineOptions {
  readonly clock: Clock;
  readonly acquire: AcquireSettings;
  readonly progress: Progress;
  readonly ownerGone: (claim: Claim) => boolean;
  /** Is it a claim that must be dealt with before this one may wait on? */
  readonly isLeftover: (claim: Claim) => boolean;
  /** Is given each claim that holds the lock, and throws where the wait must not go on beside it. */
  readonly inspect?: (claim: Claim) => void;
  /** Was a claim made by another machine that has this node's name? */
  readonly isNamesakes?: (claim: Claim) => boolean;
  /** The user's wish to end: rejects the wait with its reason. */
  readonly stop: AbortSignal;
}

/** Waits for a draft's turn until it is granted, the time is over, or a leftover of one's own turns up. */
export async function waitInLine(coordinator: Coordinator, draft: Draft, options: LineOptions): Promise<LineOutcome> {
  const { clock, acquire, progress, stop } = options;
  const late = new AbortController();
  const ended = link(stop, late.signal);
  const over = new AbortController();
  let ahead = 0;
  let behind: Behind | null = null;
  let leftover = false;
  const isToWait = acquire.timeoutMs !== 0;
  const outage = outageOf(clock, progress, draft.id);
  const storeClock = reckonedClock(coordinator, clock);
  if (acquire.timeoutMs !== null && acquire.timeoutMs > 0) {
    clock.sleep(acquire.timeoutMs, over.signal).then(
      () => late.abort(TOO_LATE),
      () => undefined, // The wait was over first.
    );
  }
  try {
    const turn = await takeTurn(coordinator, draft, {
      signal: ended.signal,
      // Whoever settles is given one by that.
      needsFencingToken: !draft.settles,
      ...(isToWait
        ? {
            onSilence: (error) => {
              outage.goesOn(error);
              return clock.sleep(ASKED_AGAIN_MS, ended.signal);
            },
          }
        : {}),
      onRejoin: () => progress.step("the session was lost while waiting: joined again at the end of the line", { claim: draft.id }),
      pause: (claimsAhead, signal) =>
        clock.sleep(isToWait ? pauseOf(acquire.sleepTimeMs, claimsAhead) : acquire.sleepTimeMs, signal),
      look: async ({ lock, claimsAhead }) => {
        ahead = claimsAhead;
        let mayBeFree = false;
        try {
          const holders = await readHolders(coordinator, lock, ended.signal);
          outage.isOver();
          // One's own claim is ephemeral: a durable one with its id was made by somebody else who was asked for the same.
          const others = holders.filter(({ id, durable }) => id !== draft.id || durable);
          // Where nobody is in the way any more, the next look at the line says so.
          mayBeFree = others.length === 0 || (await endExpired(coordinator, others, ended.signal)) > 0;
          for (const claim of others) options.inspect?.(claim);
          leftover = others.some((claim) => options.isLeftover(claim));
          behind = mayBeFree ? null : await describeHead(others, options, () => storeClock.read(ended.signal));
        } catch (error) {
          // The claim keeps its place as long as its session lives; how long that is, is not for a look to say.
          if (!(error instanceof UnreachableError)) throw error;
          behind = null;
          if (isToWait) {
            outage.goesOn(error);
            return "stay";
          }
        }
        if (isToWait) progress.waiting(lock, ahead, behind);
        return leftover || (!isToWait && !mayBeFree) ? "leave" : "stay";
      },
    });
    if (turn.outcome === "granted") return turn;
    return leftover ? { outcome: "leftover" } : { outcome: "timed-out", ahead, behind };
  } catch (error) {
    if (error instanceof ClaimLostError) return { outcome: "taken-out", message: error.message };
    if (error === TOO_LATE) return { outcome: "timed-out", ahead, behind };
    throw error;
  } finally {
    over.abort();
    ended.unlink();
  }
}

/** Says for how long the store has not answered, each time that it has not; and that it answers again. */
function outageOf(clock: Clock, progress: Progress, claim: string) {
  let heardAt = clock.now();
  let isSilent = false;
  return {
    goesOn(error: UnreachableError): void {
      isSilent = true;
      const silence = formatDuration(Math.max(0, clock.now() - heardAt));
      progress.step(`the store has not answered for ${silence}: waiting on`, { claim, problem: error.message });
    },
    isOver(): void {
      if (isSilent) progress.step("the store answers again", { claim });
      isSilent = false;
      heardAt = clock.now();
    },
  };
}

function pauseOf(sleepTimeMs: number, claimsAhead: number): number {
  return Math.min(sleepTimeMs * Math.max(1, claimsAhead), RAREST_LOOK_MS);
}

// Asking a store for its time may be a write. For what a person is shown it need be asked no more often than this.
const CLOCK_ASKED_EVERY_MS = 600_000;

/** The store's clock as a waiter goes by it, in milliseconds since 1970: asked now and then, and reckoned in between. */
function reckonedClock(coordinator: Coordinator, clock: Clock): { read(signal: AbortSignal): Promise<number> } {
  let asked: { readonly store: number; readonly own: number } | null = null;
  return {
    async read(signal) {
      if (asked === null || clock.now() - asked.own > CLOCK_ASKED_EVERY_MS)
        asked = { store: (await coordinator.sync(signal)).ms, own: clock.now() };
      return asked.store + clock.now() - asked.own;
    },
  };
}

// Told from every other error by being itself.
const TOO_LATE = new Error("the time to wait is over");

async function describeHead(
  held: readonly Claim[],
  { ownerGone, isNamesakes }: Pick<LineOptions, "ownerGone" | "isNamesakes">,
  readClock: () => Promise<number>,
): Promise<Behind | null> {
  // A failed one says most about why nothing moves; then whoever is first.
  const head = held.find((claim) => claim.failure !== null) ?? held[0];
  if (head === undefined) return null;
  const now = await readClock();
  return {
    owner: head.owner,
    isNamesakes: isNamesakes?.(head) === true,
    condition: conditionOf(head, true, ownerGone(head)),
    forMs: Math.max(0, now - head.since),
    reason: head.reason,
    failure: head.failure === null ? null : { ...head.failure, agoMs: Math.max(0, now - head.failure.at) },
  };
}

// A reason may be a page long; a waiter's line has room for its beginning.
const LONGEST_REASON = 100;

/** What holds a lock, in words: "web-07: ann@desk for 12 s (schema 42)", or "FAILED on web-07 3 min ago: exit code 1". */
export function describeBehind(behind: Behind): string {
  const { owner, condition, failure, reason } = behind;
  const what = owner.action ?? owner.principal;
  const node = behind.isNamesakes ? `${owner.node} (another machine of this name)` : owner.node;
  // An action's claim is taken up by its node's next run or resume; an exec's by nobody who has not typed it.
  const ends =
    execProgramOf(owner.action) !== null && (failure !== null || condition === "stale")
      ? ` (ends with the same "holdline exec --durable" there, or holdline clear)`
      : "";
  if (failure !== null) return `FAILED on ${node} ${formatDuration(failure.agoMs)} ago: ${failure.message}${ends}`;
  const agent = condition === "stale" ? ", its agent is gone" : "";
  const why = reason === null ? "" : ` (${shortened(reason, LONGEST_REASON)})`;
  return `${node}: ${what} for ${formatDuration(behind.forMs)}${agent}${why}${ends}`;
}

/** "1st", "2nd", "3rd", "11th". */
export function ordinal(place: number): string {
  const suffix = place % 100 >= 11 && place % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th");
  return `${place}${suffix}`;
}
