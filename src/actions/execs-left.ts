// What `exec --durable` has left on this node, which nobody finishes but the same command or an admin: `resume` only says
// that it is there. Also clears away what the journal still says of execs whose claims are gone.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { execProgramOf } from "../locks/exec-actions.js";
import { readHolders } from "../line/holders.js";
import { type GuardContext, perspectiveOn } from "./context.js";
import { endOrphan, isLeftover } from "./recovery.js";

/** A claim of a durable exec whose run is over. */
export interface ExecLeft {
  readonly lock: string;
  readonly claim: string;
  /** Of its command line no more is known. */
  readonly program: string;
  /** What became of the command, in words; `null` where its agent was killed. */
  readonly failure: string | null;
}

interface Store {
  readonly coordinator: Coordinator;
  readonly isFor: (lock: string) => boolean;
}

// As many questions as a store's connection carries well without being flooded.
const AT_ONCE = 32;

// As for an action that says nothing else.
const KILL_AFTER_MS = 10_000;

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
 * Clears away what the journal says of execs: attempts, which are nobody's wish any more, and runs whose claims are gone,
 * with what still runs of their commands. What a living agent has written stays.
 * @returns the runs whose store did not answer, so that nobody knows whether their claims are there
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
        await endOrphan(entry, { mode: "serialize", process: null, killAfterMs: KILL_AFTER_MS }, machine);
      } catch (error) {
        if (!(error instanceof HoldlineError) || stop.signal.aborted) throw error;
        log.warn({ lock, claim }, `what a durable exec has left on ${lock} cannot be looked after: ${messageOf(error)}`);
        unknown.push({ lock, claim, program, failure: null });
      }
    }
  }
  return unknown;
}
