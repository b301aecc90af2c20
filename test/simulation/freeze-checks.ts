// What must be true of freezes in a simulated fleet: what one binds does not begin under a claim that came into hand after it. Has the
// rule in words of its own.
import type { GuardedAction } from "../../src/actions/action.js";
import { decodeFreezes, type Freeze } from "../../src/locks/freezes.js";
import type { Agent } from "./agent.js";
import { ADMIN } from "./checks.js";
import type { Group } from "./node.js";
import type { World } from "./world.js";

/** A freeze, and the transaction since which the store has it. */
interface Known {
  readonly freeze: Freeze;
  readonly since: number;
}

/** As a later version could write them. */
export const UNREADABLE_FREEZES = '{"v":99}';

/** What stands for a document that nobody can read: it may say that everything is frozen. */
const EVERYTHING: Freeze = {
  id: "unreadable",
  locks: ["*"],
  node: null,
  group: null,
  reason: "",
  by: ADMIN,
  since: 0,
  until: null,
};

export class FreezeChecks {
  readonly #world: World;
  readonly #fail: (what: string) => void;
  #now: readonly Known[] = [];
  /** Every freeze that there ever was, and when it was over; a freeze that is still there has no such moment. */
  readonly #ever = new Map<string, { readonly freeze: Freeze; overAt: number }>();
  /** When the store's freezes changed last. */
  changedAt = 0;

  constructor(world: World, fail: (what: string) => void) {
    this.#world = world;
    this.#fail = fail;
  }

  /** Whether there have ever been freezes that nobody could read. */
  hasBeenGarbled = false;

  /** Those that the store has, also when their time is over. */
  get stored(): readonly Freeze[] {
    return this.#now.map(({ freeze }) => freeze);
  }

  /** The document of the freezes has been written. */
  written(value: string | null, by: string): void {
    const { scheduler, store } = this.#world;
    const freezes = value === UNREADABLE_FREEZES ? [EVERYTHING] : (decodeFreezes(value) as readonly Freeze[]);
    this.hasBeenGarbled ||= freezes.includes(EVERYTHING);
    scheduler.say("store", `${by} has written the freezes: ${freezes.map(({ id }) => id).join(", ") || "none"}`);
    // One that is over may be made anew by a request that comes late.
    const nameOf = ({ id, since }: Freeze): string => `${id} ${since}`;
    const known = new Map(this.#now.map(({ freeze, since }) => [nameOf(freeze), since]));
    this.#now = freezes.map((freeze) => ({ freeze, since: known.get(nameOf(freeze)) ?? store.revision }));
    this.changedAt = scheduler.now;
    for (const [id, ever] of this.#ever)
      if (ever.overAt === Infinity && !freezes.some((freeze) => freeze.id === id)) ever.overAt = scheduler.now;
    for (const freeze of freezes) this.#ever.set(freeze.id, { freeze, overAt: Infinity });
  }

  /** A claim has come into hand on a lock, at this moment of the store. */
  settled(lock: string, by: string): void {
    const agent = this.#world.agents.get(by);
    if (agent === undefined || !heedsFreezes(agent)) return;
    const [binding] = this.binding(agent, lock);
    if (binding !== undefined) this.#fail(`${by} settles on ${lock}, which ${binding.freeze.id} has frozen`);
  }

  /** A command or a hook begins. */
  begun(group: Group): void {
    const { agent, kind, locks, fencingToken } = group;
    if ((kind !== "main" && kind !== "before") || !heedsFreezes(agent)) return;
    for (const lock of locks) {
      const lookedAt = agent.isEphemeral ? this.#lookOf(agent, lock, group.claim) : fencingToken;
      const older = this.binding(agent, lock).find(({ since }) => since < lookedAt);
      if (older !== undefined)
        this.#fail(`the ${group.what} of ${agent.name} starts on ${lock}, which ${older.freeze.id} had frozen before`);
    }
  }

  /** Up to where an ephemeral claim has to know of freezes: what it has read, and at least what there was when its turn came. */
  #lookOf(agent: Agent, lock: string, claim: string): number {
    const entry = this.#world.store.stored(lock).find(({ id }) => id === claim);
    const heldSince = entry === undefined ? 0 : this.#world.checks.stories.heldSince(entry);
    return Math.max(this.#world.store.freezesRead.get(agent.name) ?? 0, agent.link.wasAlwaysOpen ? heldSince : 0);
  }

  /** A process says that it has not begun because of a freeze. */
  saysFrozen(agent: Agent, locks: readonly string[]): void {
    if (this.#boundSince(agent, locks).length === 0)
      this.#fail(`${agent.name} says that ${locks.join(" and ")} is frozen, and it is not`);
  }

  /** Who has a place in line keeps it while all of the lock is frozen, as long as it may wait. */
  hasGivenUp(agent: Agent, { lock, acquire }: GuardedAction): void {
    if (acquire.timeoutMs !== null || !this.#world.checks.withdrawn.has(agent.name)) return;
    const isOfAll = this.#boundSince(agent, [lock]).every(({ node, group }) => node === null && group === null);
    if (isOfAll) this.#fail(`${agent.name} has given up its place on ${lock}, all of which is frozen`);
  }

  /** What has bound a process on any of these locks since it was started. */
  #boundSince(agent: Agent, locks: readonly string[]): readonly Freeze[] {
    const startedMs = this.#nowMs(agent.startedAt);
    return [...this.#ever.values()].flatMap(({ freeze, overAt }) => {
      const isOver = overAt < agent.startedAt || (freeze.until ?? Infinity) < startedMs;
      return !isOver && locks.some((lock) => binds(freeze, agent, lock)) ? [freeze] : [];
    });
  }

  /** What binds a process on a lock now, by the store's clock. @param graceMs for how long it may not know that a time is over */
  binding(agent: Agent, lock: string, graceMs = 0): readonly Known[] {
    const now = this.#nowMs(this.#world.scheduler.now) - graceMs;
    return this.#now.filter(({ freeze }) => binds(freeze, agent, lock) && (freeze.until === null || now < freeze.until));
  }

  #nowMs(at: number): number {
    return this.#world.store.now() - this.#world.scheduler.now + at;
  }
}

/** A caller of the library that has its own steps looks at no freezes. */
function heedsFreezes({ job }: Agent): boolean {
  return job.kind === "run" || job.kind === "resume" || job.kind === "exec" || job.kind === "lease";
}

function binds({ locks, node, group }: Freeze, agent: Agent, lock: string): boolean {
  const isOfLock = locks.includes("*") || locks.includes(lock);
  return isOfLock && (node === null || node === agent.node.hostName) && (group === null || group === agent.node.group);
}
