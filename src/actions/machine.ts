// What guarded actions need of the machine that they run on, as interfaces: its clock, its processes, its commands and
// its journal. The real ones are in clock.ts, processes.ts, command.ts and journal.ts; a simulation brings its own.
import type { BootMoment, ProcessIdentity } from "../locks/claim.js";
import type { Clock } from "../line/clock.js";
import type { ProcessSight } from "../line/process-sight.js";
import type { Changes } from "../locks/coordinator.js";

export interface Machine {
  /** Which machine this is, as claims carry it: see machine-identity.ts. */
  readonly id: string;
  readonly clock: Clock;
  readonly processes: Processes;
  readonly commands: Commands;
  readonly journal: Journal;
  readonly sightings: Sightings;
}

/** What a run needs that leaves nothing behind: it keeps nothing on this node's disk. */
export type StatelessMachine = Omit<Machine, "journal" | "sightings">;

/** Which processes an action restarts: at least one of `commandString` and `user` is given, and all that is given must match. */
export interface ProcessPattern {
  /** A regular expression (RE2 syntax, so that it cannot run away) sought in the process's name, or with `fullCmd` in its command line. */
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
   * Ends a whole process group, named by its leader: SIGTERM, `killAfterMs`, SIGKILL. Of a leader that shares its agent's group it
   * ends what descends from it. Resolves when none of that is left. Does nothing when the leader's pid belongs to another process by now.
   */
  endGroup(leader: ProcessIdentity, killAfterMs: number): Promise<void>;
  /**
   * Ends every process that was started under a claim, in whatever group it is: those with `HOLDLINE_CLAIM` in their
   * environment. The processes that match `service`, and those that they have started, are left alone.
   */
  endCarriers(claim: string, service: ProcessPattern | null, killAfterMs: number): Promise<void>;
  /** Why processes that were started under a claim since `made` may run here and not be seen by this process, or `null`. */
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
  /** Between SIGTERM and SIGKILL when it has to be ended. */
  readonly killAfterMs: number;
  /** `relay`: what it prints is passed on at once and its last 4 KiB kept. `inherit`: it has this process's own standard streams. `keep`: only the last 4 KiB are kept. */
  readonly output: "relay" | "inherit" | "keep";
  /**
   * What the command must not outlive: this process, and the session. A process apart kills all that was started under
   * the claim when this process dies, or has not moved `heldUntil` (see `Session`) on in time, because it is frozen, say.
   * By default the command outlives this process, and is found again by its claim.
   */
  readonly endsWith?: {
    heldUntil(): number;
    /** Between SIGTERM and SIGKILL when `signal` says that the session is lost: by then nothing may be left. */
    readonly graceMs: number;
  };
}

/** How a command ended: a value, whatever happened. */
export interface CommandEnd {
  readonly exitCode: number | null;
  /** The signal that killed it, such as `SIGKILL`. */
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** Why it could not be started, in words, or `null`. */
  readonly startProblem: string | null;
  /** It could not be started because the system had no room for it just now: nothing is wrong with the command. */
  readonly lacksRoom?: true;
  /** It was killed because `endsWith` was over, whatever this process may have seen of its session. */
  readonly outheld?: true;
  /** The last 4 KiB that it printed, standard output and standard error as they came; empty with `inherit`. */
  readonly tail: string;
  readonly ranMs: number;
}

export interface Commands {
  /**
   * Runs a command as the leader of a process group of its own or, on a terminal, in this process's, and resolves when nothing
   * of that group, or of what the command has started there, is left.
   * @param onGroup called with the group's leader after it exists and **before the command can do anything**: the
   *   command starts only once this has returned, and never when the process dies or this throws before that
   * @param signal aborted: the group is ended (SIGTERM, `killAfterMs`, SIGKILL) and the call resolves then
   * @param relayed signals to pass on to the group, as they come; from the second one on they also hasten its end:
   *   SIGTERM, then SIGKILL
   * @param tell called with what is waited for while the group is being ended
   * @param calledOff aborted before the command begins: it never does
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
  /** It leads no process group of its own, but shares its agent's, as on a terminal. */
  readonly sharesGroup?: true;
}

/** How far a run under a durable claim has come. */
export type RunPhase = "settling" | "running" | "verifying" | "succeeded" | "failed";

/** What a node remembers of a run under a durable claim, until the claim is gone. */
export interface RunEntry {
  readonly claim: string;
  readonly lock: string;
  readonly action: string;
  readonly agent: ProcessIdentity;
  readonly phase: RunPhase;
  /** The leader of the processes that run the command or the check. */
  readonly group: Leader | null;
}

/** Attempts that ended without the action having been run. */
export interface Attempts {
  /** When the newest of the wishes behind them was last tried for. */
  readonly latest: BootMoment;
  readonly count: number;
}

/** What this node must not forget when the process dies. Every write is on disk when it returns, whole or not at all. */
export interface Journal {
  attempts(action: string): Attempts | null;
  /** Adds an attempt at a wish that stood at `moment`; gives all that there are now. */
  addAttempt(action: string, moment: BootMoment): Attempts;
  clearAttempts(action: string): void;
  runs(action: string): readonly RunEntry[];
  saveRun(entry: RunEntry): void;
  removeRun(action: string, claim: string): void;
  /** The actions of which anything is remembered, sorted. */
  actions(): readonly string[];
}

/** How far a store had come when this node last saw it. */
export interface Sighting {
  readonly fencingToken: number;
  readonly changes: Changes | null;
  /** Milliseconds since 1970 by this node's clock, for people. */
  readonly at: number;
}

/** What this node remembers of stores, by their names. Calls throw when it cannot be read or written. */
export interface Sightings {
  latest(store: string): Sighting | null;
  save(store: string, sighting: Sighting): void;
  /** Where it is kept, for people. */
  fileOf(store: string): string;
}
