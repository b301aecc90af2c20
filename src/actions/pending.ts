// What earlier runs left on this node, as `resume` would find it: attempts in the journal, and claims that are stale or have failed.
// Only looks; and takes an attempt back.
import { decodeNode, documentOfNode, encodeNode, actionOf, outcomeWords, type NodeAction } from "../fleet/node.js";
import { readHolders } from "../line/holders.js";
import { conditionOf, type Condition } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { bestEffort, DocumentChangedError, messageOf, UnreachableError } from "../locks/errors.js";
import { isDeclaredAction } from "../locks/exec-actions.js";
import type { GuardedAction } from "./action.js";
import { type GuardContext, perspectiveOn } from "./context.js";
import { aboutOf } from "./fleet-context.js";
import { isLeftover } from "./recovery.js";

/** Something that an earlier run left. */
export interface Left {
  readonly action: string;
  /** `null` where nothing says it: the action is no longer declared. */
  readonly lock: string | null;
  /** `pending`: the action was not begun, and is tried again. Else the condition of the claim that was left. */
  readonly state: "pending" | Condition;
  /** The claim's id; `null` for attempts, which have none. */
  readonly claim: string | null;
  /** Since when, in milliseconds since 1970 by the store's clock; of an attempt that no store has heard of, by this node's. */
  readonly since: number;
  /** How often it was tried; `null` for a claim. */
  readonly attempts: number | null;
  /** Why, in words; empty where nothing says it. */
  readonly message: string;
  /** Whether `resume` can finish it. */
  readonly isDeclared: boolean;
}

export interface AllLeft {
  readonly left: readonly Left[];
  /** Why some of it may be missing: a store that does not answer, in words. */
  readonly problems: readonly string[];
}

/** What `resume` would find now. */
export async function whatIsLeft(actions: readonly GuardedAction[], context: GuardContext): Promise<AllLeft> {
  const { journal } = context.machine;
  const declared = new Map(actions.map((action) => [action.name, action]));
  const names = [...new Set([...declared.keys(), ...journal.actions().filter(isDeclaredAction)])];
  const left: Left[] = [];
  const problems = new Set<string>();
  for (const name of names) {
    context.stop.signal.throwIfAborted();
    const [attempts, runs, action] = [journal.attempts(name), journal.runs(name), declared.get(name)];
    const locks = [...new Set([...(action === undefined ? [] : [action.lock]), ...runs.map(({ lock }) => lock)])];
    const isDeclared = action !== undefined;
    let told: NodeAction | null = null;
    for (const lock of locks) {
      try {
        const coordinator = await context.coordinator(lock);
        left.push(...(await claimsLeft(coordinator, lock, name, context)).map((claim) => ({ ...claim, isDeclared })));
        if (attempts !== null) told ??= await fetchTold(coordinator, name, context);
      } catch (error) {
        if (!(error instanceof UnreachableError) || context.stop.signal.aborted) throw error;
        problems.add(messageOf(error));
      }
    }
    if (attempts === null) continue;
    left.push({
      ...{ action: name, lock: locks[0] ?? null, state: "pending", claim: null, attempts: attempts.count, isDeclared },
      since: told?.pendingSince ?? attempts.latest.wallMs,
      message: told?.pendingSince == null ? "" : outcomeWords(told),
    });
  }
  return { left, problems: [...problems] };
}

async function claimsLeft(
  coordinator: Coordinator,
  lock: string,
  action: string,
  context: GuardContext,
): Promise<readonly Omit<Left, "isDeclared">[]> {
  const perspective = perspectiveOn(coordinator, context);
  const holders = await readHolders(coordinator, lock, context.stop.signal);
  return holders
    .filter((claim) => isLeftover(claim, action, perspective))
    .map((claim) => ({
      ...{ action, lock, claim: claim.id, attempts: null },
      state: conditionOf(claim, true, perspective.isOwnerGone(claim)),
      since: claim.failure?.at ?? claim.since,
      message: claim.failure?.message ?? "its agent is gone",
    }));
}

/** What the store was told of an action last; `null` where it was told nothing, or does not show it. */
async function fetchTold(coordinator: Coordinator, action: string, context: GuardContext): Promise<NodeAction | null> {
  let told: NodeAction | null = null;
  await bestEffort(context.log, "the node's document could not be read: it does not say why an attempt is pending", async () => {
    const document = await coordinator.document(documentOfNode(context.node), context.stop.signal);
    const node = document === null ? null : decodeNode(document.value);
    told = node === null ? null : (actionOf(node, action) ?? null);
  });
  return told;
}

/**
 * Takes back the attempts at an action: nobody tries again for their wish. Tells the fleet, if the store answers.
 * @returns how many there were; 0: there is nothing to take back
 */
export async function dropAttempts(action: string, lock: string | null, context: GuardContext): Promise<number> {
  const { journal } = context.machine;
  const count = journal.attempts(action)?.count ?? 0;
  if (count === 0) return 0;
  journal.clearAttempts(action);
  if (lock !== null) {
    await bestEffort(context.log, "the fleet does not hear that the attempts were taken back: the next run tells it", async () =>
      tellDropped(await context.coordinator(lock), action, context),
    );
  }
  return count;
}

// Runs of other actions of this node write the same document. There are few of them at once.
const MOST_TRIES = 4;

async function tellDropped(coordinator: Coordinator, action: string, { node: name, fleet, stop }: GuardContext): Promise<void> {
  // What the next run has to say is news again.
  fleet?.memory.forget(aboutOf(coordinator, name, action));
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    const document = await coordinator.document(documentOfNode(name), stop.signal);
    const node = document === null ? null : decodeNode(document.value);
    const told = node === null ? undefined : actionOf(node, action);
    if (document === null || node === null || told === undefined || told.pendingSince === null) return;
    const next = { ...node, actions: { ...node.actions, [action]: { ...told, pendingSince: null } } };
    if ((await coordinator.writeDocument(document.name, encodeNode(next), document.revision, stop.signal)) === "done") return;
  }
  throw new DocumentChangedError(documentOfNode(name));
}
