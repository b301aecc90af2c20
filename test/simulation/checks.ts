// What must be true whatever happens: told of every transaction of the store and every command that begins, it knows more
// than any process does, and says at once what is wrong. It has the rule in words of its own, not src/locks/rule.ts's.
import type { RunEntry } from "../../src/actions/machine.js";
import type { ProcessIdentity } from "../../src/locks/claim.js";
import type { Ending } from "../../src/locks/coordinator.js";
import type { Agent, JobEnd } from "./agent.js";
import type { StoredEntry, StoreObserver } from "./memory/store.js";
import type { Group } from "./node.js";
import type { World } from "./world.js";

export const ADMIN = "admin";

/** What is known of one claim, in all its locks. */
interface Story {
  readonly name: string;
  readonly locks: readonly string[];
  readonly key: string | null;
  readonly slots: number;
  /** Its places, as they are stored. */
  readonly entries: Map<string, StoredEntry>;
  isDurable: boolean;
  /** Its action has succeeded, and its process knew. */
  hasSucceeded: boolean;
  /** What was adopted, as it was before. */
  adopted: StoredEntry | null;
}

export class Checks implements StoreObserver {
  /** What was found to be wrong first, or `null`. */
  violation: string | null = null;
  readonly #world: World;
  readonly #stories = new Map<string, Story>();
  /** Per place, the transaction since which its claim has been held. */
  readonly #heldSince = new Map<string, number>();
  readonly #lastToken = new Map<string, number>();
  readonly #ended = new Map<string, number>();
  readonly #forced = new Set<string>();
  /** Commands at work, and those that were lately. */
  #groups: Group[] = [];
  readonly #succeeded = new Map<Agent, Group[]>();
  readonly #started = new Set<Agent>();

  constructor(world: World) {
    this.#world = world;
  }

  fail(what: string): void {
    if (this.violation !== null) return;
    this.violation = what;
    this.#world.scheduler.say("!!!", what);
  }

  /** A claim's short name, for people. */
  nameOf(claim: string): string {
    let story = this.#stories.get(claim);
    if (story === undefined) {
      story = {
        name: `c${this.#stories.size + 1}`,
        locks: [],
        key: null,
        slots: 1,
        entries: new Map(),
        isDurable: false,
        hasSucceeded: false,
        adopted: null,
      };
      this.#stories.set(claim, story);
    }
    return story.name;
  }

  /** A fault has ended this session before its time: no promise is made of what depends on it. */
  sessionForced(session: string): void {
    this.#forced.add(session);
  }

  joined(entries: readonly StoredEntry[]): void {
    const [{ id, record }] = entries as [StoredEntry];
    const name = this.nameOf(id);
    const places = new Map(entries.map((entry) => [entry.lock, entry]));
    const { key, slots } = record ?? { key: null, slots: 1 };
    this.#stories.set(id, {
      name,
      locks: [...places.keys()],
      key,
      slots,
      entries: places,
      isDurable: false,
      hasSucceeded: false,
      adopted: null,
    });
    this.#noteHeld(entries);
  }

  settled(entries: readonly StoredEntry[], by: string): void {
    for (const entry of entries) {
      this.#world.scheduler.say("store", `${this.nameOf(entry.id)} is settled on ${entry.lock}, token ${entry.fencingToken}`);
      if (!this.#isHeld(entry)) this.fail(`${by} settles ${this.nameOf(entry.id)} on ${entry.lock}, which is not held`);
      if (!this.#isOwner(entry, by)) this.fail(`${by} settles ${this.nameOf(entry.id)}, which is not its own`);
      this.#noteToken(entry);
    }
    this.#storyOf(entries).isDurable = true;
  }

  adopted(entries: readonly StoredEntry[], before: readonly StoredEntry[], by: string): void {
    for (const [index, entry] of entries.entries()) {
      const old = before[index] as StoredEntry;
      this.#world.scheduler.say(
        "store",
        `${by} has adopted ${this.nameOf(entry.id)} on ${entry.lock}, token ${entry.fencingToken}`,
      );
      this.#demandRecoverable(old, by, "adopts");
      if (!this.#isOwner(entry, by)) this.fail(`${by} adopts ${this.nameOf(entry.id)} for somebody else`);
      this.#noteToken(entry);
      this.#storyOf(entries).adopted = old;
    }
  }

  updated(entries: readonly StoredEntry[], by: string): void {
    for (const entry of entries) {
      const failure = entry.record?.failure?.message;
      this.#world.scheduler.say("store", `${this.nameOf(entry.id)} is marked on ${entry.lock}: ${failure ?? "no failure"}`);
      if (!this.#isOwner(entry, by)) this.fail(`${by} writes to ${this.nameOf(entry.id)}, which is not its own`);
    }
  }

  left(entries: readonly StoredEntry[], ending: Ending | null, by: string): void {
    for (const entry of entries) {
      const name = this.nameOf(entry.id);
      this.#world.scheduler.say(
        "store",
        `${name} leaves ${entry.lock}: ${ending === null ? "withdrawn, or its session has ended" : `${ending.event} by ${by}`}`,
      );
      this.#heldSince.delete(entry.ref);
      const isDurable = entry.session === null;
      if (isDurable !== (ending !== null))
        this.fail(`${name} has ended on ${entry.lock} as only ${isDurable ? "an ephemeral" : "a durable"} claim may`);
      if (ending !== null) {
        const place = `${entry.id} ${entry.lock}`;
        this.#ended.set(place, (this.#ended.get(place) ?? 0) + 1);
        if (ending.event === "recovered") this.#demandRecoverable(entry, by, "recovers");
        else if (ending.event !== "cleared" && !this.#isOwner(entry, by)) this.fail(`${by} ends ${name}, which is not its own`);
        else if (ending.event === "cleared" && by !== ADMIN) this.fail(`${by} clears ${name}`);
        if (ending.event === "failed" && this.#keepsFailures(by))
          this.fail(`${by} lets go of ${name} although its action has failed`);
      }
      for (const group of this.#atWork()) {
        if (group.claim !== entry.id) continue;
        const isForced = entry.session !== null && this.#forced.has(entry.session);
        if (isForced || ending?.event === "cleared") group.isExcused = true;
        else this.fail(`${name} leaves ${entry.lock} while a command of ${group.agent.name} runs under it`);
      }
      const others = this.#world.store.stored(entry.lock);
      this.#noteHeld(others);
    }
  }

  commandStarted(group: Group): void {
    const { agent, claim } = group;
    const who = `the ${group.kind === "main" ? "command" : "check"} of ${agent.name}`;
    const story = this.#stories.get(claim);
    if (story === undefined) return this.fail(`${who} starts without a claim`);
    this.#started.add(agent);
    if (group.kind === "main" && story.hasSucceeded)
      this.fail(`${who} starts under ${story.name} although it had succeeded under it before`);
    for (const other of this.#atWork()) {
      if (other.claim === claim) this.fail(`${who} starts under ${story.name} while the one of ${other.agent.name} runs under it`);
    }
    this.#groups.push(group);
    for (const lock of story.locks) this.#demandClaim(group, story, lock, who);
    if (!group.isExcused) for (const lock of story.locks) this.#demandRule(lock);
    if (story.isDurable && agent.job.kind !== "several") this.#demandJournal(group, who);
    if (group.kind === "main") this.#demandNeeded(group, story, who);
    if (agent.job.kind === "resume" && story.adopted === null && !agent.hasSeenAttempts)
      this.fail(`${who} starts to resume what nobody has left`);
  }

  /** A command has ended well, and its process hears of it. */
  commandSucceeded(group: Group): void {
    const { agent } = group;
    const { job } = agent;
    const done = [...(this.#succeeded.get(agent) ?? []), group];
    this.#succeeded.set(agent, done);
    const story = this.#stories.get(group.claim);
    if (story === undefined || (job.kind !== "run" && job.kind !== "resume")) return;
    const ranMain = done.some(({ kind, claim }) => kind === "main" && claim === group.claim);
    if (!ranMain || (job.action.verify !== null && group.kind === "main")) return;
    // Once it has had the time to note it, that is, at its next step: until then it may still be killed.
    this.#world.whenSettled(() => {
      if (agent.isAlive) story.hasSucceeded = true;
    });
  }

  /** Ephemeral claims that a process has in a session that it has not given up. */
  ephemeralOf(agent: Agent): readonly StoredEntry[] {
    const session = agent.coordinator?.session ?? null;
    if (session === null || session.lost.aborted) return [];
    return this.#world.store.entries().filter((entry) => entry.session === session.id);
  }

  jobEnded(agent: Agent, { outcome }: JobEnd): void {
    const { store } = this.#world;
    const { job } = agent;
    if (job.kind !== "run" && job.kind !== "resume") return;
    const done = this.#succeeded.get(agent) ?? [];
    const last = job.action.verify === null ? "main" : "check";
    if (outcome === "ran" && !done.some(({ kind }) => kind === last)) this.fail(`${agent.name} says that it ran, and did not`);
    const hasStarted = this.#started.has(agent);
    if (["timed-out", "interrupted", "already-done", "nothing to do"].includes(outcome) && hasStarted) {
      this.fail(`${agent.name} says "${outcome}", but has started a command`);
    }
    this.#demandNothingHeld(agent, outcome);
    if (outcome === "unreachable") return;
    const held = new Set(store.entries().map(({ id }) => id));
    for (const entry of agent.node.runs.get(job.action.name)?.values() ?? []) {
      if (entry.agent.pid === agent.identity.pid && !held.has(entry.claim)) {
        this.fail(`${agent.name} is done, and its journal still speaks of ${this.nameOf(entry.claim)}, which is gone`);
      }
    }
  }

  /** Whoever says that nothing was done has nothing in hand, where the store was there to be told. */
  #demandNothingHeld(agent: Agent, outcome: string): void {
    if (!["timed-out", "interrupted", "nothing to do"].includes(outcome) || !agent.link.wasAlwaysOpen || agent.link.isBusy) return;
    for (const entry of this.#world.store.entries()) {
      const story = this.#stories.get(entry.id);
      // What was adopted was left by somebody else, and stays left.
      if (entry.session !== null || story === undefined || story.adopted !== null || !this.#isOwner(entry, agent.name)) continue;
      this.fail(`${agent.name} says "${outcome}" and keeps ${story.name} on ${entry.lock}`);
    }
  }

  /** After everything: nothing is left, and everything was recorded once. */
  atTheEnd(): void {
    const { store, nodes } = this.#world;
    for (const entry of store.entries()) this.fail(`in the end ${this.nameOf(entry.id)} is still on ${entry.lock}`);
    const recorded = new Map<string, number>();
    for (const { claim, lock } of store.history(null, Number.POSITIVE_INFINITY)) {
      recorded.set(`${claim} ${lock}`, (recorded.get(`${claim} ${lock}`) ?? 0) + 1);
    }
    for (const place of new Set([...recorded.keys(), ...this.#ended.keys()])) {
      if (recorded.get(place) !== 1 || this.#ended.get(place) !== 1) {
        const [claim, lock] = place.split(" ") as [string, string];
        this.fail(
          `${this.nameOf(claim)} has ended ${this.#ended.get(place) ?? 0} times on ${lock}, and is recorded ${recorded.get(place) ?? 0} times`,
        );
      }
    }
    for (const node of nodes) {
      for (const run of [...node.runs.values()].flatMap((runs): RunEntry[] => [...runs.values()])) {
        this.fail(`in the end the journal of ${node.name} still speaks of ${this.nameOf(run.claim)}`);
      }
    }
  }

  #storyOf([entry]: readonly StoredEntry[]): Story {
    return this.#stories.get((entry as StoredEntry).id) as Story;
  }

  #atWork(): readonly Group[] {
    this.#groups = this.#groups.filter((group) => group.isAtWork);
    return this.#groups.filter((group) => !group.isExcused);
  }

  /** The claim must be there, held in its place, and this process's own: settled in the store before anything starts. */
  #demandClaim(group: Group, story: Story, lock: string, who: string): void {
    const entry = this.#world.store.stored(lock).find(({ id }) => id === group.claim);
    const session = story.entries.get(lock)?.session ?? null;
    const wasForced = session !== null && this.#forced.has(session);
    const wasCleared = story.isDurable && this.#world.wasCleared(group.claim, lock);
    if (wasForced || wasCleared) {
      group.isExcused = true;
      return;
    }
    if (entry === undefined) return this.fail(`${who} starts under ${story.name}, which is not on ${lock}`);
    if (!this.#isHeld(entry)) this.fail(`${who} starts under ${story.name}, which is not held on ${lock}`);
    const token = group.fencingToken;
    const isEphemeralJob = this.#isEphemeral(group.agent);
    if (!isEphemeralJob && entry.session !== null) this.fail(`${who} starts under ${story.name}, which is not settled`);
    if (!isEphemeralJob && entry.fencingToken !== token)
      this.fail(`${who} starts with token ${token}, and ${story.name} has ${entry.fencingToken}`);
    if (!this.#isOwner(entry, group.agent.name)) this.fail(`${who} starts under ${story.name}, which is not its own`);
    const since = this.#heldSince.get(entry.ref) ?? Number.POSITIVE_INFINITY;
    if (token < since) this.fail(`${who} starts with token ${token}, older than its turn on ${lock} (${since})`);
  }

  #isEphemeral({ job }: Agent): boolean {
    return (job.kind === "exec" && !job.spec.durable) || (job.kind === "several" && !job.durable);
  }

  /** Of all that runs under a lock: one key, and no more than any of them allows. */
  #demandRule(lock: string): void {
    const running = new Map<string, Story>();
    for (const { claim } of this.#atWork()) {
      const story = this.#stories.get(claim) as Story;
      if (story.locks.includes(lock)) running.set(claim, story);
    }
    const stories = [...running.values()];
    const names = stories.map(({ name }) => name).join(" and ");
    if (new Set(stories.map(({ key }) => key)).size > 1)
      this.fail(`commands run at once under ${names}, which have different keys on ${lock}`);
    if (stories.some(({ slots }) => slots < stories.length))
      this.fail(`commands run at once under ${names}, more than the slots of ${lock} allow`);
  }

  #demandJournal(group: Group, who: string): void {
    const noted = [...group.agent.node.runs.values()].some((runs) => runs.get(group.claim)?.group?.pid === group.leader.pid);
    if (!noted) this.fail(`${who} starts before its group is in the journal`);
  }

  /** A process that has restarted since the claim was made is not restarted again, where nothing checks its health. */
  #demandNeeded(group: Group, story: Story, who: string): void {
    const { agent } = group;
    const { job } = agent;
    const made = story.adopted?.record?.made;
    if (made == null || (job.kind !== "run" && job.kind !== "resume")) return;
    if (job.action.mode !== "serialize_process" || job.action.verify !== null) return;
    // Another command of this node may have restarted it since this process has looked.
    const service = agent.seenService ?? agent.node.service;
    if (service.bootId !== made.bootId || (service.ticks ?? 0) > (made.ticks ?? 0))
      this.fail(`${who} starts although the service has restarted since ${story.name} was made`);
  }

  #demandRecoverable(entry: StoredEntry, by: string, does: string): void {
    const agent = this.#world.agents.get(by);
    const { owner, failure } = entry.record ?? { owner: null, failure: null };
    const name = this.nameOf(entry.id);
    if (agent === undefined || owner === null) return this.fail(`${by} ${does} ${name}`);
    if (owner.process?.pid === agent.identity.pid && owner.process.bootId === agent.identity.bootId) return;
    const { job } = agent;
    const isSame =
      owner.node === agent.node.name &&
      (job.kind === "run" || job.kind === "resume" ? owner.action === job.action.name : job.kind === "exec");
    if (!isSame) this.fail(`${by} ${does} ${name}, which is of another node or action`);
    if (failure === null && this.#lives(owner.process)) this.fail(`${by} ${does} ${name}, whose owner lives`);
  }

  #keepsFailures(by: string): boolean {
    const job = this.#world.agents.get(by)?.job;
    return job?.kind === "exec" || ((job?.kind === "run" || job?.kind === "resume") && job.action.onFailure === "hold");
  }

  #lives(process: ProcessIdentity | null): boolean {
    return this.#world.nodes.some((node) =>
      [...node.agents].some(({ identity }) => identity.pid === process?.pid && identity.bootId === process.bootId),
    );
  }

  #isOwner(entry: StoredEntry, by: string): boolean {
    const process = entry.record?.owner.process;
    const identity = this.#world.agents.get(by)?.identity;
    return process != null && identity !== undefined && process.pid === identity.pid && process.bootId === identity.bootId;
  }

  #noteToken({ id, lock, fencingToken }: StoredEntry): void {
    const last = this.#lastToken.get(lock) ?? 0;
    if (fencingToken === null || fencingToken <= last)
      this.fail(`${this.nameOf(id)} gets token ${fencingToken} on ${lock}, after ${last}`);
    else this.#lastToken.set(lock, fencingToken);
  }

  /** The rule, as DESIGN.md says it. */
  #isHeld(entry: StoredEntry): boolean {
    const queue = this.#world.store.stored(entry.lock);
    const position = queue.findIndex(({ ref }) => ref === entry.ref);
    const upTo = queue.slice(0, position + 1).map(({ record }) => record ?? { key: null, slots: 1 });
    return upTo.every(({ key }) => key === (entry.record?.key ?? null)) && upTo.every(({ slots }) => position < slots);
  }

  #noteHeld(entries: readonly StoredEntry[]): void {
    for (const entry of entries) {
      if (!this.#heldSince.has(entry.ref) && this.#isHeld(entry)) this.#heldSince.set(entry.ref, this.#world.store.transactions);
    }
  }
}
