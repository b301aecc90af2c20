// Waiting for a turn in the queues of one or several locks. Owns the loop between join and grant. Neither settles nor runs
// anything, and reads no clock.
//
//   joining → waiting ⇄ looking → granted
//                ↓ session lost → joining (at the end of the line), again and again while the store is silent
//                ↓ signal, or `look` says leave → withdrawn
import { ClosedError, SessionLostError, UnreachableError } from "../locks/errors.js";
import type { Coordinator, Draft, Joined, Ahead, QueuePosition } from "../locks/coordinator.js";
import { blockers, isHeld } from "../locks/rule.js";
import type { Contender } from "../locks/rule.js";
import { link } from "../locks/signals.js";

/** How a wait ended. A wait that is aborted rejects with the signal's reason, after its claim has been withdrawn. */
export type Turn = { readonly outcome: "granted"; readonly joined: Joined } | { readonly outcome: "left" };

/** What a waiter does between wake-ups, and how it learns of its progress. */
export interface TurnOptions {
  /** Ends the wait. The claim is withdrawn before the rejection. */
  readonly signal: AbortSignal;
  /**
   * Called after a join that was not granted at once, whenever the line has moved, and after every pause, with the place
   * that is not granted; `leave` withdraws the claim. What it throws ends the wait likewise.
   */
  readonly look?: (blocked: { readonly lock: string; readonly claimsAhead: number }) => Promise<"stay" | "leave">;
  /** Resolves when it is time for another look though nothing has moved. Without it only departures wake the waiter. */
  readonly pause?: (claimsAhead: number, signal: AbortSignal) => Promise<void>;
  /**
   * The claim needs a fencing token of its session's: then the grant is read from the store after the last holder has left.
   * Otherwise that leaving itself can be the grant, which is faster.
   */
  readonly needsFencingToken?: boolean;
  /**
   * With this, a claimant that stands in line waits through outages, and joins anew after them, until the signal ends the wait.
   * It is called each time that the store has not answered in time, and resolves when it is time to ask again. Without it the
   * wait ends with the store's `UnreachableError`. A first join that the store does not answer rejects in any case.
   */
  readonly onSilence?: (error: UnreachableError) => Promise<void>;
  /** The session ended while the claim waited: it joins anew, at the end. */
  readonly onRejoin?: () => void;
}

/** Joins the line for a draft's locks and waits until the rule grants it, in all of them. */
export async function takeTurn(coordinator: Coordinator, draft: Draft, options: TurnOptions): Promise<Turn> {
  for (let isAgain = false; ; isAgain = true) {
    const enter = () => join(coordinator, draft, options);
    const { session, lines } = await (isAgain ? throughOutages(enter, options) : enter());
    const joined = { session, positions: lines.map(({ position }) => position) };
    try {
      const turn = await waitUntilGranted(coordinator, draft, joined, lines, options);
      // A claim that settles needs no confirmation: settling asks the store.
      if (turn.outcome === "granted" && !draft.settles) await coordinator.confirm(turn.joined, options.signal);
      if (turn.outcome === "left") await coordinator.withdraw(joined.positions);
      return turn;
    } catch (error) {
      if (error instanceof SessionLostError) {
        // A caller who has asked for the end gets it, even if the session ended first.
        options.signal.throwIfAborted();
        options.onRejoin?.();
        continue;
      }
      // Also where somebody took the claim out of one of its queues: it still stands in the others.
      if (!joined.session.lost.aborted) await coordinator.withdraw(joined.positions);
      throw error;
    }
  }
}

/** Keeps no more of the answer than a waiter must remember: see {@link Line}. */
async function join(coordinator: Coordinator, draft: Draft, options: TurnOptions) {
  const { session, positions } = await coordinator.join(draft, options.signal);
  return { session, lines: positions.map((position) => lineOf(draft, position, options)) };
}

async function waitUntilGranted(
  coordinator: Coordinator,
  draft: Draft,
  joined: Joined,
  joinedLines: readonly Line[],
  options: TurnOptions,
): Promise<Turn> {
  let lines = joinedLines;
  for (;;) {
    const line = lines.find(({ isBlocked }) => isBlocked);
    if (line === undefined) return { outcome: "granted", joined: { ...joined, positions: lines.map(({ position }) => position) } };
    const { position, claimsAhead } = line;
    const { lock, ahead: near } = position;
    if ((await options.look?.({ lock, claimsAhead })) === "leave") return { outcome: "left" };

    const gone = await throughOutages(() => departedOrPaused(coordinator, joined, line, options), options);
    const left = near.filter((place) => !gone.includes(place.ref));
    // The claims ahead can only become fewer, so a waiter that knew all of them knows those that are left. A waiter asks the
    // store if it did not know them all, if it has paused, or if its turn has come and it needs a token.
    const isKnown = gone.length > 0 && claimsAhead === near.length;
    const isEnough = isKnown && (options.needsFencingToken !== true || !isHeld(queueOf(draft, left), left.length));
    const ask = () => coordinator.position(position, options.signal);
    const moved = isEnough ? { ...position, ahead: left } : await throughOutages(ask, options);
    lines = lines.map((other) => (other === line ? lineOf(draft, moved, options) : other));
  }
}

/** Asks until the store answers or the wait is over. The store bounds each attempt. */
async function throughOutages<T>(ask: () => Promise<T>, { signal, onSilence }: TurnOptions): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (onSilence === undefined || !(error instanceof UnreachableError) || error instanceof ClosedError) throw error;
      await onSilence(error);
    }
  }
}

/** What a waiter remembers of a line. Lines may be long, and a thousand may wait in one. */
interface Line {
  readonly isBlocked: boolean;
  /** Has those ahead that the waiter watches; all of them where the claim is not blocked. */
  readonly position: QueuePosition;
  readonly claimsAhead: number;
}

// With one scout the read would come almost too late: a hand-off takes about as long as a read behind another's write.
const SCOUTS = 2;

/**
 * A waiter watches the claims in its way, and the nearest of the others, its scouts: in a line that moves in order these leave
 * before the last obstacle does. A waiter that reads the line when the first scout leaves knows who else is ahead, and has
 * nothing to read when the obstacle leaves. A waiter that reads at that moment anyway, for its token, has no use for scouts.
 */
function lineOf(draft: Draft, position: QueuePosition, { needsFencingToken = false }: TurnOptions): Line {
  const { ahead } = position;
  const claimsAhead = ahead.length;
  const inTheWay = new Set(blockers(queueOf(draft, ahead), claimsAhead));
  if (inTheWay.size === 0) return { isBlocked: false, position: { ...position, ahead }, claimsAhead };
  const near: Ahead[] = [];
  let scouts = needsFencingToken ? 0 : SCOUTS;
  for (let index = claimsAhead - 1; index >= 0; index -= 1) {
    if (inTheWay.has(index) || scouts-- > 0) near.push(ahead[index] as Ahead);
  }
  return { isBlocked: true, position: { ...position, ahead: near.reverse() }, claimsAhead };
}

function queueOf({ key, slots }: Draft, ahead: readonly Ahead[]): Contender[] {
  return [...ahead, { key, slots }];
}

/** The entries that have left; none when the pause ends first. */
async function departedOrPaused(
  coordinator: Coordinator,
  joined: Joined,
  { position, claimsAhead }: Line,
  options: TurnOptions,
): Promise<readonly string[]> {
  const refs = position.ahead.map(({ ref }) => ref);
  if (options.pause === undefined) return coordinator.departed(joined, position.lock, refs, options.signal);
  const wake = new AbortController();
  const { signal, unlink } = link(options.signal, wake.signal);
  const departure = coordinator.departed(joined, position.lock, refs, signal);
  const pause = options.pause(claimsAhead, signal).then(() => [] as const);
  try {
    return await Promise.race([departure, pause]);
  } finally {
    wake.abort();
    unlink();
    await Promise.allSettled([departure, pause]);
  }
}
