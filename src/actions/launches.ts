// How the commands, hooks and checks of a run are launched under its claim: what they see, and what is noted when they begin.
import { environmentOf } from "../line/environment.js";
import type { LaunchOfCheck } from "./execution.js";
import type { Held, Run } from "./run-states.js";
import { isDrained, tryNoteStage } from "./stages.js";

/** What they see of the action and its claim. */
export function environmentUnder({ action, context }: Run, { claim }: Held): Record<string, string> {
  return environmentOf({ action: action.name, lock: claim.lock, node: context.node }, claim);
}

/** How the check runs under a claim. The action has run already: a journal that cannot be written does not keep it from its check. */
export function launchOfCheck(run: Run, held: Held): LaunchOfCheck {
  return {
    env: environmentUnder(run, held),
    onGroup: (leader) => run.notes.phase(held.claim, "verifying", leader),
    onAgain: () => tryNoteStage(run, held, { name: "verifying", forMs: null, drained: isDrained(held) }),
  };
}
