// Waiting in a lock's line until a deadline: what a waiter looks at meanwhile, how long it pauses between looks, and what it
// tells of the head of the line. The queueing itself is turn.ts's.
import type { Claim } from "../locks/claim.js";
import { conditionOf } from "../locks/claim.js";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { ClaimLostError, UnreachableError } from "../locks/errors.js";
import { link } from "../locks/signals.js";
import type { Clock } from "./clock.js";
import { endExpired, readHolders } from "./holders.js";
import type { Perspective } from "./perspective.js";
import type { HeadOfLine, Progress } from "./progress.js";
import type { Turn } from "./turn.js";
import { takeTurn } from "./turn.js";

// Far back in a long line looks are rarer, a sleep_time for each claim ahead, so that a fleet's looks add up to little.
// They are never rarer than this, so that a person does not see old news for long.
const RAREST_LOOK_MS = 10_000;

// A store may refuse at once; one that does not answer has had its connect timeout already.
const ASKED_AGAIN_MS = 1_000;

export interface AcquireSettings {
  /** The longest pause between looks where nothing wakes the waiter sooner. */
  readonly sleepTimeMs: number;
  /** 0: do not wait; `null`: wait for ever. */
  readonly timeoutMs: number | null;
  /** What a waiter does behind a holder whose action has failed; by default it waits. */
  readonly behindFailed?: "wait" | "leave";
}

export type LineOutcome =
  | Extract<Turn, { readonly outcome: "granted" }>
  // The time was over, or `onHolder` ended the wait.
  | ({ readonly outcome: "timed-out" } & Withdrawn)
  | ({ readonly outcome: "left" } & Withdrawn)
  /** Somebody took the claim out of the queue while it waited. */
  | { readonly outcome: "taken-out"; readonly message: string };

/** How things stood when the claim was withdrawn. */
interface Withdrawn {
  /** How many claims were before it. */
  readonly ahead: number;
  readonly head: HeadOfLine | null;
}

export interface WaitOptions {
  readonly clock: Clock;
  readonly acquire: AcquireSettings;
  readonly progress: Progress;
  readonly perspective: Perspective;
  /** Looks at each claim that holds the lock. `leave` ends the wait, and so does what it throws. By default the waiter stays. */
  readonly onHolder?: (claim: Claim) => "stay" | "leave";
  /** The user's wish to end: rejects the wait with its reason. */
  readonly stop: AbortSignal;
}

/** Waits for a draft's turn until it is granted, the time is over, or `onHolder` says leave. */
export async function waitInLine(coordinator: Coordinator, draft: Draft, options: WaitOptions): Promise<LineOutcome> {
  const { clock, acquire, progress, perspective, stop } = options;
  const late = new AbortController();
  const ended = link(stop, late.signal);
  const over = new AbortController();
  let ahead = 0;
  let head: HeadOfLine | null = null;
  let mustLeave = false;
  const waits = acquire.timeoutMs !== 0;
  const outage = outageOf(clock, progress, draft.id);
  const storeClock = reckonedClock(coordinator, clock);
  if (acquire.timeoutMs !== null && acquire.timeoutMs > 0) {
    clock.sleep(acquire.timeoutMs, over.signal).then(
      () => late.abort(TOO_LATE),
      () => undefined, // The wait was over first.
    );
  }
  const look = async ({ lock, claimsAhead }: { lock: string; claimsAhead: number }): Promise<"stay" | "leave"> => {
    ahead = claimsAhead;
    let mayBeFree = false;
    try {
      const holders = await readHolders(coordinator, lock, ended.signal);
      outage.ended();
      // The waiter's own claim is ephemeral. A durable one with its id belongs to another process that was given the same id.
      const others = holders.filter(({ id, durable }) => id !== draft.id || durable);
      // Where nobody is in the way any more, the next look at the line says so.
      mayBeFree = others.length === 0 || (await endExpired(coordinator, others, ended.signal)) > 0;
      // All of them are looked at: `onHolder` may refuse a later one.
      const answers = others.map((claim) => options.onHolder?.(claim));
      mustLeave = answers.includes("leave");
      head = mayBeFree ? null : await readHead(others, perspective, () => storeClock.read(ended.signal));
    } catch (error) {
      // The claim keeps its place as long as its session lives, and a failed read does not mean that the session is lost.
      if (!(error instanceof UnreachableError)) throw error;
      head = null;
      if (waits) {
        outage.goesOn(error);
        return "stay";
      }
    }
    if (waits) progress.waiting(lock, ahead, head);
    return mustLeave || (!waits && !mayBeFree) ? "leave" : "stay";
  };
  try {
    const turn = await takeTurn(coordinator, draft, {
      signal: ended.signal,
      // Settling issues its own token.
      needsFencingToken: !draft.settles,
      ...(waits
        ? {
            onSilence: (error) => {
              outage.goesOn(error);
              return clock.sleep(ASKED_AGAIN_MS, ended.signal);
            },
          }
        : {}),
      onRejoin: () => progress.step("the session was lost while waiting: joined again at the end of the line", { claim: draft.id }),
      pause: (claimsAhead, signal) => clock.sleep(waits ? pauseOf(acquire.sleepTimeMs, claimsAhead) : acquire.sleepTimeMs, signal),
      look,
    });
    if (turn.outcome === "granted") return turn;
    return { outcome: mustLeave ? "left" : "timed-out", ahead, head };
  } catch (error) {
    if (error instanceof ClaimLostError) return { outcome: "taken-out", message: error.message };
    if (error === TOO_LATE) return { outcome: "timed-out", ahead, head };
    throw error;
  } finally {
    over.abort();
    ended.unlink();
  }
}

// The wait recognizes this very object among all errors.
const TOO_LATE = new Error("the time to wait is over");

/** Tells how long the store has been silent, at each question that it has not answered; and that it answers again. */
function outageOf(clock: Clock, progress: Progress, claim: string) {
  let heardAt = clock.now();
  let isSilent = false;
  return {
    goesOn(error: UnreachableError): void {
      isSilent = true;
      const silence = formatDuration(Math.max(0, clock.now() - heardAt));
      progress.step(`the store has not answered for ${silence}: waiting on`, { claim, problem: error.message });
    },
    ended(): void {
      if (isSilent) progress.step("the store answers again", { claim });
      isSilent = false;
      heardAt = clock.now();
    },
  };
}

function pauseOf(sleepTimeMs: number, claimsAhead: number): number {
  return Math.min(sleepTimeMs * Math.max(1, claimsAhead), RAREST_LOOK_MS);
}

// A store may answer the question for its time with a write. What a person sees needs no question more often than this.
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

/** Of the claims that hold a lock, the one to tell a waiter about. */
async function readHead(
  holders: readonly Claim[],
  perspective: Perspective,
  readClock: () => Promise<number>,
): Promise<HeadOfLine | null> {
  // A failed one says most about why nothing moves. Without one it is the first.
  const claim = holders.find(({ failure }) => failure !== null) ?? holders[0];
  if (claim === undefined) return null;
  const { owner, reason, failure, since } = claim;
  const now = await readClock();
  return {
    owner,
    isNamesakes: perspective.isNamesakes(claim),
    condition: conditionOf(claim, true, perspective.isOwnerGone(claim)),
    forMs: Math.max(0, now - since),
    reason,
    failure: failure === null ? null : { ...failure, agoMs: Math.max(0, now - failure.at) },
  };
}
