// Slots that are a percentage of a group's nodes: how many that is now. The count is kept in the store for a while, so that the work of
// a run does not grow with the fleet.
import {
  countMembers,
  decodeMembership,
  documentOfMembership,
  encodeMembership,
  isBelieved,
  slotsOf,
} from "../fleet/membership.js";
import { NODES_PREFIX, nodesIn } from "../fleet/node.js";
import { bestEffort, HoldlineError, messageOf } from "../locks/errors.js";
import type { Coordinator } from "../locks/coordinator.js";
import type { GuardedAction } from "./action.js";
import type { Run } from "./run-states.js";

/** How many claims may be held at once: as the action says, or as many as its percentage is of the group's nodes. */
export async function slotsNow(run: Run): Promise<{ readonly slots: number; readonly percent?: number }> {
  const { slots, percent } = run.action;
  return percent === null ? { slots } : { slots: slotsOf(percent, await fetchCount(run)), percent };
}

/**
 * The same for somebody who only looks: by the number of nodes that was counted last, however long ago.
 * @returns for a group that nobody has counted, as many slots as for one node
 */
export async function slotsAsCounted(
  { slots, percent }: Pick<GuardedAction, "slots" | "percent">,
  group: string,
  coordinator: Coordinator,
  signal: AbortSignal,
): Promise<number> {
  if (percent === null) return slots;
  const name = documentOfMembership(group);
  const document = name === null ? null : await coordinator.document(name, signal);
  return slotsOf(percent, (document === null ? null : decodeMembership(document.value, group))?.count ?? 1);
}

/** The nodes of the run's group. One, where the store does not let this node count: that is on the safe side. */
async function fetchCount(run: Run): Promise<number> {
  const { coordinator, context } = run;
  const { group, node, fleet, log, stop } = context;
  if (fleet === null) return 1;
  const { signal } = stop;
  const name = documentOfMembership(group);
  try {
    const [document, { ms: now }] = await Promise.all([
      name === null ? null : coordinator.document(name, signal),
      coordinator.sync(signal),
    ]);
    const kept = document === null ? null : decodeMembership(document.value, group);
    if (kept !== null && isBelieved(kept, now)) return kept.count;
    const keep = (count: number, revision: number) => {
      const value = encodeMembership({ group, count, countedAt: now });
      return name === null ? "done" : coordinator.writeDocument(name, value, revision, signal);
    };
    // A whole fleet may find at once that somebody has to count. The first does; the others go by what was counted last.
    const until = kept?.count ?? 1;
    if ((await keep(until, document?.revision ?? 0)) === "changed") return until;
    const nodes = nodesIn(await coordinator.documents(NODES_PREFIX, signal));
    const count = countMembers(nodes, { group, membershipMs: fleet.membershipMs, now, self: node });
    await bestEffort(log, "the number of nodes could not be kept: a later run counts again", async () => {
      const own = name === null ? null : await coordinator.document(name, signal);
      await keep(count, own?.revision ?? 0);
    });
    return count;
  } catch (error) {
    if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
    log.warn({ action: run.action.name }, `the group's nodes could not be counted, so one at a time: ${messageOf(error)}`);
    return 1;
  }
}
