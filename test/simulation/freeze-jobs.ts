// People who freeze locks and thaw them again: what they ask for, drawn from the choices, and how they do it. What must be true of
// freezes is freeze-checks.ts's.
import type { GuardContext } from "../../src/actions/context.js";
import { decodeFreezes, encodeFreezes, type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
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
export async function freezeForAWhile(job: FreezeJob, context: GuardContext): Promise<JobEnd> {
  const coordinator = await context.coordinator(FREEZES_DOCUMENT);
  const { clock } = context.machine;
  const { signal } = context.stop;
  const { ms: since } = await coordinator.sync(signal);
  const until = job.forMs === null ? null : since + job.forMs;
  const freeze: Freeze = { ...job.freeze, id: `f-${context.principal}`, reason: "", by: context.principal, since, until };
  const change = async (changed: (before: readonly Freeze[]) => readonly Freeze[]): Promise<void> => {
    for (;;) {
      const document = await coordinator.document(FREEZES_DOCUMENT, signal);
      const before = decodeFreezes(document?.value ?? null) ?? [];
      const after = encodeFreezes(changed(before));
      if ((await coordinator.writeDocument(FREEZES_DOCUMENT, after, document?.revision ?? 0, signal)) === "done") return;
    }
  };
  await change((before) => [...before, freeze]);
  await clock.sleep(job.thawAfterMs, signal);
  await change((before) => before.filter(({ id }) => id !== freeze.id));
  return { outcome: "thawed", message: "" };
}

/** The job in words, for a trace. */
export function describeFreezeJob({ freeze, forMs, thawAfterMs }: FreezeJob): string {
  const whom = freeze.node ?? (freeze.group === null ? "all" : `the group ${freeze.group}`);
  const lasting = forMs === null ? "until it is thawed" : `for ${forMs} ms`;
  return `freeze ${freeze.locks.join(" and ")} for ${whom} ${lasting}; thaw it after ${thawAfterMs} ms`;
}
