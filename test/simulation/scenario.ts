// What a seed asks of a fleet: its nodes, locks and actions, who starts what and when, and how many faults there are to be.
// Drawn from the choices; plain data. What is done with leases is lease-jobs.ts's.
import type { GuardedAction } from "../../src/actions/action.js";
import type { ExecSpec } from "../../src/actions/exec.js";
import type { Choices } from "./choices.js";
import { describeFreezeJob, drawFreezeJob, type FreezeJob } from "./freeze-jobs.js";
import { describeRollout, drawRollout, type RolloutPlan } from "./rollout-plans.js";
import { type ByIdJob, describeLeaseJob, drawLeaseJob, type LeaseJob } from "./lease-jobs.js";

/** What one process of a node is started for. */
export type Job =
  | { readonly kind: "run" | "resume"; readonly action: GuardedAction }
  | { readonly kind: "exec"; readonly spec: ExecSpec }
  /** One claim on several locks, as a caller of the library takes it. */
  | {
      readonly kind: "several";
      readonly locks: readonly string[];
      readonly durable: boolean;
      readonly key: string | null;
      readonly slots: number;
    }
  | LeaseJob
  | ByIdJob
  | FreezeJob;

export interface Task {
  readonly node: number;
  readonly startsAt: number;
  readonly job: Job;
}

export interface Scenario {
  readonly nodes: number;
  readonly tasks: readonly Task[];
  /** How many faults there are to be. */
  readonly faults: number;
  /** How often a step is a fault, as long as there are some left. */
  readonly faultPercent: number;
  /** Of a hundred commands so many fail, hang or fork. */
  readonly troublePercent: number;
  /** Whether the first two nodes have the same name, as machines of one image do. */
  readonly hasNamesakes: boolean;
  /** May the store be restored from a backup? */
  readonly isRestored: boolean;
  /** For how long a process asks a store that does not answer. */
  readonly connectTimeoutMs: number;
  /** Whether the store leaves the entries of ended sessions to the client that meets them, and waiters look for themselves. */
  readonly leavesEnded: boolean;
}

/** What is the same on all nodes of one action. */
interface ActionPlan {
  readonly name: string;
  readonly lock: string;
  readonly mode: GuardedAction["mode"];
  readonly isKeyed: boolean;
  readonly slots: readonly number[];
  readonly onFailure: GuardedAction["onFailure"];
  readonly isChecked: boolean;
  readonly timeoutMs: number | null;
  readonly rollout: RolloutPlan;
}

const UNLIMITED = Number.POSITIVE_INFINITY;

export function drawScenario(choices: Choices): Scenario {
  const nodes = drawNodes(choices);
  const locks = ["a", "b", "c", "d"].slice(0, 1 + choices.pick([0, 0, 0, 1, 1, 2, 3]));
  const plans = Array.from({ length: 1 + choices.below(2) }, (_, index) => drawAction(choices, locks, index));
  const tasks: Task[] = [];
  for (let node = 0; node < nodes; node += 1) {
    const count = nodes > 6 ? 1 : 1 + choices.pick([0, 0, 1, 2]);
    for (let index = 0; index < count; index += 1) {
      tasks.push({ node, startsAt: choices.pick([0, 0, 0, 500, 4_000, 20_000]), job: drawJob(choices, node, locks, plans) });
    }
  }
  const faults = choices.pick([0, 1, 2, 2, 3, 4, 6]);
  return {
    nodes,
    tasks,
    faults,
    faultPercent: choices.pick([4, 8, 15]),
    troublePercent: choices.pick([0, 20, 40]),
    hasNamesakes: choices.percent(8),
    isRestored: choices.percent(8),
    // Shorter and longer than what a session outlives.
    connectTimeoutMs: choices.pick([5_000, 5_000, 15_000]),
    leavesEnded: choices.percent(50),
  };
}

// As many as a queue of a fleet may have; one run of them takes the time of a hundred others.
const A_HUNDRED = 100;

/** Mostly few: what can go wrong between many can go wrong between two or three, and is found sooner there. */
function drawNodes(choices: Choices): number {
  const few = 2 + choices.pick([0, 0, 0, 1, 1, 2]);
  if (!choices.percent(1)) return few;
  return choices.percent(20) ? A_HUNDRED : 2 + choices.below(29);
}

function drawAction(choices: Choices, locks: readonly string[], index: number): ActionPlan {
  return {
    name: `act${index + 1}`,
    lock: choices.pick(locks),
    mode: choices.pick(["serialize", "serialize_process"]),
    isKeyed: choices.percent(25),
    slots: choices.pick([[1], [1], [1], [2], [1, 2, 3]]),
    onFailure: choices.percent(25) ? "release" : "hold",
    isChecked: choices.percent(30),
    timeoutMs: choices.pick([8_000, null]),
    rollout: drawRollout(choices),
  };
}

function drawJob(choices: Choices, node: number, locks: readonly string[], plans: readonly ActionPlan[]): Job {
  const kind = choices.pick(["run", "run", "run", "run", "resume", "exec", "several", "lease", "lease", "freeze"] as const);
  if (kind === "freeze") return drawFreezeJob(choices, node, locks);
  if (kind === "lease") return drawLeaseJob(choices, node, locks);
  const acquire = {
    sleepTimeMs: choices.pick([3_000, 8_000]),
    timeoutMs: choices.pick([null, null, null, 6_000, 40_000, 0]),
    behindFailed: choices.pick(["wait", "wait", "wait", "leave"] as const),
  };
  const key = choices.percent(25) ? `rack${node % 2}` : null;
  if (kind === "exec") {
    const durable = choices.percent(35);
    const lock = choices.pick(locks);
    // The command line is what a durable claim is recovered by.
    return {
      kind,
      spec: {
        lock,
        argv: [`exec-${lock}`],
        acquire,
        slots: key === null ? 1 : UNLIMITED,
        key,
        durable,
        data: null,
        despiteFreeze: null,
      },
    };
  }
  if (kind === "several" && locks.length > 1) {
    const first = choices.below(locks.length);
    const chosen = [locks[first] as string, locks[(first + 1) % locks.length] as string];
    return { kind, locks: chosen, durable: choices.percent(60), key, slots: key === null ? 1 : UNLIMITED };
  }
  return { kind: kind === "resume" ? "resume" : "run", action: actionOf(choices, choices.pick(plans), locks, node, acquire) };
}

function actionOf(
  choices: Choices,
  plan: ActionPlan,
  locks: readonly string[],
  node: number,
  acquire: GuardedAction["acquire"],
): GuardedAction {
  const { name, mode, lock, onFailure, timeoutMs, isKeyed, isChecked } = plan;
  return {
    name,
    mode,
    // A configuration that has changed since, or has not yet.
    lock: choices.percent(4) ? choices.pick(locks) : lock,
    argv: [name],
    timeoutMs,
    killAfterMs: 3_000,
    acquire,
    slots: isKeyed ? UNLIMITED : choices.pick(plan.slots),
    key: isKeyed ? `rack${node % 2}` : null,
    process: mode === "serialize_process" ? { commandString: "service", fullCmd: false, user: null } : null,
    mustRestart: true,
    alreadyRestarted: choices.percent(25) ? "skip" : "run",
    ...plan.rollout,
    verify: isChecked ? { argv: ["check"], intervalMs: 1_000, timeoutMs: 4_000, passes: choices.pick([1, 1, 2]) } : null,
    onFailure,
    env: {},
    cwd: null,
    data: null,
  };
}

/** The job in words, for a trace. */
export function describeJob(job: Job): string {
  if (job.kind === "freeze") return describeFreezeJob(job);
  if (job.kind === "lease" || job.kind === "by-id") return describeLeaseJob(job);
  if (job.kind === "several") return `hold ${job.locks.join(" and ")}${job.durable ? "" : ", ephemerally"}${keyed(job)}`;
  if (job.kind === "exec") return `exec on ${job.spec.lock}${job.spec.durable ? ", durably" : ""}${keyed(job.spec)}`;
  const { name, lock, mode, onFailure, verify } = job.action;
  const failing = onFailure === "release" ? ", released on failure" : "";
  return `${job.kind} ${name} (${mode}) on ${lock}${verify === null ? "" : ", checked"}${failing}${describeRollout(job.action)}${keyed(job.action)}`;
}

function keyed({ key, slots }: { readonly key: string | null; readonly slots: number }): string {
  return `${key === null ? "" : `, key ${key}`}${slots === 1 || slots === UNLIMITED ? "" : `, ${slots} slots`}`;
}
