// What guarded actions need of the machine that they run on, as interfaces: its clock, its processes, its commands and its
// journal. host.ts puts the real ones together; the simulation brings its own.
import type { BlockerFact, BlockerSettings } from "../gates/blockers.js";
import type { ChangedFact, NeededFact, OutdatedFact } from "../gates/needed.js";
import type { BootMoment, ProcessIdentity } from "../locks/claim.js";
import type { Clock } from "../line/clock.js";
import type { ProcessSight } from "../line/process-sight.js";
import type { Changes } from "../locks/coordinator.js";

export interface Machine {
  /** This machine as claims name it: see line/machine-signs.ts. */
  readonly id: string;
  readonly clock: Clock;
  readonly processes: Processes;
  readonly commands: Commands;
  readonly journal: Journal;
  readonly sightings: Sightings;
  readonly facts: Facts;
}

/** The machine for a run that keeps nothing on this node's disk. */
export type StatelessMachine = Omit<Machine, "journal" | "sightings" | "facts">;

/** Which processes an action restarts. At least one of `commandString` and `user` is there, and whatever is there must match. */
export interface ProcessPattern {
  /** A regular expression (RE2 syntax, so that it cannot run away) for the process's name, or with `fullCmd` for its command line. */
  readonly commandString: string | null;
  readonly fullCmd: boolean;
  /** A user's name or numeric id. */
  readonly user: string | null;
}

export interface RunningProcess {
  readonly pid: number;
  /** When it started, to compare with the moment at which a claim was made. */
  readonly started: BootMoment;
}

export interface Processes extends ProcessSight {
  /** Now, by this node's running time. */
  moment(): BootMoment;
  /** The processes that match, without this process and its ancestors. */
  matching(pattern: ProcessPattern): Promise<readonly RunningProcess[]>;
  /**
   * Ends a whole process group, named by its leader: SIGTERM, `killAfterMs`, SIGKILL. Where the leader shares its agent's group,
   * ends the leader and its descendants. Resolves when none is left. Does nothing when the leader's pid belongs to another
   * process by now.
   */
  endGroup(leader: ProcessIdentity, killAfterMs: number): Promise<void>;
  /**
   * Ends every process that carries the claim in its environment, whatever group it is in. The processes that match `service`,
   * and those that they have started, stay.
   */
  endCarriers(claim: string, service: ProcessPattern | null, killAfterMs: number): Promise<void>;
  /** Why this process may not see all processes that were started under a claim since `made`; `null` when it sees them all. */
  unseenCarriers(made: BootMoment | null): string | null;
}

export interface CommandSpec {
  /** The program and its arguments; never interpreted by a shell. */
  readonly argv: readonly string[];
  readonly cwd: string | null;
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** `null`: as long as it takes. */
  readonly timeoutMs: number | null;
  /** The time between SIGTERM and SIGKILL, when the command has to end. */
  readonly killAfterMs: number;
  /** What becomes of what it prints. `relay`: passed on at once, and the last 4 KiB kept. `inherit`: it has this process's own streams. `keep`: the last 4 KiB kept. */
  readonly output: "relay" | "inherit" | "keep";
  /**
   * The session that the command must not outlive, and neither may it outlive this process. A separate process kills everything
   * that was started under the claim when this one dies, or has not moved `heldUntil` (see `Session`) on in time, because it is
   * frozen, say. By default the command outlives this process, and an agent finds it again by its claim.
   */
  readonly endsWith?: {
    heldUntil(): number;
    /** The time between SIGTERM and SIGKILL when `signal` says that the session is lost. After it nothing may be left. */
    readonly graceMs: number;
  };
}

/** How a command ended: a value, whatever happened. */
export interface CommandEnd {
  readonly exitCode: number | null;
  /** The signal that killed it, such as `SIGKILL`. */
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** Why the command could not start, in words; `null` when it did. */
  readonly startProblem: string | null;
  /** The command could not start because the system had no room for it just now: nothing is wrong with the command. */
  readonly lacksRoom?: true;
  /** The command was killed because the time of `endsWith` was over, whatever this process has seen of its session. */
  readonly outheld?: true;
  /** The last 4 KiB that it printed, standard output and standard error as they came; empty with `inherit`. */
  readonly tail: string;
  readonly ranMs: number;
}

export interface Commands {
  /**
   * Runs a command as the leader of a process group of its own or, on a terminal, in this process's group. Resolves when nothing
   * is left of that group, or of what the command has started in this process's group.
   * @param onGroup called with the group's leader **before the command can do anything**: the command starts only once this
   *   has returned, and never when this throws or the process dies before that
   * @param signal aborting it ends the group (SIGTERM, `killAfterMs`, SIGKILL), and then the call resolves
   * @param relayed signals to pass on to the group as they come; the second one also ends it, and the third one kills it
   * @param tell called with what the end of the group waits for
   * @param calledOff if it is aborted before the command begins, the command never does
   */
  run(
    spec: CommandSpec,
    control: {
      readonly onGroup: (leader: Leader) => void | Promise<void>;
      readonly signal?: AbortSignal;
      readonly calledOff?: AbortSignal;
      readonly tell?: (message: string) => void;
      readonly relayed?: { subscribe(listener: (signal: NodeJS.Signals) => void): () => void };
    },
  ): Promise<CommandEnd>;
}

/** The first process of a command. */
export interface Leader extends ProcessIdentity {
  /** It shares its agent's process group, as on a terminal, and leads none of its own. */
  readonly sharesGroup?: true;
}

/**
 * How far a run under a durable claim has come. `rebooting` has asked the machine to reboot, `draining` runs `before`, `undoing` runs `after` because the action was not done,
 * and from `undraining` on the check has passed: that runs `after`, and `soaking` waits with the lock in hand.
 */
export type RunPhase =
  "settling" | "draining" | "running" | "rebooting" | "undoing" | "verifying" | "undraining" | "soaking" | "succeeded" | "failed";

/** What a node remembers of a run under a durable claim until the claim is gone. */
export interface RunEntry {
  readonly claim: string;
  readonly lock: string;
  readonly action: string;
  readonly agent: ProcessIdentity;
  readonly phase: RunPhase;
  /** The leader of the processes that run the command, a hook or the check. */
  readonly group: Leader | null;
}

/** Attempts that ended before the action ran. */
export interface Attempts {
  /** The moment of the latest wish behind them. */
  readonly latest: BootMoment;
  readonly count: number;
}

/** What this node must not forget when the process dies. A write is on disk when it returns, whole or not at all. */
export interface Journal {
  attempts(action: string): Attempts | null;
  /** Adds an attempt at a wish that stood at `moment`. @returns all attempts that there are now */
  addAttempt(action: string, moment: BootMoment): Attempts;
  clearAttempts(action: string): void;
  runs(action: string): readonly RunEntry[];
  saveRun(entry: RunEntry): void;
  removeRun(action: string, claim: string): void;
  /** The actions that the journal has something about, sorted. */
  actions(): readonly string[];
}

/** What gates ask of the machine and its surroundings. What cannot be told is a value as well: gates decide what follows. */
export interface Facts {
  /** Milliseconds since 1970 by the node's wall clock, which judges windows and nothing else. */
  wallNow(): number;
  /** The node's IANA time zone. */
  zone(): string;
  file(path: string, stop?: AbortSignal): Promise<Extract<NeededFact, { readonly sign: "file" }>>;
  changed(request: ChangedRequest, stop?: AbortSignal): Promise<ChangedFact>;
  outdated(pattern: ProcessPattern, stop?: AbortSignal): Promise<OutdatedFact>;
  /** The alerts that a Prometheus says fire, by its API. */
  alerts(blocker: PrometheusBlocker, signal?: AbortSignal): Promise<Extract<BlockerFact, { readonly type: "prometheus" }>>;
}

export interface ChangedRequest {
  readonly action: string;
  /** Absolute paths with `*`, `?`, `**` and braces. */
  readonly patterns: readonly string[];
  readonly pattern: ProcessPattern;
  /** Whether the machine remembers the files that it finds newer: not for somebody who only wants to see. */
  readonly remembers: boolean;
}

export type PrometheusBlocker = Extract<BlockerSettings, { readonly type: "prometheus" }>;

/** How far a store had come when this node last saw it. */
export interface Sighting {
  readonly fencingToken: number;
  readonly changes: Changes | null;
  /** Milliseconds since 1970 by this node's clock, for people. */
  readonly at: number;
}

/** What this node remembers of stores, by their names. The calls throw when they cannot read or write. */
export interface Sightings {
  latest(store: string): Sighting | null;
  save(store: string, sighting: Sighting): void;
  /** The file that has it, for people. */
  fileOf(store: string): string;
}
