// What must be true of the hooks and the soak around the commands of a simulated fleet: what each claim's node owes, and for how long
// its lock is kept.
import type { GuardedAction } from "../../src/actions/action.js";
import type { Ending } from "../../src/locks/history.js";
import type { Agent } from "./agent.js";
import type { Group } from "./node.js";
import { NOT_NOW } from "./rollout-plans.js";
import type { SeenEntry } from "./store.js";
import type { World } from "./world.js";

/** How a command has ended, as far as its process has heard of it. */
type Heard = "nothing" | "passed" | "failed" | "not-now";

/** What has been done under one claim. */
interface Work {
  readonly action: GuardedAction;
  /** Whether the node is drained: `before` has passed, and nothing has undone it since. */
  isDrained: boolean;
  /** `before` has begun, and `after` has not passed since. */
  owesAfter: boolean;
  /** Where the claim was gone when `before` had passed: how many answers about updates its process had had by then. */
  goneAfterUpdates: number | null;
  main: { readonly by: Agent; readonly heard: Heard; readonly at: number } | null;
  check: { readonly by: Agent; readonly heard: Heard } | null;
}

// The store's clock is read in whole milliseconds.
const GRAIN_MS = 5;

export class HookChecks {
  readonly #world: World;
  readonly #fail: (what: string) => void;
  readonly #works = new Map<string, Work>();

  constructor(world: World, fail: (what: string) => void) {
    this.#world = world;
    this.#fail = fail;
  }

  /** A command, a hook or a check begins. */
  begun(group: Group): void {
    const { agent, claim, kind } = group;
    const { job } = agent;
    if (job.kind !== "run" && job.kind !== "resume") return;
    const work = this.#workUnder(claim, job.action);
    const name = this.#world.checks.nameOf(claim);
    if (kind === "before") {
      work.owesAfter = job.action.after !== null;
      work.isDrained = false;
    } else if (kind === "main") {
      if (job.action.before !== null && !work.isDrained)
        this.#fail(`the command of ${agent.name} starts under ${name}, and the node is not drained`);
      if (work.goneAfterUpdates !== null && updatesOf(agent) > work.goneAfterUpdates)
        this.#fail(`the command of ${agent.name} starts under ${name}, and it has been told that this is gone`);
      work.main = { by: agent, heard: "nothing", at: 0 };
      work.check = null;
    } else if (kind === "after") {
      const hasFailed = [work.main, work.check].some((one) => one?.by === agent && one.heard === "failed");
      if (hasFailed && job.action.after?.when === "success")
        this.#fail(`${agent.name} lets work come back to its node under ${name} although its action has failed`);
      work.isDrained = false;
    }
  }

  /** Its process hears how it has ended. */
  ended({ agent, claim, kind, exitCode }: Group, passed: boolean): void {
    const work = this.#works.get(claim);
    if (work === undefined) return;
    const saysNotNow = exitCode === NOT_NOW && work.action.notNow.includes(NOT_NOW);
    const heard = passed ? "passed" : saysNotNow ? "not-now" : "failed";
    if (kind === "before") {
      work.isDrained = passed;
      const isThere = this.#world.store.present().some(({ id }) => id === claim);
      work.goneAfterUpdates = isThere || !passed ? null : updatesOf(agent);
    }
    if (kind === "after" && passed) work.owesAfter = false;
    if (kind === "main") work.main = { by: agent, heard, at: this.#world.scheduler.now };
    // One that was ended from outside says nothing of the service.
    if (kind === "check" && (passed || exitCode !== null)) work.check = { by: agent, heard };
  }

  /** A claim ends durably. */
  left(entry: SeenEntry, { event }: Ending, by: string): void {
    const { id } = entry;
    const work = this.#works.get(id);
    if (work === undefined || (event !== "released" && event !== "recovered")) return;
    const name = this.#world.checks.nameOf(id);
    const { main, check, action, owesAfter } = work;
    const heir = this.#heirOf(entry);
    if (heir !== undefined) this.#workUnder(heir.id, action).owesAfter ||= owesAfter;
    else if (owesAfter) this.#fail(`${by} lets go of ${name}, and its node is still drained`);
    if (heir === undefined && check?.heard === "failed") this.#fail(`${by} lets go of ${name}, whose latest check has failed`);
    const keptMs = this.#world.scheduler.now - (main?.at ?? 0);
    if (heir === undefined && main?.heard === "passed" && keptMs < action.soakMs - GRAIN_MS)
      this.#fail(`${by} lets go of ${name} ${keptMs} ms after its command, and it was to soak for ${action.soakMs} ms`);
  }

  #workUnder(claim: string, action: GuardedAction): Work {
    const work = this.#works.get(claim) ?? {
      ...{ action, isDrained: false, owesAfter: false, goneAfterUpdates: null },
      ...{ main: null, check: null },
    };
    this.#works.set(claim, work);
    return work;
  }

  /** Of several claims that runs of one action have left on a node, one stands for all: it owes what they owed. */
  #heirOf({ id, record }: SeenEntry): SeenEntry | undefined {
    const { action, machine } = record?.owner ?? {};
    return this.#world.store
      .present()
      .find(
        (other) =>
          other.id !== id &&
          other.session === null &&
          other.record?.owner.action === action &&
          other.record?.owner.machine === machine,
      );
  }
}

/** The store refuses an update of what is gone, and the second answer tells why. */
function updatesOf({ link }: Agent): number {
  return Math.min(link.answered.get("update") ?? 0, link.answered.get("readClaim") ?? 0);
}
