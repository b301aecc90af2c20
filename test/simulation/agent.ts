// One process of a simulated node: what it was started for, its connection to the store, and its death. A dead process
// does nothing more: what it has parked is dropped, and its machine answers nothing.
import { execute } from "../../src/actions/exec.js";
import type { GuardContext } from "../../src/actions/context.js";
import { resumeGuarded, runGuarded } from "../../src/actions/run.js";
import { InterruptedError } from "../../src/actions/stop.js";
import { laterOf, type BootMoment, type ProcessIdentity } from "../../src/locks/claim.js";
import { HoldlineError, UnreachableError } from "../../src/locks/errors.js";
import { freezeForAWhile } from "./freeze-jobs.js";
import { checkJob, ephemeralOf } from "./end-checks.js";
import { createMachine } from "./machine.js";
import { actById, useLease } from "./people.js";
import { openEngine, type QueueEngine } from "../../src/queue/engine.js";
import type { StoreTraits } from "../../src/queue/store.js";
import { MEMORY_TRAITS } from "../../src/stores/memory/index.js";
import { type Carry, Link } from "../stores/memory/link.js";
import { createLinkedStore } from "../stores/memory/linked-store.js";
import type { SimulatedNode } from "./node.js";
import type { Job } from "./scenario.js";
import { describeJob } from "./scenario.js";
import { holdSeveral } from "./several.js";
import type { World } from "./world.js";

/** Thrown into a process that is killed in the middle of a write: nothing that comes of it has any effect. */
export class AgentKilled extends Error {}

/** What became of a job, as its caller hears it. */
export interface JobEnd {
  readonly outcome: string;
  readonly message: string;
}

// How often what was sent over a connection that breaks is carried out all the same, and how much later.
const ARRIVES_LATE_PERCENT = 30;
const LATE_MS = [0, 0, 1_000, 4_000, 9_000] as const;
// How often a process goes on when its job is done, as a server does between two requests. What it has given up must not come up then.
const LINGERS_PERCENT = 15;
const SESSION_TIMEOUT_MS = 10_000;
// How often those look who wait for what the store does not tell.
const SLEEP_TIME_MS = 3_000;
// Longer than a run of the simulation.
const MEMBERSHIP_MS = 7 * 86_400_000;
export const RELEASE_TIMEOUT_MS = 20_000;

const silent = (): void => undefined;
const SILENT_LOG = { debug: silent, info: silent, warn: silent, error: silent };

export class Agent {
  readonly identity: ProcessIdentity;
  readonly link: Link;
  isAlive = true;
  /** It has told its caller how its job has ended. */
  isDone = false;
  readonly startedAt: number;
  /** When it last had trouble with its store. */
  disturbedAt = 0;
  /** When the service was started that it has seen last. */
  seenService: BootMoment | null = null;
  /** Whether its journal has told it of an attempt that came to nothing. */
  hasSeenAttempts = false;
  /** Whether it has noted one itself. */
  hasNotedAttempt = false;
  /** When the latest of the wishes stood that its journal and the claims that it took up have told it of. */
  seenWish: BootMoment | null = null;
  coordinator: QueueEngine | null = null;
  /** What has come up while it was stopped; `null` when it is not. */
  #stopped: (() => void)[] | null = null;
  readonly #world: World;
  readonly #stop = new AbortController();
  readonly #relays = new Set<(signal: NodeJS.Signals) => void>();

  constructor(
    world: World,
    readonly node: SimulatedNode,
    readonly name: string,
    readonly job: Job,
  ) {
    this.#world = world;
    this.identity = node.newProcess();
    this.startedAt = world.scheduler.now;
    node.agents.add(this);
    const { scheduler } = world;
    // Messages are not the process's own: those that it has sent may still arrive when it is dead.
    const carry: Carry = (direction, { operation, claim }, arrive) => {
      const about =
        scheduler.trace === null
          ? ""
          : `${direction === "request" ? "→" : "←"} ${operation}${claim === null || operation === "document" ? "" : ` ${world.checks.nameOf(claim)}`}`;
      scheduler.park("message", `${name} `, about, arrive);
    };
    this.link = new Link(name, world.store, carry);
    this.link.onBroken = () => this.disturb();
    this.link.onLate = (request, arrive) => {
      if (!world.choices.percent(ARRIVES_LATE_PERCENT)) return;
      const lateMs = world.choices.pick(LATE_MS);
      if (lateMs === 0) carry("request", request, arrive);
      else scheduler.after(lateMs, `${name} `, `→ ${request.operation}, late`, arrive);
    };
    this.link.onEffect = (client, effect) => world.store.actAs(client, effect);
  }

  /** Parks something of this process's own. */
  park(what: string, go: () => void): void {
    if (this.isAlive) this.#world.scheduler.park("local", this.name, what, () => this.#whenAwake(go));
  }

  pause(what: string): Promise<void> {
    return new Promise((resolve) => this.park(what, resolve));
  }

  after(ms: number, what: string, fire: () => void): () => void {
    return this.isAlive ? this.#world.scheduler.after(ms, this.name, what, () => this.#whenAwake(fire)) : silent;
  }

  /** Whether its command runs under an ephemeral claim. */
  get isEphemeral(): boolean {
    const { job } = this;
    return (job.kind === "exec" && !job.spec.durable) || (job.kind === "several" && !job.durable);
  }

  /** Of several wishes that it has been told of the latest counts. */
  sawWish(made: BootMoment | null): void {
    if (made !== null) this.seenWish = this.seenWish === null ? made : laterOf(made, this.seenWish);
  }

  get isStopped(): boolean {
    return this.#stopped !== null || this.node.isAsleep;
  }

  /** SIGSTOP: it does nothing and hears nothing, and does not know it; its command goes on. */
  stop(): void {
    this.#stopped ??= [];
    this.link.freeze();
  }

  /** SIGCONT. */
  goOn(): void {
    const waiting = this.#stopped ?? [];
    this.#stopped = null;
    for (const go of waiting) this.park("", go);
    this.reconnect();
  }

  disturb(): void {
    this.disturbedAt = this.#world.scheduler.now;
  }

  /** Lets its messages pass again, unless something else holds them up. */
  reconnect(): void {
    this.disturb();
    if (!this.#world.isStoreFrozen && !this.isStopped) this.link.serve();
  }

  /** Starts it. What it does from now on is the scheduler's to order. */
  start(): void {
    this.#world.scheduler.say(this.name, `starts: ${describeJob(this.job)}`);
    void this.#live();
  }

  /** SIGKILL. @param delivers do its requests that are on their way still arrive? */
  kill(delivers: boolean): void {
    if (!this.isAlive) return;
    this.#die();
    this.link.close(delivers);
    for (const group of this.node.groups) {
      // A command whose latch is still closed never begins.
      if (group.agent === this && (group.state === "latched" || group.endsWithAgent)) group.die("SIGKILL");
    }
  }

  /** SIGTERM, as a user or a service manager sends it. */
  interrupt(): void {
    this.#whenAwake(() => this.#onInterrupt());
  }

  #onInterrupt(): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(new InterruptedError("SIGTERM"));
    for (const relay of [...this.#relays]) relay("SIGTERM");
  }

  async #live(): Promise<void> {
    const { checks } = this.#world;
    let end: JobEnd;
    try {
      end = await this.#work();
    } catch (error) {
      if (!this.isAlive) return;
      if (error instanceof InterruptedError) end = { outcome: "interrupted", message: error.message };
      else if (error instanceof UnreachableError) end = { outcome: "unreachable", message: error.message };
      else if (this.job.kind === "freeze" && error instanceof HoldlineError && this.#world.store.hasRefused)
        end = { outcome: "refused: no room", message: error.message };
      else if (error instanceof HoldlineError && error.code === "configuration" && checks.freezes.hasBeenGarbled)
        end = { outcome: "refused: the freezes cannot be read", message: error.message };
      else if (isTwinRefused(error, this.#world)) end = { outcome: "refused: another machine of its name is at work", message: "" };
      else return checks.fail(`${this.name} fails with ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    if (!this.isAlive) return;
    this.#world.scheduler.say(this.name, `is done: ${end.outcome}${end.message === "" ? "" : ` (${end.message})`}`);
    this.isDone = true;
    checkJob(this.#world, this, end);
    const lingers = this.coordinator !== null && !this.#world.isCalm && this.#world.choices.percent(LINGERS_PERCENT);
    if (lingers) await this.#linger();
    if (ephemeralOf(this.#world, this).length > 0) await this.#demandNothingLeft();
    if (!this.isAlive) return;
    await this.coordinator?.close();
    this.#die();
  }

  /** For as long as anything that it has sent may be late. */
  #linger(): Promise<void> {
    return new Promise((resolve) => this.after(3 * this.#world.scenario.connectTimeoutMs, "", resolve));
  }

  /** It takes its claims out of their queues, or gives up their session, within the time that three requests may take. */
  async #demandNothingLeft(): Promise<void> {
    const { checks, scenario } = this.#world;
    for (let waitedMs = 0; waitedMs <= 3 * scenario.connectTimeoutMs; waitedMs += 1_000) {
      await new Promise<void>((resolve) => this.after(1_000, "", resolve));
      if (ephemeralOf(this.#world, this).length === 0) return;
    }
    for (const { id, lock } of ephemeralOf(this.#world, this))
      checks.fail(`${this.name} is done and has left ${checks.nameOf(id)} on ${lock}`);
  }

  async #work(): Promise<JobEnd> {
    const { job, node } = this;
    const machine = createMachine(this.#world, this);
    const context: GuardContext = {
      node: node.hostName,
      group: node.group,
      notifier: { tell: () => undefined },
      principal: this.name,
      fleet: { version: "1", membershipMs: MEMBERSHIP_MS, declared: this.#world.declared, memory: node.memory },
      releaseTimeoutMs: RELEASE_TIMEOUT_MS,
      machine,
      progress: { waiting: silent, step: silent },
      log: SILENT_LOG,
      stop: {
        signal: this.#stop.signal,
        subscribe: (relay) => {
          this.#relays.add(relay);
          return () => this.#relays.delete(relay);
        },
      },
      coordinator: () => this.#open(),
    };
    if (job.kind === "exec") return execute(job.spec, { ephemeral: () => context, durable: () => context });
    if (job.kind === "several") return holdSeveral(job, context);
    if (job.kind === "lease") return useLease(job, this.#world, this, context);
    if (job.kind === "freeze") return freezeForAWhile(job, context);
    if (job.kind === "by-id") return actById(job, this.#world, this, context);
    const result = job.kind === "run" ? await runGuarded(job.action, context) : await resumeGuarded(job.action, context);
    if (result?.outcome === "already-restarted") this.#world.checks.commands.foundRestarted(this);
    return result ?? { outcome: "nothing to do", message: "" };
  }

  async #open(): Promise<QueueEngine> {
    const { store, scenario } = this.#world;
    const traits: StoreTraits = scenario.leavesEnded ? { ...MEMORY_TRAITS, wakes: "poll" } : MEMORY_TRAITS;
    this.coordinator ??= await openEngine(createLinkedStore(store, this.link, traits), {
      connectTimeoutMs: scenario.connectTimeoutMs,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      sleepTimeMs: SLEEP_TIME_MS,
      historyKeep: Number.POSITIVE_INFINITY,
      historyTotal: Number.POSITIVE_INFINITY,
      log: SILENT_LOG,
      timers: { uptimeMs: () => this.node.uptime(), after: (ms, run) => this.after(ms, "", run) },
    });
    return this.coordinator;
  }

  #whenAwake(go: () => void): void {
    if (this.#stopped !== null) this.#stopped.push(go);
    else this.node.whenAwake(() => this.#goUnlessStopped(go));
  }

  /** It may have been killed, or stopped, before it was to wake. */
  #goUnlessStopped(go: () => void): void {
    if (!this.isAlive) return;
    if (this.#stopped === null) go();
    else this.#stopped.push(go);
  }

  #die(): void {
    this.isAlive = false;
    this.node.agents.delete(this);
    this.#world.scheduler.drop(this.name);
  }
}

function isTwinRefused(error: unknown, { scenario }: World): boolean {
  return scenario.hasNamesakes && error instanceof HoldlineError && error.code === "configuration";
}
