// A lease under an id of the caller's own: however often and through however many processes the caller asks with that id,
// there is one claim. The second to ask waits for the outcome of the first, and gets its lease.
//
//   looking → (no claim has the id) in line → acquired, held, or looking again when another was faster
//           → (a claim of somebody else's waits with the id) following → looking
//           → (a lease has it) found
import { readPresentQueue } from "../line/holders.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { judge, untilAnswered } from "./acquiring.js";
import type { Acquired, Try } from "./acquiring.js";
import { attemptLease, findObstacles, UNDECIDED } from "./attempt.js";
import type { Attempt } from "./attempt.js";
import { frozenBy, readBindingOf } from "./frozen.js";
import type { LeaseContext, LeaseRequest } from "./request.js";

export type OnceRequest = LeaseRequest & { readonly id: string };

/** `found`: the lease is there, from an earlier time. */
export type AcquiredOnce = Acquired | { readonly outcome: "found"; readonly claim: Claim };

/** The ids of this process's requests that stand in line now: within a session, a claim is its id. */
const inLine = new WeakMap<Coordinator, Set<string>>();

// A claim with nobody in its way becomes a lease within some round trips.
const SHORTEST_PAUSE_MS = 10;

/**
 * Takes the lease `request.id`, or finds it.
 * @throws HoldlineError `conflict` when the id is that of another principal's claim, or of one on other locks; see also `acquireLease`
 */
export async function acquireOnce(request: OnceRequest, context: LeaseContext): Promise<AcquiredOnce> {
  const { coordinator, signal, sleepTimeMs } = context;
  const { id } = request;
  const ids = inLine.get(coordinator) ?? new Set();
  inLine.set(coordinator, ids);
  // From here on this session sees what any server of the ensemble answered before.
  await coordinator.sync(signal);
  return untilAnswered(request, context, async (leftMs, tries): Promise<Try<AcquiredOnce>> => {
    const own = await findOwn(request, context);
    if (own?.durable === true) return { answer: { outcome: "found", claim: own } };
    if (own === null && !ids.has(id)) {
      ids.add(id);
      try {
        return judge(await attemptUnlessDoubled({ ...request, waitMs: leftMs }, context), tries);
      } finally {
        ids.delete(id);
      }
    }
    const inTheWay = leftMs === 0 ? await findInTheWay(request, context) : null;
    if (inTheWay !== null) return { answer: inTheWay };
    return { retryAfterMs: Math.max(SHORTEST_PAUSE_MS, Math.min(sleepTimeMs, leftMs ?? sleepTimeMs)) };
  });
}

/** What keeps another request with the same id waiting; `null`: nothing, and it is about to have its lease. */
async function findInTheWay(request: OnceRequest, context: LeaseContext): Promise<Acquired | null> {
  const held = await findObstacles(request, request.id, context);
  if (held !== null) return held;
  const bound = await readBindingOf(request, context);
  return bound === null || bound.binding.length === 0 ? null : frozenBy(request, bound);
}

/** Where another request with the same id was faster, the attempt decides nothing: the next look finds that request's claim. */
async function attemptUnlessDoubled(request: OnceRequest, context: LeaseContext): Promise<Attempt> {
  try {
    const attempt = await attemptLease(request, context);
    // On ZooKeeper, of two that join at the same moment the first is taken out by the second.
    const isDoubled = attempt.outcome === "taken-out" && (await findOwn(request, context)) !== null;
    return isDoubled ? UNDECIDED : attempt;
  } catch (error) {
    // A store may refuse to have the same id twice.
    if (error instanceof HoldlineError && error.code === "conflict") return UNDECIDED;
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
