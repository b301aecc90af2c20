// What `exec --durable` has left on this node. Only the same command or an admin finishes it; `resume` says that it is there.
// Also clears out of the journal the execs whose claims are gone.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { execProgramOf } from "../locks/exec-actions.js";
import { readHolders } from "../line/holders.js";
import { DEFAULT_KILL_AFTER_MS } from "./action.js";
import { type GuardContext, perspectiveOn } from "./context.js";
import { endOrphan, isLeftover } from "./recovery.js";

/** A claim of a durable exec whose run is over. */
export interface ExecLeft {
  readonly lock: string;
  readonly claim: string;
  /** The program's name: the claim has no more of the command line. */
  readonly program: string;
  /** What became of the command, in words; `null` where its agent was killed. */
  readonly failure: string | null;
}

interface Store {
  readonly coordinator: Coordinator;
  readonly isFor: (lock: string) => boolean;
}

// As many questions at once as do not flood a store's connection.
const AT_ONCE = 32;

/** The claims that durable execs of this node have left in a store. */
export async function findExecsLeft({ coordinator, isFor }: Store, context: GuardContext): Promise<readonly ExecLeft[]> {
  const { stop } = context;
  const perspective = perspectiveOn(coordinator, context);
  const locks = (await coordinator.list(stop.signal)).filter(isFor);
  const left: ExecLeft[] = [];
  for (let start = 0; start < locks.length; start += AT_ONCE) {
    const asked = locks.slice(start, start + AT_ONCE).map((lock) => readHolders(coordinator, lock, stop.signal));
    for (const claim of (await Promise.all(asked)).flat()) {
      const program = execProgramOf(claim.owner.action);
      if (program === null || !isLeftover(claim, claim.owner.action as string, perspective)) continue;
      left.push({ lock: claim.lock, claim: claim.id, program, failure: claim.failure?.message ?? null });
    }
  }
  return left;
}

/**
 * Clears execs out of the journal: attempts, which nobody wishes for any more, and runs whose claims are gone, with what still
 * runs of their commands. Entries of living agents stay.
 * @returns the runs whose store did not answer, so that nobody knows whether their claims still stand
 */
export async function tidyExecs(context: GuardContext): Promise<readonly ExecLeft[]> {
  const { machine, stop, log } = context;
  const { journal, processes } = machine;
  const unknown: ExecLeft[] = [];
  for (const action of journal.actions()) {
    const program = execProgramOf(action);
    if (program === null) continue;
    journal.clearAttempts(action);
    for (const entry of journal.runs(action)) {
      const { lock, claim } = entry;
      if (processes.isAlive(entry.agent) === true) continue;
      try {
        const holders: readonly Claim[] = await readHolders(await context.coordinator(lock), lock, stop.signal);
        if (holders.some(({ id }) => id === claim)) continue;
        await endOrphan(entry, { mode: "serialize", process: null, killAfterMs: DEFAULT_KILL_AFTER_MS }, machine);
      } catch (error) {
        if (!(error instanceof HoldlineError) || stop.signal.aborted) throw error;
        log.warn({ lock, claim }, `what a durable exec has left on ${lock} cannot be looked after: ${messageOf(error)}`);
        unknown.push({ lock, claim, program, failure: null });
      }
    }
  }
  return unknown;
}
