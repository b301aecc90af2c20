// What must be true of the commands of a simulated fleet: whose claim they run under, whom they run beside, and that each
// runs only when it must.
import type { BootMoment } from "../../src/locks/claim.js";
import type { Agent } from "./agent.js";
import { HookChecks } from "./hook-checks.js";
import type { Group, SimulatedNode } from "./node.js";
import type { Stories, Story } from "./stories.js";
import type { World } from "./world.js";

export class CommandChecks {
  readonly hooks: HookChecks;
  readonly #world: World;
  readonly #stories: Stories;
  readonly #fail: (what: string) => void;
  /** Commands at work, and those that were lately. */
  #groups: Group[] = [];
  readonly #successes = new Map<Agent, Group[]>();
  readonly #started = new Set<Agent>();
  /** How many checks of a process have passed one after another. */
  readonly #passedInRow = new Map<Agent, number>();
  /** Restarts that have ended well, and whose process has not looked yet whether anything has restarted. */
  readonly #unseen = new Map<Agent, Story>();

  constructor(world: World, stories: Stories, fail: (what: string) => void) {
    this.#world = world;
    this.#stories = stories;
    this.#fail = fail;
    this.hooks = new HookChecks(world, fail);
  }

  /** Whether that process has started any. A check of a claim that was adopted may be called off, and nothing is begun for it. */
  hasStarted(agent: Agent): boolean {
    return this.#started.has(agent);
  }

  /** Those of that process that have ended well. */
  successesOf(agent: Agent): readonly Group[] {
    return this.#successes.get(agent) ?? [];
  }

  started(group: Group): void {
    const { agent, claim } = group;
    if (this.#world.hasGoneBack) return this.#startedAfterGoingBack(group);
    const who = `the ${group.what} of ${agent.name}`;
    const story = this.#stories.of(claim);
    if (story === undefined) return this.#fail(`${who} starts without a claim`);
    if (group.kind === "main") this.#started.add(agent);
    if (group.kind === "main" && story.hasSucceeded)
      this.#fail(`${who} starts under ${story.name} although it had succeeded under it before`);
    for (const other of this.atWork()) {
      if (other.claim === claim) this.#fail(`${who} starts under ${story.name} while the one of ${other.agent.name} runs under it`);
    }
    this.#groups.push(group);
    for (const lock of story.locks) this.#demandClaim(group, story, lock, who);
    if (!group.isExcused) for (const lock of story.locks) this.demandRule(lock);
    if (story.isDurable && agent.job.kind !== "several") this.#demandJournal(group, who);
    if (group.kind === "main") this.#demandNeeded(group, story, who);
    this.hooks.begun(group);
    this.#world.checks.freezes.begun(group);
    this.#world.checks.gates.begun(group);
    if (agent.job.kind === "resume" && story.adopted === null && !agent.hasSeenAttempts)
      this.#fail(`${who} starts to resume what nobody has left`);
  }

  /** What the store has forgotten nobody can keep to; but a node that can know so is to start nothing. */
  #startedAfterGoingBack(group: Group): void {
    const { agent, claim, fencingToken, kind } = group;
    // What had begun before may go on to its end, checks included.
    if (kind === "check" || kind === "after") return;
    if (this.#stories.of(claim)?.tokenOfOldStore !== fencingToken) return;
    // A caller of the library notes nowhere what its node has seen.
    if (agent.job.kind === "several") return;
    if (!agent.isEphemeral && fencingToken <= this.#world.latestSeenBy(agent.node)) this.#world.checks.startedByOldStore(group);
  }

  /** A process ends the group of a command. */
  killed(group: Group, by: Agent): void {
    const { agent } = group;
    if (agent !== by && agent.isAlive && group.isAtWork) this.#fail(`${by.name} ends the command of ${agent.name}, which lives`);
  }

  /** A command has ended, and its process hears of it. */
  ended(group: Group, passed: boolean): void {
    this.hooks.ended(group, passed);
    const inRow = passed ? (this.#passedInRow.get(group.agent) ?? 0) + 1 : 0;
    if (group.kind === "check") this.#passedInRow.set(group.agent, inRow);
    if (passed) return this.#succeeded(group);
    // A check that fails while it soaks, or a hook that fails after it, takes the success back.
    this.#stories.forgetSuccess(group.claim);
  }

  #succeeded(group: Group): void {
    const { agent } = group;
    const { job } = agent;
    const done = [...(this.#successes.get(agent) ?? []), group];
    this.#successes.set(agent, done);
    if (group.kind === "before" || group.kind === "after") return;
    const story = this.#stories.of(group.claim);
    if (story === undefined || (job.kind !== "run" && job.kind !== "resume")) return;
    const ranMain = done.some(({ kind, claim }) => kind === "main" && claim === group.claim);
    if (!ranMain || (job.action.verify !== null && group.kind === "main")) return;
    if (group.kind === "check" && (this.#passedInRow.get(agent) ?? 0) < (job.action.verify?.passes ?? 1)) return;
    if (group.kind === "main" && job.action.process !== null) this.#unseen.set(agent, story);
    else this.#willNote(agent, story);
  }

  /** A process has seen which processes run: a restart that it waited for has succeeded by that. */
  sawProcesses(agent: Agent): void {
    const story = this.#unseen.get(agent);
    if (story !== undefined && this.#unseen.delete(agent)) this.#willNote(agent, story);
  }

  /** Once it has had the time to note it, that is, at its next step: until then it may still be killed. */
  #willNote(agent: Agent, story: Story): void {
    this.#world.whenSettled(() => {
      if (agent.isAlive) story.hasSucceeded = true;
    });
  }

  /** All that is at work, but for what is allowed to be, and for what sleeps. */
  atWork(): readonly Group[] {
    return this.begun().filter((group) => !group.isExcused && !group.agent.node.isHeavyWithSleep);
  }

  /** All that has begun and is not over. */
  begun(): readonly Group[] {
    this.#groups = this.#groups.filter((group) => group.isAtWork);
    return this.#groups;
  }

  /** The claim must be there, held in its place, and this process's own: settled in the store before anything starts. */
  #demandClaim(group: Group, story: Story, lock: string, who: string): void {
    const entry = this.#world.store.stored(lock).find(({ id }) => id === group.claim);
    const wasForced = this.#stories.isForced(story.entries.get(lock)?.session ?? null);
    if (wasForced || this.#world.wasCleared(group.claim, lock)) {
      group.isExcused = true;
      return;
    }
    if (entry === undefined) return this.#fail(`${who} starts under ${story.name}, which is not on ${lock}`);
    if (!this.#stories.isHeld(entry)) this.#fail(`${who} starts under ${story.name}, which is not held on ${lock}`);
    const token = group.fencingToken;
    const isEphemeralJob = group.agent.isEphemeral;
    if (!isEphemeralJob && entry.session !== null) this.#fail(`${who} starts under ${story.name}, which is not settled`);
    if (!isEphemeralJob && entry.fencingToken !== token)
      this.#fail(`${who} starts with token ${token}, and ${story.name} has ${entry.fencingToken}`);
    if (!this.#stories.isOwner(entry, group.agent.name)) this.#fail(`${who} starts under ${story.name}, which is not its own`);
    const since = this.#stories.heldSince(entry);
    if (token < since) this.#fail(`${who} starts with token ${token}, older than its turn on ${lock} (${since})`);
  }

  /** Of all locks that something runs under on that node. */
  demandRules(node: SimulatedNode): void {
    const groups = this.atWork().filter(({ agent }) => agent.node === node);
    for (const lock of new Set(groups.flatMap(({ locks }) => locks))) this.demandRule(lock);
  }

  /** Of all that runs under a lock, and of all leases on it: one key, and no more than any of them allows. */
  demandRule(lock: string): void {
    const running = new Map<string, Story>();
    for (const { claim } of this.atWork()) {
      const story = this.#stories.of(claim) as Story;
      if (story.locks.includes(lock)) running.set(claim, story);
    }
    // A lease is at work for as long as it is in hand: what its owner does meanwhile is nobody's business.
    for (const { id, session, record } of this.#world.store.stored(lock))
      if (session === null && record?.lease != null) running.set(id, this.#stories.of(id) as Story);
    const stories = [...running.values()];
    const names = stories.map(({ name }) => name).join(" and ");
    if (new Set(stories.map(({ key }) => key)).size > 1)
      this.#fail(`work is done at once under ${names}, which have different keys on ${lock}`);
    if (stories.some(({ slots }) => slots < stories.length))
      this.#fail(`work is done at once under ${names}, more than the slots of ${lock} allow`);
  }

  #demandJournal(group: Group, who: string): void {
    const noted = [...group.agent.node.runs.values()].some((runs) => runs.get(group.claim)?.group?.pid === group.leader.pid);
    if (!noted) this.#fail(`${who} starts before its group is in the journal`);
  }

  /** A run is over without its command having run, because the process is said to have restarted. */
  foundRestarted(agent: Agent): void {
    const { job, node } = agent;
    if (job.kind !== "run" && job.kind !== "resume") return;
    if (job.kind === "run" && job.action.alreadyRestarted === "run")
      this.#fail(`${agent.name} was asked to run and has not, because of what was before`);
    const wished = agent.seenWish;
    const service = agent.seenService ?? node.service;
    if (wished !== null && service.bootId === wished.bootId && (service.ticks ?? 0) <= (wished.ticks ?? 0))
      this.#fail(`${agent.name} takes a restart for its own that was before the latest wish`);
  }

  /** Who only finishes what was left does not restart what has restarted since, where nothing checks its health. */
  #demandNeeded(group: Group, story: Story, who: string): void {
    const { agent } = group;
    const { job } = agent;
    const made = story.adopted?.record?.made;
    if (made == null || (job.kind !== "run" && job.kind !== "resume")) return;
    if (job.action.mode !== "serialize_process" || job.action.verify !== null) return;
    if (job.kind === "run" && job.action.alreadyRestarted === "run") return;
    // Another command of this node may have restarted it since this process has looked.
    const service = agent.seenService ?? agent.node.service;
    const isAfter = (wish: BootMoment): boolean => service.bootId !== wish.bootId || (service.ticks ?? 0) > (wish.ticks ?? 0);
    if (isAfter(made) && (agent.seenWish === null || isAfter(agent.seenWish)))
      this.#fail(`${who} starts although the service has restarted since ${story.name} was made`);
  }
}

/** A wish that is made now has an action run again whose check had passed, as long as it has not come to its end. */
export function isNewWish({ job }: Agent): boolean {
  return job.kind === "run" && (job.action.after !== null || job.action.soakMs > 0);
}
