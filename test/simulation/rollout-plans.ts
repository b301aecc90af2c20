// What an action of a simulated fleet has besides its command: hooks, how long it soaks, and what may keep it from running. Drawn from
// the choices, once for all nodes; plain data.
import { type GuardedAction, NO_ROLLOUT } from "../../src/actions/action.js";
import type { Choices } from "./choices.js";

export type RolloutPlan = Pick<GuardedAction, keyof typeof NO_ROLLOUT>;

/** The exit code by which commands and hooks say that nothing has failed and nothing is done, if their action lets them. */
export const NOT_NOW = 75;

export function drawRollout(choices: Choices): RolloutPlan {
  return {
    ...NO_ROLLOUT,
    ...drawHooks(choices),
    soakMs: choices.pick([0, 0, 0, 3_000, 20_000]),
    notNow: choices.pick([[], [NOT_NOW]]),
  };
}

function drawHooks(choices: Choices): Pick<GuardedAction, "before" | "after"> {
  const kind = choices.pick(["none", "none", "none", "both", "both", "before", "after"] as const);
  const timeoutMs = choices.pick([8_000, null]);
  return {
    before: kind === "both" || kind === "before" ? { argv: ["before"], timeoutMs } : null,
    after:
      kind === "both" || kind === "after"
        ? { argv: ["after"], timeoutMs, when: choices.pick(["success", "success", "always"]) }
        : null,
  };
}

/** The plan in words, for a trace. */
export function describeRollout({ before, after, soakMs, notNow }: RolloutPlan): string {
  const parts = [
    before === null ? "" : ", drained",
    after === null ? "" : `, undrained${after.when === "always" ? " always" : ""}`,
    soakMs === 0 ? "" : `, soaks for ${soakMs} ms`,
    notNow.length === 0 ? "" : `, ${NOT_NOW} is not now`,
  ];
  return parts.join("");
}
