// What an action of a simulated fleet has besides its command: hooks, how long it soaks, and what may keep it from running. Drawn from
// the choices, once for all nodes; plain data.
import { type GuardedAction, NO_ROLLOUT } from "../../src/actions/action.js";
import { WEEKDAYS, type WindowSettings } from "../../src/gates/windows.js";
import type { Choices } from "./choices.js";

export type RolloutPlan = Pick<GuardedAction, keyof typeof NO_ROLLOUT>;

/** The exit code by which commands and hooks say that nothing has failed and nothing is done, if their action lets them. */
export const NOT_NOW = 75;

export function drawRollout(choices: Choices): RolloutPlan {
  return {
    ...NO_ROLLOUT,
    ...drawHooks(choices),
    ...drawGates(choices),
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

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

// A run begins at 22:13:20 UTC: these are open, and shut, and open again for longer than it takes; and shut, open, shut and open.
const WINDOWS: readonly (readonly WindowSettings[])[] = [
  [windowAt(13, 1.5 * MINUTE_MS), windowAt(16, 22 * HOUR_MS)],
  [windowAt(14, MINUTE_MS), windowAt(17, 22 * HOUR_MS)],
];

/** @param minute after 22:00 */
function windowAt(minute: number, forMs: number): WindowSettings {
  return { days: WEEKDAYS, startMinute: 22 * 60 + minute, forMs, zone: null };
}

function drawGates(choices: Choices): Pick<GuardedAction, "needed" | "windows" | "blockers"> {
  const needed = { file: "needed", changed: [], outdated: false, argv: null };
  const blocker = { type: "prometheus", name: "alerts", url: "", alerts: null, ignore: null, timeoutMs: 1_000 } as const;
  return {
    needed: choices.percent(20) ? needed : null,
    windows: choices.percent(15) ? choices.pick(WINDOWS) : [],
    blockers: choices.percent(20) ? [blocker] : [],
  };
}

/** The plan in words, for a trace. */
export function describeRollout({ needed, windows, blockers, before, after, soakMs, notNow }: RolloutPlan): string {
  const parts = [
    needed === null ? "" : ", if needed",
    windows.length === 0 ? "" : ", in its windows",
    blockers.length === 0 ? "" : ", unless blocked",
    before === null ? "" : ", drained",
    after === null ? "" : `, undrained${after.when === "always" ? " always" : ""}`,
    soakMs === 0 ? "" : `, soaks for ${soakMs} ms`,
    notNow.length === 0 ? "" : `, ${NOT_NOW} is not now`,
  ];
  return parts.join("");
}
