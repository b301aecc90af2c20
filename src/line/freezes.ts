// Freezes as a store has them: reads them, and waits until none binds any more. What they say and whom they bind is locks/freezes.ts's.
import type { Coordinator, StoreTime } from "../locks/coordinator.js";
import type { DocumentCheck } from "../locks/documents.js";
import { ClosedError, HoldlineError, UnreachableError } from "../locks/errors.js";
import {
  bindingFreezes,
  decodeFreezesDocument,
  type Freeze,
  FREEZES_DOCUMENT,
  type FreezeSubject,
  isOfWholeLock,
} from "../locks/freezes.js";
import { type Root, whyNotToLook, whyNotToUse } from "../locks/root.js";
import { link } from "../locks/signals.js";
import type { Clock } from "./clock.js";
import type { Progress } from "./progress.js";
import { describeFreezes } from "./words.js";

/** The freezes of a store, those included whose time is over and that nobody has put away yet. */
export interface StoredFreezes {
  readonly freezes: readonly Freeze[];
  /** The document's; 0: there is none. */
  readonly revision: number;
  /** What the root says of itself. */
  readonly root: Root;
  /** The store's time. It is asked for only where a freeze has an end; else it is one by which nothing has ended. */
  readonly time: StoreTime;
}

const NOTHING_HAS_ENDED: StoreTime = { ms: 0, errorMs: Number.POSITIVE_INFINITY };

/**
 * Reads the freezes of a store. What cannot be read may say that everything is frozen, so it is never taken for none.
 * @throws HoldlineError `configuration` where the document is none of ours or everything has moved to another store, `not-allowed`
 * where the store refuses to show it
 * @throws UnreachableError when the store does not answer
 */
export async function readFreezes(coordinator: Coordinator, signal?: AbortSignal): Promise<StoredFreezes> {
  const document = await coordinator.document(FREEZES_DOCUMENT, signal);
  const read = decodeFreezesDocument(document?.value ?? null);
  if (read === null) {
    throw new HoldlineError(
      "configuration",
      "the store's freezes cannot be read: another program, or a later holdline, has written them",
      {
        hint: "until then everything counts as frozen; update holdline, or write them anew with: holdline thaw --all",
      },
    );
  }
  const { freezes, root } = read;
  const problem = whyNotToLook(root);
  if (problem !== null) throw problem;
  const time = freezes.some(({ until }) => until !== null) ? await coordinator.sync(signal) : NOTHING_HAS_ENDED;
  return { freezes, revision: document?.revision ?? 0, root, time };
}

/**
 * The same for those who want to begin something or to change it.
 * @throws HoldlineError also `conflict`, while the root is being moved
 */
export async function readFreezesToBegin(coordinator: Coordinator, signal?: AbortSignal): Promise<StoredFreezes> {
  const stored = await readFreezes(coordinator, signal);
  const problem = whyNotToUse(stored.root);
  if (problem !== null) throw problem;
  return stored;
}

/** What binds somebody, and how the store was when that was read. */
export interface Bound {
  /** In force now, those of a whole lock first; none: the subjects may begin. */
  readonly binding: readonly Freeze[];
  /** What settling has to check: that the freezes are still as they were read. */
  readonly check: DocumentCheck;
  readonly time: StoreTime;
}

/**
 * Reads what binds any of the subjects.
 * @param subjects one for each lock of a claim
 * @throws what {@link readFreezes} throws
 */
export async function readBinding(
  coordinator: Coordinator,
  subjects: readonly FreezeSubject[],
  signal?: AbortSignal,
): Promise<Bound> {
  const { freezes, revision, time } = await readFreezesToBegin(coordinator, signal);
  const all = new Set(subjects.flatMap((subject) => bindingFreezes(freezes, subject, time)));
  const binding = [...all].sort((one, other) => Number(isOfWholeLock(other)) - Number(isOfWholeLock(one)));
  return { binding, check: { name: FREEZES_DOCUMENT, revision }, time };
}

/** Whether a waiter keeps its place: while the whole lock is frozen nobody behind it could go ahead. */
export function keepsPlace(binding: readonly Freeze[]): boolean {
  return binding[0] !== undefined && isOfWholeLock(binding[0]);
}

export interface ThawOptions {
  readonly clock: Clock;
  readonly progress: Progress;
  /** How long to wait at most; 0: not at all, `null`: for ever. */
  readonly timeoutMs: number | null;
  /** The longest pause between looks at a store that cannot be watched. */
  readonly sleepTimeMs: number;
  /** Ends the wait, which rejects with its reason: somebody wants that, or the waiter's session was lost. */
  readonly signal: AbortSignal;
}

// The watch tells of every change. This bounds how late a waiter is if it should ever fail to.
const RAREST_LOOK_MS = 60_000;
// A store may refuse at once; one that does not answer has had its connect timeout already.
const ASKED_AGAIN_MS = 1_000;

/**
 * Waits, as one who has a place in line, until nothing binds the subjects any more: a freeze was thawed, or ended by the store's clock.
 * Through outages too, as long as there is time.
 * @returns at once what binds a waiter that keeps no place, and what still binds when the time is over
 * @throws what {@link readFreezes} throws
 */
export async function untilThawed(
  coordinator: Coordinator,
  subjects: readonly FreezeSubject[],
  options: ThawOptions,
): Promise<Bound> {
  const { clock, progress, timeoutMs } = options;
  const first = await readBinding(coordinator, subjects, options.signal);
  if (timeoutMs === 0 || !keepsPlace(first.binding)) return first;
  const late = new AbortController();
  const over = new AbortController();
  const { signal, unlink } = link(options.signal, late.signal);
  if (timeoutMs !== null) {
    clock.sleep(timeoutMs, over.signal).then(
      () => late.abort(),
      () => undefined, // The wait was over first.
    );
  }
  const details = { locks: subjects.map(({ lock }) => lock) };
  progress.step(`${describeFreezes(first.binding)}: waiting for the thaw`, details);
  let bound = first;
  const changes = new Changes();
  try {
    const watch = await throughOutages(() => openWatch(coordinator, changes, signal), options, signal);
    try {
      for (;;) {
        changes.isNews = false;
        bound = await throughOutages(() => readBinding(coordinator, subjects, signal), options, signal);
        if (!keepsPlace(bound.binding)) return bound;
        const pauseMs = Math.min(nextEndMs(bound), watch === null ? options.sleepTimeMs : RAREST_LOOK_MS);
        await changes.orPause(clock, pauseMs, signal);
      }
    } finally {
      watch?.close();
    }
  } catch (error) {
    // Somebody who asks for the end gets it, even if the time was over first.
    options.signal.throwIfAborted();
    if (late.signal.aborted) return bound;
    throw error;
  } finally {
    over.abort();
    unlink();
  }
}

/** In how many milliseconds the next of the freezes may end. */
function nextEndMs({ binding, time: { ms, errorMs } }: Bound): number {
  const ends = binding.flatMap(({ until }) => (until === null ? [] : [until + errorMs - ms]));
  return Math.max(1, Math.min(...ends));
}

/** Whether the freezes may have changed since the latest look. */
class Changes {
  isNews = false;
  #wake = (): void => undefined;

  tell(): void {
    this.isNews = true;
    this.#wake();
  }

  /** Resolves after `ms`, or with the first news. */
  async orPause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const { signal: either, unlink } = link(signal, woken.signal);
    this.#wake = () => woken.abort();
    try {
      if (!this.isNews) await clock.sleep(ms, either);
    } catch (error) {
      signal.throwIfAborted();
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#wake = () => undefined;
      unlink();
    }
  }
}

/** `null` where the store cannot be watched: then the waiter looks again and again. */
async function openWatch(coordinator: Coordinator, changes: Changes, signal: AbortSignal) {
  try {
    return await coordinator.watch((change) => {
      if (change === null || change.documents.has(FREEZES_DOCUMENT)) changes.tell();
    }, signal);
  } catch (error) {
    if (error instanceof UnreachableError || !(error instanceof HoldlineError)) throw error;
    return null;
  }
}

async function throughOutages<T>(ask: () => Promise<T>, { clock, progress }: ThawOptions, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnreachableError) || error instanceof ClosedError) throw error;
      progress.step("the store does not answer whether it is thawed: waiting on", { problem: error.message });
      await clock.sleep(ASKED_AGAIN_MS, signal);
    }
  }
}
