// Whom a freeze binds among those who want a lease, and waiting for the thaw with a claim that stands in line.
import { type Bound, readBinding, untilThawed } from "../line/freezes.js";
import type { Joined } from "../locks/coordinator.js";
import type { Freeze, FreezeSubject } from "../locks/freezes.js";
import { hostOfLock } from "../locks/names.js";
import { link } from "../locks/signals.js";
import type { LeaseContext, LeaseRequest } from "./request.js";

/** Freezes keep a lease from being taken, and nothing is left in line. */
export interface Frozen {
  readonly outcome: "frozen";
  /** The first of the locks. */
  readonly lock: string;
  readonly freezes: readonly Freeze[];
}

/** What binds a lease; `null` for one that is taken despite all freezes. */
export async function readBindingOf(request: LeaseRequest, context: LeaseContext): Promise<Bound | null> {
  if (request.despiteFreeze === true) return null;
  return readBinding(context.coordinator, subjectsOf(request, context), context.signal);
}

export function frozenBy({ locks: [lock = ""] }: LeaseRequest, { binding }: Bound): Frozen {
  return { outcome: "frozen", lock, freezes: binding };
}

/**
 * Keeps a place in line until the thaw, as long as there is time for that.
 * @returns what binds then: nothing, or what ends the wait
 * @throws SessionLostError when the place is lost with its session
 */
export async function holdPlace(
  request: LeaseRequest,
  context: LeaseContext,
  { session }: Joined,
  leftMs: number | null,
): Promise<Bound> {
  const { coordinator, clock, progress, sleepTimeMs } = context;
  const { signal, unlink } = link(context.signal, session.lost);
  try {
    return await untilThawed(coordinator, subjectsOf(request, context), {
      ...{ clock, progress, sleepTimeMs, signal },
      timeoutMs: leftMs,
    });
  } finally {
    unlink();
  }
}

/** A lock on a host is for work on that host, wherever it is asked for. */
function subjectsOf(
  { locks }: LeaseRequest,
  { node, subject = { node, group: "default" } }: LeaseContext,
): readonly FreezeSubject[] {
  return locks.flatMap((lock) => {
    const host = hostOfLock(lock);
    const nodes = new Set(host === null ? [subject.node] : [subject.node, host]);
    return [...nodes].map((name) => ({ lock, node: name, group: subject.group }));
  });
}
