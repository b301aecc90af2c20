// A simulated fleet: the store, the nodes and their processes, the faults that come over them, and at the end the people
// who put in order what a fault has left. One run of it is run.ts's.
import type { Job, Scenario } from "./scenario.js";
import { Agent } from "./agent.js";
import { ADMIN, Checks } from "./checks.js";
import type { Choices } from "./choices.js";
import { type SeenEntry, SimulatedStore } from "./store.js";
import type { Contents } from "../../src/queue/model/contents.js";
import { SimulatedNode } from "./node.js";
import type { Scheduler } from "./scheduler.js";
import type { GuardedAction } from "../../src/actions/action.js";
import { encodeFreezes, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import type { ClaimRecord, Owner } from "../../src/locks/claim.js";
import type { Story } from "./stories.js";

const EPOCH = 1_700_000_000_000;

/** What nodes know the one store there is by. */
const STORE_NAME = "memory";

export class World {
  readonly store: SimulatedStore;
  readonly checks: Checks;
  readonly nodes: readonly SimulatedNode[];
  /** Every process that there ever was, by its name. */
  readonly agents = new Map<string, Agent>();
  /** Whether faults are over, and all that was broken is whole again. */
  isCalm = false;
  /** Infinity until then. */
  calmSince = Number.POSITIVE_INFINITY;
  isStoreFrozen = false;
  /** How many faults of which kind have come over it. */
  readonly met = new Map<string, number>();
  /** Claims on one lock that were taken out of its queue by hand while they waited, and when. */
  /** The actions that there are in the configuration. */
  readonly declared: ReadonlySet<string>;
  readonly takenOutWaiting = new Map<string, number>();
  /** Places, as "claim lock". */
  readonly #cleared = new Set<string>();
  #faultsLeft: number;
  #backup: Contents | null = null;
  #latestSeen: Map<SimulatedNode, number> | null = null;
  #settling: (() => void)[] = [];

  constructor(
    readonly scheduler: Scheduler,
    readonly choices: Choices,
    readonly scenario: Scenario,
  ) {
    this.checks = new Checks(this);
    const after = (ms: number, run: () => void): (() => void) => scheduler.after(ms, "store", "", run);
    const { leavesEnded } = scenario;
    this.store = new SimulatedStore({ now: () => EPOCH + scheduler.now, after, putsAway: !leavesEnded }, this.checks);
    this.nodes = Array.from({ length: scenario.nodes }, (_, index) => new SimulatedNode(index, scheduler, scenario.hasNamesakes));
    this.#faultsLeft = scenario.faults;
    this.declared = new Set(scenario.tasks.flatMap(({ job }) => ("action" in job ? [job.action.name] : [])));
    for (const { node, startsAt, job } of scenario.tasks) {
      scheduler.after(startsAt, "fleet", "", () => this.launch(this.nodes[node] as SimulatedNode, job));
    }
  }

  get hasGoneBack(): boolean {
    return this.#latestSeen !== null;
  }

  /** An admin makes a backup, to which the store may be brought back once. */
  backUp(): void {
    this.#backup = this.store.snapshot();
  }

  /** @returns false where there is no backup */
  goBack(): boolean {
    if (this.#backup === null || this.hasGoneBack) return false;
    this.#latestSeen = new Map(this.nodes.map((node) => [node, node.sightings.get(STORE_NAME)?.fencingToken ?? 0]));
    this.store.restore(this.#backup);
    return true;
  }

  /** The newest fencing token that a node had seen when the store went back in time. */
  latestSeenBy(node: SimulatedNode): number {
    return this.#latestSeen?.get(node) ?? 0;
  }

  get living(): readonly Agent[] {
    return this.nodes.flatMap(({ agents }) => [...agents]);
  }

  get hasLiving(): boolean {
    return this.nodes.some(({ agents }) => agents.size > 0);
  }

  get troublePercent(): number {
    return this.isCalm ? 0 : this.scenario.troublePercent;
  }

  launch(node: SimulatedNode, job: Job): void {
    node.whenAwake(() => this.#launchOn(node, job));
  }

  #launchOn(node: SimulatedNode, job: Job): void {
    const agent = new Agent(this, node, `${node.name}.${this.agents.size + 1}`, job);
    this.agents.set(agent.name, agent);
    if (this.isStoreFrozen) agent.link.freeze();
    agent.start();
  }

  mayFault(): boolean {
    return !this.isCalm && this.#faultsLeft > 0;
  }

  noteFault(whom: string, what: string): void {
    this.#faultsLeft -= 1;
    this.scheduler.say(whom, `⚡ ${what}`);
  }

  /** Calls back when all that goes on by itself has come to rest. */
  whenSettled(tell: () => void): void {
    this.#settling.push(tell);
  }

  settled(): void {
    for (const tell of this.#settling.splice(0)) tell();
  }

  /** Whether a person has ended the claim there. */
  wasCleared(claim: string, lock: string): boolean {
    return this.#cleared.has(`${claim} ${lock}`);
  }

  /** An admin ends a claim in all its locks, whatever it is. */
  clear(claim: string): void {
    const entries = this.store.present().filter(({ id, session }) => id === claim && session === null);
    for (const { lock } of entries) this.#cleared.add(`${claim} ${lock}`);
    this.store.actAs(ADMIN, () => this.store.end(entries, { event: "cleared", by: ADMIN, reason: "in the way" }));
  }

  /** Somebody takes an ephemeral claim out of one of its queues by hand, as the store's own tools allow. */
  takeOut(entry: SeenEntry): void {
    this.#cleared.add(`${entry.id} ${entry.lock}`);
    const { stories } = this.checks;
    if (!stories.isHeld(entry) && stories.of(entry.id)?.locks.length === 1) this.takenOutWaiting.set(entry.id, this.scheduler.now);
    const { lock, ref } = entry;
    this.store.actAs(ADMIN, () => this.store.commit([{ do: "withdraw", lock, ref }]));
  }

  /** What a process waits for now is not what was taken out before. */
  noteJoined(by: string): void {
    for (const id of this.takenOutWaiting.keys()) if (this.checks.stories.of(id)?.by === by) this.takenOutWaiting.delete(id);
  }

  /** Durable claims, but for leases, whose process is gone, or whose action has failed. */
  leftovers(): readonly SeenEntry[] {
    return this.store.present().filter(({ session, record }) => {
      if (session !== null || record === null || record.lease !== null) return false;
      return (
        record.failure !== null ||
        !this.living.some(
          ({ identity }) => identity.pid === record.owner.process?.pid && identity.bootId === record.owner.process.bootId,
        )
      );
    });
  }

  /** The end of all faults: whatever is broken is mended, and from now on everything must come to its end. */
  calm(): void {
    if (this.isCalm) return;
    this.isCalm = true;
    this.calmSince = this.scheduler.now;
    this.isStoreFrozen = false;
    this.store.hasNoRoom = false;
    this.scheduler.say("fleet", "no more faults from here on");
    for (const node of this.nodes) {
      node.wake();
      node.wallOffsetMs = 0;
      node.isBlocked = false;
    }
    for (const agent of this.agents.values()) {
      agent.link.onReply = null;
      agent.link.losesRequest = () => false;
      if (agent.link.isLagging) agent.link.cut();
      agent.goOn();
    }
    this.#tidy();
  }

  /** What people and timers do about what was left: run the action again, clear what has no action. */
  #tidy(): void {
    this.#thaw();
    for (const entry of this.store.present()) if (entry.session === null && entry.record?.lease != null) this.#putAway(entry);
    for (const entry of this.leftovers()) {
      const node = this.#nodeOf(entry.record?.owner ?? null);
      const job = this.#jobFor(entry, node);
      if (job === null) this.clear(entry.id);
      else this.#tend(node, job);
    }
    for (const node of this.nodes) {
      for (const [action, runs] of node.runs) {
        const known = this.#actions(node).find(({ name }) => name === action);
        if (known !== undefined) {
          if (runs.size > 0) this.#tend(node, { kind: "resume", action: known });
        } else for (const { lock } of runs.values()) this.#retryExec(node, lock);
      }
      for (const name of node.attempts.keys()) {
        const action = this.#actions(node).find((one) => one.name === name);
        if (action !== undefined) this.#tend(node, { kind: "resume", action: { ...action, acquire: PATIENT } });
      }
    }
    if (this.scheduler.now > TIDY_FOR_MS) return;
    this.scheduler.after(TIDY_EVERY_MS, "fleet", "", () => {
      if (this.living.length > 0 || this.store.present().length > 0 || this.#isNoted()) this.#tidy();
    });
  }

  /** An admin thaws what nobody is going to thaw. */
  #thaw(): void {
    const { stored } = this.checks.freezes;
    const left = stored.filter(({ by }) => this.living.some(({ name }) => name === by));
    if (left.length === stored.length) return;
    const value = left.length === 0 ? null : encodeFreezes(left);
    this.writeFreezes(value);
  }

  /** An admin writes what the store has of freezes by hand. */
  writeFreezes(value: string | null): void {
    const revision = this.store.document(FREEZES_DOCUMENT)?.revision ?? 0;
    this.store.actAs(ADMIN, () => this.store.commit([{ do: "document", name: FREEZES_DOCUMENT, value, revision }]));
  }

  /** Where a claim was made; for leases any of that name will do. */
  #nodeOf(owner: Owner | null): SimulatedNode {
    const isIts = ({ machine, hostName }: SimulatedNode): boolean =>
      owner?.machine == null ? hostName === owner?.node : machine === owner.machine;
    return this.nodes.find(isIts) as SimulatedNode;
  }

  /** Has a lease that its owner has left ended, and one whose time is over looked at, unless somebody waits behind it and will. */
  #putAway({ id, record }: SeenEntry): void {
    const story = this.checks.stories.of(id) as Story;
    if (this.living.some(({ name, job }) => name === story.by || (job.kind === "by-id" && job.claim === id))) return;
    const { expiresAt = null, owner } = record as ClaimRecord;
    const isWaitedFor = story.locks.some((lock) => this.store.stored(lock).some(({ session }) => this.store.lives(session)));
    if (expiresAt !== null && (expiresAt > this.store.now() || isWaitedFor)) return;
    const node = this.#nodeOf(owner);
    this.launch(node, { kind: "by-id", claim: id, deeds: [{ kind: expiresAt === null ? "unlock" : "ask", afterMs: 0 }] });
  }

  #isNoted(): boolean {
    return this.nodes.some(({ runs, attempts }) => attempts.size > 0 || [...runs.values()].some((ofAction) => ofAction.size > 0));
  }

  #jobFor({ record, lock }: SeenEntry, node: SimulatedNode): Job | null {
    const name = record?.owner.action ?? null;
    if (name === null) return null;
    // Where the configuration has changed since, and the journal does not know of it, only the old one finds it.
    const action = this.#actions(node).find((one) => one.name === name && one.lock === lock);
    if (action !== undefined) return { kind: this.choices.pick(["run", "resume"]), action: { ...action, acquire: PATIENT } };
    return this.#execOf(node, lock);
  }

  #retryExec(node: SimulatedNode, lock: string): void {
    const job = this.#execOf(node, lock);
    if (job !== null) this.#tend(node, job);
  }

  /** Has somebody do it, unless somebody does. */
  #tend(node: SimulatedNode, job: Job): void {
    if (![...node.agents].some((agent) => nameOf(agent.job) === nameOf(job))) this.launch(node, job);
  }

  #execOf(node: SimulatedNode, lock: string): Job | null {
    const isIt = (job: Job): boolean => job.kind === "exec" && job.spec.durable && job.spec.lock === lock;
    const task = this.scenario.tasks.find(({ node: index, job }) => this.nodes[index] === node && isIt(job));
    return task?.job.kind === "exec" ? { kind: "exec", spec: { ...task.job.spec, acquire: PATIENT } } : null;
  }

  #actions(node: SimulatedNode): readonly GuardedAction[] {
    return this.scenario.tasks.flatMap(({ node: index, job }) =>
      this.nodes[index] === node && (job.kind === "run" || job.kind === "resume") ? [job.action] : [],
    );
  }
}

const PATIENT = { sleepTimeMs: 8_000, timeoutMs: null };
const TIDY_EVERY_MS = 30_000;
// Long after whatever can be tended has been.
const TIDY_FOR_MS = 4_800_000;

function nameOf(job: Job): string | null {
  if (job.kind === "run" || job.kind === "resume") return `${job.action.name} ${job.action.lock}`;
  return job.kind === "exec" && job.spec.durable ? `exec ${job.spec.lock}` : null;
}
