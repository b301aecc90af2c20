// What a command is given to work with, and what it gives back. Types only; runtime.ts makes the real thing.
import type { ExecEnd, ExecSpec } from "../actions/exec.js";
import type { ExecLeft } from "../actions/execs-left.js";
import type { Progress } from "../line/progress.js";
import type { Result } from "../actions/result.js";
import type { StopRequests } from "../actions/stop.js";
import type { Trial } from "../actions/trial.js";
import type { ActionSettings } from "../config/settings.js";
import type { LeaseContext } from "../leases/lease.js";
import type { Stores } from "../views/stores.js";
import type { Log, StoreReport } from "../locks/coordinator.js";
import type { Io } from "./io.js";

export interface Context extends Stores {
  /** What hand-made locks need beside a store; loaded with the first call. */
  leases(lock: string): Promise<LeaseContext>;
  /** What runs actions; loaded with the first call. */
  agent(): Promise<Agent>;
  /**
   * What there is to say of the store at a URL of the configuration. A database that is not there is not made.
   * @throws HoldlineError when it cannot be reached or used
   */
  examineStore(url: string): Promise<StoreReport>;
  /** Gives the tree of a store to the credentials of its URL; what it has changed. `null` where a store has no such thing. */
  mendStore(url: string): Promise<readonly string[] | null>;
  /** Removes what nobody needs any more from a store; what it has removed. `null` where a store has nothing such. */
  tidyStore(url: string): Promise<readonly string[] | null>;
  readonly log: Log;
  readonly progress: Progress;
  readonly io: Io;
  /** One JSON document on standard output, and nothing else there. */
  readonly json: boolean;
  /** People asked for more: exact times, for instance. */
  readonly verbose: boolean;
  /** SIGINT and SIGTERM. Its signal ends every wait. */
  readonly stop: StopRequests;
}

/** What came of finishing what earlier runs have left. */
export interface Resumed {
  readonly results: readonly Result[];
  /** The actions of which something is left, and that cannot be finished because they are no longer declared. */
  readonly undeclared: readonly string[];
  /** What durable execs have left, which only the same command or an admin ends. */
  readonly execs: readonly ExecLeft[];
}

/** Guarded runs, as the commands `run`, `resume` and `exec` need them. */
export interface Agent {
  /** Runs declared actions one after another; goes on after a failure, but not after a stop request. */
  runActions(context: Context, names: readonly string[]): Promise<readonly Result[]>;
  /** Finishes what earlier runs left on this node, and nothing else. */
  resumeActions(context: Context): Promise<Resumed>;
  /** Looks for an action's processes, and where that is wanted runs its check once, without its lock. */
  tryAction(context: Context, action: ActionSettings, runsCheck: boolean): Promise<Trial>;
  /** Runs a command under a lock without its having been declared. */
  execCommand(context: Context, spec: ExecSpec): Promise<ExecEnd>;
}

/** What the flags that every command knows say. */
export interface GlobalFlags {
  readonly config: string | null;
  readonly coordinator: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** A context and what ends it. */
export interface OpenedContext {
  readonly context: Context;
  /** Closes all that was opened, last first. Never rejects. */
  close(): Promise<void>;
}

/** What a context is made from. */
export interface ContextRequest {
  readonly flags: GlobalFlags;
  readonly io: Io;
  readonly stop: StopRequests;
  /** The command's name. */
  readonly command: string;
  /** Whether the command creates an embedded store that is not there. */
  readonly makesStore: boolean;
}

/** Makes the context of a command: the runtime's part. */
export type OpenContext = (request: ContextRequest) => Promise<OpenedContext>;
