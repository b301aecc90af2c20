// A node of the simulated fleet: its boots, its clock, its disk, and the process groups and the service that run on it.
// What a process of it may ask of all that is machine.ts's.
import type { BootMoment, ProcessIdentity } from "../../src/locks/claim.js";
import type { Attempts, RunEntry, Sighting } from "../../src/actions/machine.js";
import type { NodeMemory, Remembered } from "../../src/actions/fleet-context.js";
import type { Agent } from "./agent.js";
import type { Choices } from "./choices.js";
import { groupOf } from "./freeze-jobs.js";
import { NOT_NOW } from "./rollout-plans.js";
import type { Scheduler } from "./scheduler.js";

/** How a command will behave; drawn when it begins. */
export interface Nature {
  readonly exitCode: number;
  /** `null`: it hangs. */
  readonly lastsMs: number | null;
  /** Whether it ends at SIGTERM. */
  readonly obeys: boolean;
  /** Whether it has forked something that outlives it. */
  readonly forks: boolean;
  /** Whether it writes over its environment, as programs with a title of their own do. Then it cannot be found by its claim. */
  readonly hides: boolean;
}

/** A process group that runs a command, from its latch to its end. */
export class Group {
  state: "latched" | "running" | "left behind" | "gone" = "latched";
  /** A rule about it cannot be broken any more: its claim was taken away as the design allows. */
  isExcused = false;
  /** Its process knows that the command has ended: what it has left behind is a daemon, and nobody's matter. */
  hasReported = false;
  /** When it has heard of it. */
  reportedAt = 0;
  exitCode: number | null = null;
  signal: string | null = null;
  nature: Nature = { exitCode: 0, lastsMs: 0, obeys: true, forks: false, hides: false };
  onLeaderExit: () => void = () => undefined;
  readonly #onGone: (() => void)[] = [];

  constructor(
    readonly leader: ProcessIdentity,
    readonly agent: Agent,
    readonly kind: "main" | "check" | "before" | "after",
    readonly claim: string,
    readonly fencingToken: number,
    readonly locks: readonly string[],
    /** When its process dies, so does it. */
    readonly endsWithAgent: boolean,
    /** Whether something outside its process ends it when its claim may have ended. */
    readonly isWatched: boolean,
  ) {}

  /** Whether its command, or what that has forked behind its agent's back, is still at work. */
  get isAtWork(): boolean {
    return this.state === "running" || (this.state === "left behind" && !this.hasReported && !this.agent.isAlive);
  }

  /** What it runs, in a word. */
  get what(): string {
    return this.kind === "main" ? "command" : this.kind === "check" ? "check" : `hook ${this.kind}`;
  }

  get isGone(): boolean {
    return this.state === "gone";
  }

  whenGone(tell: () => void): void {
    if (this.isGone) tell();
    else this.#onGone.push(tell);
  }

  leaderExits(exitCode: number | null, signal: string | null, leavesBehind: boolean): void {
    if (this.state !== "running") return;
    this.exitCode = exitCode;
    this.signal = signal;
    this.state = leavesBehind ? "left behind" : "gone";
    this.onLeaderExit();
    if (this.isGone) this.#tellGone();
  }

  /** Nothing of it is left. */
  die(signal: string | null): void {
    if (this.state === "gone") return;
    const wasRunning = this.state === "running";
    this.state = "gone";
    if (wasRunning) {
      this.signal = signal;
      this.onLeaderExit();
    }
    this.#tellGone();
  }

  #tellGone(): void {
    for (const tell of this.#onGone.splice(0)) tell();
  }
}

/** As watchdog.ts has it. */
const WATCHDOG_MARGIN_MS = 300;

/** Programs need a moment to heed SIGTERM. */
const HEEDS_WITHIN_MS = 50;

export class SimulatedNode {
  readonly name: string;
  /** What it calls itself, as another one may too. */
  readonly hostName: string;
  readonly group: string;
  /** Known by its state directory alone. */
  readonly machine: string;
  /** Its agents, as far as they live. */
  readonly agents = new Set<Agent>();
  readonly groups: Group[] = [];
  /** What is on its disk, and survives everything: runs by action and claim, and attempts by action. */
  readonly runs = new Map<string, Map<string, RunEntry>>();
  readonly attempts = new Map<string, Attempts>();
  readonly sightings = new Map<string, Sighting>();
  readonly #told = new Map<string, Remembered>();
  readonly memory: NodeMemory = {
    latest: (about) => this.#told.get(about) ?? null,
    save: (about, remembered) => void this.#told.set(about, remembered),
    forget: (about) => void this.#told.delete(about),
  };
  service: BootMoment;
  wallOffsetMs = 0;
  /** Whether its actions are needed, and whether something stands in their way, where they ask. */
  isNeeded = true;
  isBlocked = false;
  /** How long it has slept, in milliseconds. */
  sleptMs = 0;
  /** When it woke last; `null` when it never slept. */
  wokeAt: number | null = null;
  /** What has come up while it sleeps; `null` when it does not. */
  #asleep: { readonly since: number; readonly waiting: (() => void)[] } | null = null;
  readonly #scheduler: Scheduler;
  #boots = 1;
  #bootedAt: number;
  #processes = 0;

  constructor(index: number, scheduler: Scheduler, hasNamesakes: boolean) {
    this.name = `n${index + 1}`;
    this.hostName = hasNamesakes && index === 1 ? "n1" : this.name;
    this.group = groupOf(index);
    this.machine = `-.-.${index.toString(16).padStart(16, "0")}`;
    this.#scheduler = scheduler;
    // Up for some days, so that "since boot" is not a small number.
    this.#bootedAt = -500_000_000;
    this.service = { ...this.moment(), ticks: 100 };
  }

  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  moment(): BootMoment {
    const ticks = Math.floor((this.#scheduler.now - this.#bootedAt) / 10);
    return { bootId: this.bootId, ticks, wallMs: 1_700_000_000_000 + this.#scheduler.now + this.wallOffsetMs };
  }

  /** The identity of a new process. */
  newProcess(): ProcessIdentity {
    this.#processes += 1;
    return { bootId: this.bootId, pidNamespace: "pid", pid: 1_000 + this.#processes, startTicks: this.moment().ticks };
  }

  restartService(): void {
    this.service = this.moment();
  }

  get isAsleep(): boolean {
    return this.#asleep !== null;
  }

  /** Whether it sleeps, or has woken at this very moment. Its watchdogs have had no time then to end what they must end. */
  get isHeavyWithSleep(): boolean {
    return this.isAsleep || this.wokeAt === this.#scheduler.now;
  }

  /** Time since it was booted, as all of it goes by: with the time that it has slept. */
  uptime(): number {
    return this.#scheduler.now;
  }

  /** Nothing moves on it, neither agents nor watchdogs nor commands, as when a laptop is closed or a virtual machine paused. */
  fallAsleep(): void {
    this.#asleep ??= { since: this.#scheduler.now, waiting: [] };
    for (const { link } of this.agents) link.freeze();
  }

  wake(): void {
    if (this.#asleep === null) return;
    const { since, waiting } = this.#asleep;
    this.#asleep = null;
    this.wokeAt = this.#scheduler.now;
    this.sleptMs += this.wokeAt - since;
    for (const go of waiting) this.#scheduler.park("local", this.name, "", () => this.whenAwake(go));
    for (const agent of this.agents) agent.reconnect();
  }

  whenAwake(go: () => void): void {
    if (this.#asleep === null) go();
    else this.#asleep.waiting.push(go);
  }

  reboot(): void {
    this.#asleep = null;
    for (const group of this.groups) group.die("SIGKILL");
    this.#scheduler.drop(this.name);
    this.#boots += 1;
    this.#bootedAt = this.#scheduler.now;
    this.restartService();
  }

  groupOf({ bootId, pid }: ProcessIdentity): Group | undefined {
    return this.groups.find(({ leader }) => leader.bootId === bootId && leader.pid === pid);
  }

  /** Opens a group's latch: its command begins, and behaves by its nature. */
  begin(group: Group, nature: Nature): void {
    group.nature = nature;
    group.state = "running";
    const { lastsMs } = nature;
    if (lastsMs === null) return;
    this.#after(lastsMs, () => {
      if (group.state !== "running") return;
      // What it was for has been done by the time that it says so.
      if (group.kind === "main" && nature.exitCode === 0) this.restartService();
      this.#scheduler.say(this.name, `the ${group.what} of ${group.agent.name} ends with exit code ${nature.exitCode}`);
      group.leaderExits(nature.exitCode, null, nature.forks);
    });
  }

  /** A process apart kills a group when its agent has not moved on in time until when its claim is held. */
  watch(group: Group, heldUntil: () => number): void {
    const look = (): void => {
      if (group.isGone || group.hasReported) return;
      const leftMs = heldUntil() - WATCHDOG_MARGIN_MS - this.uptime();
      if (leftMs > 0) return this.#after(leftMs, look);
      this.#scheduler.say(this.name, `the watchdog kills the group of ${group.agent.name}`);
      group.die("SIGKILL");
    };
    look();
  }

  /** SIGTERM, and SIGKILL to what does not heed it in time. */
  end(group: Group, killAfterMs: number): void {
    if (group.state === "latched") return group.die("SIGKILL");
    const heeds = group.nature.obeys;
    if (!heeds && !Number.isFinite(killAfterMs)) return;
    this.#after(heeds ? Math.min(HEEDS_WITHIN_MS, killAfterMs) : killAfterMs, () => {
      if (!group.isGone)
        this.#scheduler.say(this.name, `the group of ${group.agent.name} is ended by ${heeds ? "SIGTERM" : "SIGKILL"}`);
      group.die(heeds ? "SIGTERM" : "SIGKILL");
    });
  }

  #after(ms: number, go: () => void): void {
    this.#scheduler.after(ms, this.name, "", () => this.whenAwake(go));
  }
}

/** How a command is going to behave; nothing out of the order where there is to be no trouble. */
export function drawNature(choices: Choices, kind: Group["kind"], mayHang: boolean, troublePercent: number): Nature {
  const lastsMs =
    kind === "main" ? choices.pick([100, 2_000, 6_000, 15_000]) : choices.pick(kind === "check" ? [50, 700] : [100, 3_000]);
  const calm: Nature = { exitCode: 0, lastsMs, obeys: true, forks: false, hides: false };
  if (troublePercent === 0) return calm;
  const sound = { ...calm, hides: choices.percent(10) };
  if (!choices.percent(troublePercent)) return sound;
  const obeys = choices.percent(50);
  const trouble = choices.pick(["fails", "hangs", "forks", "stubborn", "not now"] as const);
  if (trouble === "fails") return { ...sound, exitCode: 1, obeys };
  if (trouble === "not now") return { ...sound, exitCode: NOT_NOW, obeys };
  if (trouble === "hangs" && mayHang) return { ...sound, lastsMs: null, obeys };
  if (trouble === "forks") return { ...sound, forks: true, obeys };
  return { ...sound, obeys: false };
}
