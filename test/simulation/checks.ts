// What must be true whatever happens: told of every transaction of the store, it says at once what is wrong. Commands are
// command-checks.ts's, leases are lease-checks.ts's, and what is left when something is over is end-checks.ts's.
import type { Ending } from "../../src/locks/history.js";
import { CommandChecks, isNewWish } from "./command-checks.js";
import { FreezeChecks } from "./freeze-checks.js";
import { GateChecks } from "./gate-checks.js";
import { changesIn, LeaseChecks } from "./lease-checks.js";
import type { Group } from "./node.js";
import type { SeenEntry, StoreObserver } from "./store.js";
import { Stories, type Story } from "./stories.js";
import type { World } from "./world.js";

export const ADMIN = "admin";

export class Checks implements StoreObserver {
  /** What was found to be wrong first, or `null`. */
  violation: string | null = null;
  readonly stories: Stories;
  readonly commands: CommandChecks;
  readonly leases: LeaseChecks;
  readonly freezes: FreezeChecks;
  readonly gates: GateChecks;
  /** How often each claim has ended durably on each lock, by "claim lock". */
  readonly ended = new Map<string, number>();
  /** Those that ended while nothing could be recorded, likewise. */
  readonly unrecorded = new Set<string>();
  /** Those who have ended their own claim, with a record. */
  readonly endedTheirs = new Set<string>();
  /** Those who have taken their own claim out of the line, in a session that goes on, and have not taken up another since. */
  readonly withdrawn = new Set<string>();
  readonly #world: World;
  readonly #lastToken = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.stories = new Stories(world);
    this.commands = new CommandChecks(world, this.stories, (what) => this.fail(what));
    this.gates = new GateChecks(world, (what) => this.fail(what));
    this.freezes = new FreezeChecks(world, (what) => this.fail(what));
    this.leases = new LeaseChecks(world, this.stories, (what) => this.fail(what));
  }

  /** What is wrong by a rule that holds for as long as the store forgets nothing. */
  fail(what: string): void {
    if (!this.#world.hasGoneBack) this.#report(what);
  }

  /** A command begins that has been given a token which its node has seen before: the store has gone back in time. */
  startedByOldStore(group: Group): void {
    const { agent, claim, fencingToken } = group;
    this.#report(
      `the command of ${agent.name} starts under ${this.nameOf(claim)} with token ${fencingToken}, which its node has seen before`,
    );
  }

  #report(what: string): void {
    if (this.violation !== null) return;
    this.violation = what;
    this.#world.scheduler.say("!!!", what);
  }

  /** A claim's short name, for people. */
  nameOf(claim: string): string {
    return this.stories.nameOf(claim);
  }

  joined(entries: readonly SeenEntry[], by: string): void {
    const agent = this.#world.agents.get(by);
    const idles = agent?.job.kind === "resume" && !agent.hasSeenAttempts;
    this.#world.noteJoined(by);
    this.gates.joined(by);
    this.stories.begin(entries, by);
    for (const { id, lock } of entries) {
      const places = this.#world.store.stored(lock).filter((entry) => entry.id === id);
      if (places.length > 1) this.fail(`${by} stands in line on ${lock} ${places.length} times with ${this.nameOf(id)}`);
    }
    if (idles) this.fail(`${by} joins the line to resume what nobody has left`);
  }

  settled(entries: readonly SeenEntry[], by: string): void {
    for (const entry of entries) {
      this.#world.scheduler.say("store", `${this.nameOf(entry.id)} is settled on ${entry.lock}, token ${entry.fencingToken}`);
      if (!this.stories.isHeld(entry)) this.fail(`${by} settles ${this.nameOf(entry.id)} on ${entry.lock}, which is not held`);
      this.#noteToken(entry);
      this.freezes.settled(entry.lock, by);
    }
    const story = this.stories.ofEntries(entries);
    if (story.by !== by) this.fail(`${by} settles ${story.name}, which is not its own`);
    if (entries.length !== story.locks.length) this.fail(`${by} settles ${story.name} on one of its locks and not on the others`);
    story.isDurable = true;
    if (!story.isLease) return;
    this.leases.settled(entries, by);
    for (const lock of story.locks) this.commands.demandRule(lock);
  }

  adopted(entries: readonly SeenEntry[], before: readonly SeenEntry[], by: string): void {
    for (const [index, entry] of entries.entries()) {
      const old = before[index] as SeenEntry;
      this.#world.scheduler.say(
        "store",
        `${by} has adopted ${this.nameOf(entry.id)} on ${entry.lock}, token ${entry.fencingToken}`,
      );
      this.#demandRecoverable(old, by, "adopts");
      if (!this.stories.isOwner(entry, by)) this.fail(`${by} adopts ${this.nameOf(entry.id)} for somebody else`);
      this.#noteToken(entry);
      const story = this.stories.ofEntries(entries);
      story.adopted = old;
      story.adoptedBy = by;
      this.withdrawn.delete(by);
      const agent = this.#world.agents.get(by);
      agent?.sawWish(old.record?.made ?? null);
      // The claim stands for the new wish from now on, whoever comes to it.
      if (agent !== undefined && isNewWish(agent)) this.stories.forgetSuccess(entry.id);
    }
  }

  updated(entries: readonly SeenEntry[], before: readonly SeenEntry[], by: string): void {
    for (const [index, entry] of entries.entries()) {
      const failure = entry.record?.failure?.message;
      this.#world.scheduler.say("store", `${this.nameOf(entry.id)} is marked on ${entry.lock}: ${failure ?? "no failure"}`);
      const then = before[index] as SeenEntry;
      if (failure !== undefined) this.stories.forgetSuccess(entry.id);
      const isNew = failure !== undefined && then.record?.failure?.message !== failure;
      if (isNew && !isGivenBack(then, entry)) this.#demandRecorded(entry, by);
      const kind = this.#world.agents.get(by)?.job.kind;
      if (kind === "lease" || kind === "by-id") this.leases.updated(entry, then, by);
      else if (!this.stories.isOwner(then, by)) this.fail(`${by} writes to ${this.nameOf(entry.id)}, which is not its own`);
      else if (changesIn(entry.record?.data) !== this.#changesAfter(then, entry))
        this.fail(`${by} writes to ${this.nameOf(entry.id)} and loses a change of its data`);
    }
  }

  /** Of a leftover that is given back: what it was left with, unless somebody has changed it since it was taken up. */
  #changesAfter(then: SeenEntry, entry: SeenEntry): number {
    const changes = changesIn(then.record?.data);
    return isGivenBack(then, entry) && changes === 0 ? changesIn(this.stories.of(entry.id)?.adopted?.record?.data) : changes;
  }

  /** Once an admin has cleared it, the history alone tells what has failed. */
  #demandRecorded({ id, lock }: SeenEntry, by: string): void {
    const { store } = this.#world;
    const [latest] = store.history(lock, 1);
    if (store.wasRefused(by, id, lock) || (latest?.claim === id && latest.isKept)) return;
    this.fail(`the failure of ${this.nameOf(id)} on ${lock} is not recorded`);
  }

  left(entries: readonly SeenEntry[], ending: Ending | null, isRecorded: boolean, by: string): void {
    for (const { id } of entries) {
      const story = this.stories.of(id) as Story;
      const isThere = story.locks.some((lock) => this.#world.store.stored(lock).some((entry) => entry.id === id));
      if (!isThere) story.endedAt = this.#world.store.revision;
      if (ending !== null && entries.length !== story.locks.length)
        this.fail(`${by} ends ${story.name} on one of its locks and not on the others`);
    }
    const isWithdrawn = ending === null && this.#world.store.lives(entries[0]?.session ?? null);
    if (isWithdrawn && this.stories.ofEntries(entries).by === by) this.withdrawn.add(by);
    for (const entry of entries) {
      const name = this.nameOf(entry.id);
      this.#world.scheduler.say(
        "store",
        `${name} leaves ${entry.lock}: ${ending === null ? "withdrawn, or its session has ended" : `${ending.event} by ${by}`}`,
      );
      const isDurable = entry.session === null;
      if (isDurable && ending === null) this.fail(`${by} ends ${name} on ${entry.lock} without a record`);
      else if (isDurable !== (ending !== null)) this.fail(`${name} has ended on ${entry.lock} as only a durable claim may`);
      if (ending !== null) {
        const place = `${entry.id} ${entry.lock}`;
        this.ended.set(place, (this.ended.get(place) ?? 0) + 1);
        if (isRecorded && this.stories.isOwner(entry, by)) this.endedTheirs.add(by);
        if (!isRecorded) this.unrecorded.add(place);
        this.leases.ended(entry, ending, by);
        this.commands.hooks.left(entry, ending, by);
        if (ending.event === "recovered") this.#demandRecoverable(entry, by, "recovers");
        else if (entry.record?.lease == null && ending.event !== "cleared" && !this.stories.isOwner(entry, by))
          this.fail(`${by} ends ${name}, which is not its own`);
        else if (ending.event === "cleared" && by !== ADMIN) this.fail(`${by} clears ${name}`);
        if (ending.event === "failed" && this.#keepsFailures(by))
          this.fail(`${by} lets go of ${name} although its action has failed`);
      }
      const mayLeave = this.stories.isForced(entry.session) || this.#world.wasCleared(entry.id, entry.lock);
      for (const group of this.commands.begun()) if (mayLeave && group.claim === entry.id) group.isExcused = true;
      for (const group of this.commands.atWork()) {
        if (group.claim === entry.id)
          this.fail(`${name} leaves ${entry.lock} while a command of ${group.agent.name} runs under it`);
      }
      const others = this.#world.store.stored(entry.lock);
      this.stories.noteHeld(others);
    }
  }

  frozen(value: string | null, by: string): void {
    this.freezes.written(value, by);
  }

  owned(entry: SeenEntry, by: string): void {
    const client = this.#world.store.ownerOf(entry.livesBy);
    if (entry.session !== null || entry.record?.lease != null || client === null) return;
    // What somebody has taken up and given back lives by that session until it ends.
    const story = this.stories.of(entry.id);
    const isGivenBack =
      story?.adoptedBy === client && story.adopted?.record?.owner.process?.pid === entry.record?.owner.process?.pid;
    if (!this.stories.isOwner(entry, client) && !isGivenBack)
      this.fail(`${by} has ${this.nameOf(entry.id)} live by a session of ${client}, which is not its owner`);
  }

  #demandRecoverable(entry: SeenEntry, by: string, does: string): void {
    const agent = this.#world.agents.get(by);
    const { owner, failure } = entry.record ?? { owner: null, failure: null };
    const name = this.nameOf(entry.id);
    if (agent === undefined || owner === null || entry.record?.lease != null) return this.fail(`${by} ${does} ${name}`);
    if (owner.process?.pid === agent.identity.pid && owner.process.bootId === agent.identity.bootId) return;
    const { job } = agent;
    const isSame =
      (owner.machine == null ? owner.node === agent.node.hostName : owner.machine === agent.node.machine) &&
      (job.kind === "run" || job.kind === "resume" ? owner.action === job.action.name : job.kind === "exec");
    if (!isSame) this.fail(`${by} ${does} ${name}, which is of another node or action`);
    if (failure === null && this.stories.lives(owner.process)) this.fail(`${by} ${does} ${name}, whose owner lives`);
  }

  #keepsFailures(by: string): boolean {
    const job = this.#world.agents.get(by)?.job;
    return job?.kind === "exec" || ((job?.kind === "run" || job?.kind === "resume") && job.action.onFailure === "hold");
  }

  #noteToken(entry: SeenEntry): void {
    const { id, lock, fencingToken } = entry;
    if (this.#world.hasGoneBack) this.stories.ofEntries([entry]).tokenOfOldStore = fencingToken;
    const last = this.#lastToken.get(lock) ?? 0;
    if (fencingToken === null || fencingToken <= last)
      this.fail(`${this.stories.nameOf(id)} gets token ${fencingToken} on ${lock}, after ${last}`);
    else this.#lastToken.set(lock, fencingToken);
  }
}

/** Somebody who has taken a leftover up makes it what it was. */
function isGivenBack(then: SeenEntry, now: SeenEntry): boolean {
  return now.record?.owner.process?.pid !== then.record?.owner.process?.pid;
}
