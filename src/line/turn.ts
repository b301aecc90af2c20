// Waiting one's turn in the queues of one or several locks. Owns the loop between join and grant; it neither settles
// nor runs anything, reads no clock, and knows no store but through the seam.
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
   * At the grant the store has been read after the last holder before the claim left, so that what its session has seen
   * is a fencing token for it. Otherwise the leaving itself can be the grant, which is faster.
   */
  readonly needsFencingToken?: boolean;
  /**
   * A claimant that stands in line waits through outages, and joins anew after them, until the signal ends the wait. This is
   * called whenever the store has not answered in time, and resolves when the store is to be asked again. Without it the wait
   * ends with the store's `UnreachableError`. A first join that the store does not answer rejects in any case.
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
      // Settling asks the store by itself.
      if (turn.outcome === "granted" && !draft.settles) await coordinator.confirm(turn.joined, options.signal);
      if (turn.outcome === "left") await coordinator.withdraw(joined.positions);
      return turn;
    } catch (error) {
      if (error instanceof SessionLostError) {
        // Whoever has asked for the end gets it, though the session was faster.
        options.signal.throwIfAborted();
        options.onRejoin?.();
        continue;
      }
      // Also where the claim was taken out of one of its queues: in the others it still stands.
      if (!joined.session.lost.aborted) await coordinator.withdraw(joined.positions);
      throw error;
    }
  }
}

/** Gives no more than must be remembered: see {@link Line}. */
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
    // What is ahead only shrinks: where all of it was known, so is what is left. Otherwise others may have left as well, and
    // the store is asked; so it is after a pause, for all that is hoped of it, and at the turn of whoever wants a token.
    const isKnown = gone.length > 0 && claimsAhead === near.length;
    const isEnough = isKnown && (options.needsFencingToken !== true || !isHeld(queueOf(draft, left), left.length));
    const ask = () => coordinator.position(position, options.signal);
    const moved = isEnough ? { ...position, ahead: left } : await throughOutages(ask, options);
    lines = lines.map((other) => (other === line ? lineOf(draft, moved, options) : other));
  }
}

/** Asks until the store answers, or the wait is over; each attempt has the store's own bound. */
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

/** What a waiter remembers of a line, which may be long, and a thousand may wait in it. */
interface Line {
  readonly isBlocked: boolean;
  /** With those ahead that are watched; with all of them where the claim is not blocked. */
  readonly position: QueuePosition;
  readonly claimsAhead: number;
}

// With one it would be read when it is almost too late: one hand-off lasts about as long as a read behind another's write.
const SCOUTS = 2;

/**
 * Those are watched that are in the way, and the nearest of the others, the scouts: in a line that moves in order they leave
 * before it. Who reads the line when the first of them leaves, while there is time, knows who else is ahead, and needs to
 * read nothing when the obstacle leaves. Who reads it then in any case has no use for scouts.
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

/** The entries that have left; none when the pause was over first. */
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
