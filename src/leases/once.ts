// A lease that is asked for with an id of the caller's: however often and of however many processes it is asked for with
// the same id, there is one claim. Whoever comes second waits for what becomes of the first, and is given its lease.
//
//   looking → (nobody) in line → acquired, held, or looking again when another was faster
//           → (somebody else stands in line with it) following → looking
//           → (it is a lease) found
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { readPresentQueue } from "../line/holders.js";
import { attemptLease, findHolders, takenOut } from "./lease.js";
import type { Acquired, Attempt, LeaseContext, LeaseRequest } from "./lease.js";

export type OnceRequest = LeaseRequest & { readonly id: string };

/** `found`: the lease is there, from an earlier time. */
export type AcquiredOnce = Acquired | { readonly outcome: "found"; readonly claim: Claim };

/** The ids with which requests of this process stand in line: within a session, a claim is its id. */
const inLine = new WeakMap<Coordinator, Set<string>>();

/**
 * Takes the lease `request.id`, or finds it.
 * @throws HoldlineError `conflict` when the id is that of another principal's claim, or of one on other locks; see also `acquireLease`
 */
export async function acquireOnce(request: OnceRequest, context: LeaseContext): Promise<AcquiredOnce> {
  const { coordinator, clock, signal, sleepTimeMs } = context;
  const { id } = request;
  const startedAt = clock.now();
  const ids = inLine.get(coordinator) ?? new Set();
  inLine.set(coordinator, ids);
  // What was answered before, by whichever server of an ensemble, is seen from here on.
  await coordinator.sync(signal);
  for (;;) {
    const leftMs = request.waitMs === null ? null : Math.max(0, request.waitMs - (clock.now() - startedAt));
    const own = await findOwn(request, context);
    if (own?.durable === true) return { outcome: "found", claim: own };
    if (own === null && !ids.has(id)) {
      ids.add(id);
      let attempt: Attempt;
      try {
        attempt = await attemptUnlessDoubled({ ...request, waitMs: leftMs }, context);
      } finally {
        ids.delete(id);
      }
      if (attempt.outcome === "acquired" || attempt.outcome === "held") return attempt;
      // On ZooKeeper, of two that join at the same moment the first is taken out by the second.
      if (attempt.outcome === "taken-out" && (await findOwn(request, context)) === null) throw takenOut(attempt);
      continue;
    }
    const held = leftMs === 0 ? await findHolders(request, id, context) : null;
    if (held !== null) return held;
    await clock.sleep(Math.max(SHORTEST_PAUSE_MS, Math.min(sleepTimeMs, leftMs ?? sleepTimeMs)), signal);
  }
}

// A claim that nobody stands in the way of is a lease within some round trips.
const SHORTEST_PAUSE_MS = 10;

async function attemptUnlessDoubled(request: OnceRequest, context: LeaseContext): Promise<Attempt> {
  try {
    return await attemptLease(request, context);
  } catch (error) {
    // A store may refuse to have the same id twice: whoever was faster is found by another look.
    if (error instanceof HoldlineError && error.code === "conflict") return { outcome: "undecided" };
    throw error;
  }
}

/** The claim with the id on one of the locks, waiting or held. */
async function findOwn({ id, locks, principal }: OnceRequest, { coordinator, signal }: LeaseContext): Promise<Claim | null> {
  const queues = await Promise.all(locks.map((lock) => readPresentQueue(coordinator, lock, signal)));
  const own = queues.flat().find((claim) => claim.id === id);
  if (own === undefined) return null;
  const isSame = own.lease !== null && own.owner.principal === principal && own.lease.locks.join("\0") === locks.join("\0");
  if (isSame) return own;
  throw new HoldlineError("conflict", `the id ${id} is that of another claim`, {
    hint: "give each lease an id of its own",
  });
}
