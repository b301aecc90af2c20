// How far the work under a claim has come: what a run says of it in the claim, for all who see that, and what it makes of the stage in
// which an earlier run has left its claim.
import { type Claim, isSameProcess, type Stage } from "../locks/claim.js";
import { bestEffort } from "../locks/errors.js";
import type { NewStage } from "./durable-claim.js";
import type { ActionEnd } from "./execution.js";
import type { RunEntry } from "./machine.js";
import type { Held, Run } from "./run-states.js";

/** Writes a stage into the claim, if the store takes it: nobody's work depends on it. */
export function tryNoteStage({ context }: Pick<Run, "context">, { claim }: Held, stage: NewStage): Promise<void> {
  return bestEffort(context.log, `the claim ${claim.id} does not say "${stage.name}"`, () => claim.noteStage(stage));
}

/** What keeps a run from its command although `before` has passed: somebody has ended its claim meanwhile. */
export function takenAway(passed: ActionEnd): ActionEnd {
  return { ...passed, succeeded: false, message: "somebody has ended the claim while before ran, and the command was not begun" };
}

/** Whether `after` is owed because `before` has begun under the claim. */
export function isDrained({ claim }: Held): boolean {
  return claim.stage?.drained === true;
}

/** What an earlier run under a claim had come to. */
export interface Come {
  /** Its check had passed, so that only the hook `after`, the soak and the release were left. */
  readonly isVerified: boolean;
  /** `before` had begun, or the check had passed, and `after` had not ended. */
  readonly owesAfter: boolean;
  /** The command may have begun. Where the node is drained it stays so then, until the action succeeds. */
  readonly hasBegun: boolean;
}

/**
 * How far the run came that left a claim, by the claim and by the journal, either of which may be lost.
 * @param entries what the journal has of the action's runs
 */
export function howFar({ id, owner, failure, stage }: Claim, entries: readonly RunEntry[]): Come {
  // Somebody who has taken the claim up since, and was killed, has left what an earlier run had noted.
  const entry = entries.find(({ claim, agent }) => claim === id && isSameProcess(agent, owner.process));
  const phase = failure === null ? (entry?.phase ?? null) : null;
  return {
    isVerified: failure === null && (stage?.name === "soaking" || phase === "undraining" || phase === "soaking"),
    owesAfter: phase === "undraining" || (phase !== "soaking" && stage?.drained === true),
    hasBegun: stage?.name !== "draining" || phase === "running" || phase === "verifying",
  };
}

/**
 * What a leftover is that an earlier run may have asked the machine to reboot for.
 *
 * - `not-asked`: it never came to that, or a new wish may ask again: as with every other action.
 * - `happened`: the machine has booted since; check, `after` and soak are left.
 * - `awaited`: there is still time for it.
 * - `overdue`: there is none.
 * - `failed`: it has failed already, and only a new wish asks again.
 */
export type RebootLeft = "not-asked" | "happened" | "awaited" | "overdue" | "failed";

/** The stage of a leftover that a run has taken up, as long as that run has not begun with anything. */
export function stageOfAdopted({ since, stage }: Claim, come: Come, finishes: boolean, reboot: RebootLeft): Stage | undefined {
  if (reboot === "overdue") return stage;
  const begun = { since: stage?.since ?? since, until: null, drained: come.owesAfter };
  if (reboot === "happened") return { ...begun, name: "verifying" };
  if (finishes) return { ...begun, name: "soaking", until: stage?.until ?? null };
  return stage === undefined ? undefined : { ...begun, name: come.hasBegun ? "running" : "draining" };
}
