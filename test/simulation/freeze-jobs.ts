// People who freeze locks and thaw them again: what they ask for, drawn from the choices, and how they do it. What must be true of
// freezes is freeze-checks.ts's.
import type { GuardContext } from "../../src/actions/context.js";
import { freezeLocks, thawLocks } from "../../src/leases/freezing.js";
import { type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import type { JobEnd } from "./agent.js";
import type { Choices } from "./choices.js";

/** Somebody freezes, and thaws that after a while. */
export interface FreezeJob {
  readonly kind: "freeze";
  readonly freeze: Pick<Freeze, "locks" | "node" | "group">;
  /** `null`: until it is thawed. */
  readonly forMs: number | null;
  readonly thawAfterMs: number;
}

export function drawFreezeJob(choices: Choices, node: number, locks: readonly string[]): FreezeJob {
  const whom = choices.pick(["all", "all", "all", "node", "group"] as const);
  return {
    kind: "freeze",
    freeze: {
      locks: [choices.pick([choices.pick(locks), "*"])],
      node: whom === "node" ? `n${1 + node}` : null,
      group: whom === "group" ? groupOf(node) : null,
    },
    forMs: choices.pick([null, null, 3_000, 12_000, 30_000]),
    thawAfterMs: choices.pick([4_000, 500, 15_000, 40_000]),
  };
}

/** The group that the node of this number counts with. */
export function groupOf(node: number): string {
  return node % 2 === 0 ? "even" : "odd";
}

/** Freezes, and thaws after a while, through the real code and a store with its faults. */
export async function freezeForAWhile({ freeze, forMs, thawAfterMs }: FreezeJob, context: GuardContext): Promise<JobEnd> {
  const coordinator = await context.coordinator(FREEZES_DOCUMENT);
  const { machine, stop, node, principal } = context;
  const owner = { node, principal, action: null, process: machine.processes.self };
  const freezer = { owner, signal: stop.signal };
  const id = `of ${principal}`;
  await freezeLocks(coordinator, { ...freeze, id, reason: "", forMs }, freezer);
  await machine.clock.sleep(thawAfterMs, stop.signal);
  const thawed = await thawLocks(coordinator, id, freezer);
  return { outcome: thawed.length === 0 ? "nothing to thaw" : "thawed", message: "" };
}

/** The job in words, for a trace. */
export function describeFreezeJob({ freeze, forMs, thawAfterMs }: FreezeJob): string {
  const whom = freeze.node ?? (freeze.group === null ? "all" : `the group ${freeze.group}`);
  const lasting = forMs === null ? "until it is thawed" : `for ${forMs} ms`;
  return `freeze ${freeze.locks.join(" and ")} for ${whom} ${lasting}; thaw it after ${thawAfterMs} ms`;
}
