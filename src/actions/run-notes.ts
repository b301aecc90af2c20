// What a run with a claim in hand writes into this node's journal: how far it has come, so that the next run knows what this
// one has left. The file itself is journal.ts's.
import type { Log } from "../locks/log.js";
import { type BootMoment, laterOf } from "../locks/claim.js";
import { bestEffort } from "../locks/errors.js";
import type { Leader, Machine, RunPhase } from "./machine.js";

/** The claim that a note is about. */
interface Noted {
  readonly id: string;
  readonly lock: string;
  /** The moment of the wish that it stands for; `null`: not known. */
  readonly made: BootMoment | null;
}

/** Only the first two of these may keep a run from its work: a journal that cannot be written never keeps a lock. */
export interface RunNotes {
  /** The command exists and has not begun. Throws where that cannot be noted, so that the command never begins. */
  command(claim: Noted, leader: Leader, phase: "running" | "rebooting"): void;
  /** The same of the hook `before`. */
  before(claim: Noted, leader: Leader): void;
  /** Something else runs, or nothing. */
  phase(claim: Noted, phase: Exclude<RunPhase, "running" | "rebooting" | "draining">, leader: Leader | null): Promise<void>;
  /** The claim is gone or its caller's: neither the run nor the attempts before it are owed any more. */
  forget(claim: Noted): Promise<void>;
  /** The claim is kept with its failure, and stands for all attempts. */
  forgetAll(claim: Noted): Promise<void>;
  /** The same, but the attempts still stand: the action was not begun. */
  forgetRun(claim: Noted): Promise<void>;
}

export function createRunNotes(
  action: string,
  { machine, log }: { readonly machine: Pick<Machine, "journal" | "processes">; readonly log: Log },
): RunNotes {
  const { journal, processes } = machine;
  let begunAt: BootMoment | null = null;
  const save = ({ id, lock }: Noted, phase: RunPhase, group: Leader | null): void =>
    journal.saveRun({ claim: id, lock, action, agent: processes.self, phase, group });
  const trySave = (claim: Noted, phase: RunPhase, group: Leader | null): Promise<void> =>
    bestEffort(log, `the journal could not be written: it does not say "${phase}"`, () => save(claim, phase, group));
  const forgetRun = ({ id }: Noted): Promise<void> =>
    bestEffort(log, "the journal could not be written: the store tells what became of the run that it still speaks of", () =>
      journal.removeRun(action, id),
    );
  const clearAttempts = (): Promise<void> =>
    bestEffort(log, "the journal could not be written: it still speaks of attempts", () => journal.clearAttempts(action));
  return {
    command(claim, leader, phase) {
      save(claim, phase, leader);
      begunAt = processes.moment();
    },
    before: (claim, leader) => save(claim, "draining", leader),
    phase: trySave,
    async forget(claim) {
      await forgetRun(claim);
      if (!hasLaterWish(action, begunAt ?? claim.made, machine)) await clearAttempts();
    },
    async forgetAll(claim) {
      await forgetRun(claim);
      await clearAttempts();
    },
    forgetRun,
  };
}

/**
 * Whether an attempt in the journal is for a wish that was made after a moment, as by a run that has waited in vain for this one: what
 * began before has not fulfilled it.
 * @param moment `null`: not known, and nothing is later
 */
export function hasLaterWish(
  action: string,
  moment: BootMoment | null,
  { journal, processes }: Pick<Machine, "journal" | "processes">,
): boolean {
  const latest = journal.attempts(action)?.latest;
  if (latest === undefined || moment === null) return false;
  return latest.bootId === moment.bootId ? laterOf(latest, moment) === latest : latest.bootId === processes.moment().bootId;
}
