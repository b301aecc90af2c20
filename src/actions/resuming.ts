// `resume`: finishes what earlier runs left on this node, and says what it cannot finish. Owns the order; recovery.ts and
// execs-left.ts know what to do with each thing that was left.
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { MovedError } from "../locks/root.js";
import { isDeclaredAction } from "../locks/exec-actions.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import { type ExecLeft, findExecsLeft, tidyExecs } from "./execs-left.js";
import type { Result } from "./result.js";
import { recoverGuarded, resumeGuarded } from "./run.js";

/** What came of it. */
export interface Resumed {
  readonly results: readonly Result[];
  /** Actions that left something and are no longer declared, so that nothing can finish them. */
  readonly undeclared: readonly string[];
  /** What durable execs left. Only the same command or an admin ends that. */
  readonly execs: readonly ExecLeft[];
}

/** A store that may hold something of this node's. */
export interface SearchedStore {
  /** Opens it; `null` for a database that is not there, which a search must not create. */
  readonly open: () => Promise<Coordinator | null>;
  /** Whether this is the store of a lock. */
  readonly isFor: (lock: string) => boolean;
}

/**
 * Finishes what was left of some of the declared actions, side by side, so that one that hangs does not keep the others from it.
 * @throws the first of what went wrong, once all others have come to their end
 */
export async function resumeSome(actions: readonly GuardedAction[], context: GuardContext): Promise<readonly Result[]> {
  const results = new Map<string, Result>();
  const finish = async (action: GuardedAction, resumeIt: typeof resumeGuarded): Promise<void> => {
    if (results.has(action.name) || context.stop.signal.aborted) return;
    const result = await resumeIt(action, context);
    if (result !== null) results.set(action.name, result);
  };
  // Claims that stand in a queue come first: what is pending would wait behind them in vain. What is pending under one lock goes one
  // after another: it would only wait for each other, and some of it not for long.
  const finishAll = async (sharing: readonly GuardedAction[]): Promise<void> => {
    await allEnded(sharing.map((action) => finish(action, recoverGuarded)));
    for (const action of sharing) if (action.mode !== "reboot") await finish(action, resumeGuarded);
  };
  const ofLock = new Map<string, GuardedAction[]>();
  for (const action of actions) ofLock.set(action.lock, [...(ofLock.get(action.lock) ?? []), action]);
  await allEnded([...ofLock.values()].map(finishAll));
  // A reboot ends whatever else goes on.
  for (const action of actions) if (action.mode === "reboot") await finish(action, resumeGuarded);
  return actions.flatMap(({ name }) => results.get(name) ?? []);
}

async function allEnded(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Finishes what was left of the declared actions, and looks in the stores for what durable execs left. */
export async function resumeAll(
  actions: readonly GuardedAction[],
  stores: readonly SearchedStore[],
  context: GuardContext,
): Promise<Resumed> {
  const results = await resumeSome(actions, context);
  const execs = await execsLeft(stores, context);
  const declared = new Set(actions.map(({ name }) => name));
  const undeclared = context.machine.journal.actions().filter((name) => !declared.has(name) && isDeclaredAction(name));
  for (const name of undeclared)
    context.log.warn({ action: name }, `an earlier run of the action ${name} left something, and ${name} is no longer declared`);
  return { results, undeclared, execs };
}

/** What durable execs left on this node, in every store that answers. */
async function execsLeft(stores: readonly SearchedStore[], context: GuardContext): Promise<readonly ExecLeft[]> {
  const { stop, log } = context;
  if (stop.signal.aborted) return [];
  const left = [...(await tidyExecs(context))];
  for (const { open, isFor } of stores) {
    if (stop.signal.aborted) break;
    try {
      const coordinator = await open();
      if (coordinator !== null) left.push(...(await findExecsLeft({ coordinator, isFor }, context)));
    } catch (error) {
      if (!(error instanceof HoldlineError) || error instanceof MovedError || stop.signal.aborted) throw error;
      log.warn({}, `could not look for what durable execs left: ${messageOf(error)}`);
    }
  }
  return left;
}
