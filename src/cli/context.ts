// What a command works with. Types only: runtime.ts makes it all.
import type { ExecEnd, ExecSpec } from "../actions/exec.js";
import type { Orders } from "../actions/gating.js";
import type { AllLeft } from "../actions/pending.js";
import type { Result } from "../actions/result.js";
import type { Resumed } from "../actions/resuming.js";
import type { StopRequests } from "../actions/stop.js";
import type { Trial } from "../actions/trial.js";
import type { ActionSettings } from "../config/settings.js";
import type { LeaseContext } from "../leases/request.js";
import type { Log } from "../locks/log.js";
import type { Notifier } from "../locks/notifier.js";
import type { StoreReport } from "../locks/store-report.js";
import type { Copied } from "../moving/copy.js";
import type { Stores } from "../views/stores.js";
import type { Io } from "./io.js";

export interface Context extends Stores {
  readonly io: Io;
  /** Whether standard output takes one JSON document, and nothing else. */
  readonly json: boolean;
  /** Whether people asked for more, such as exact times. */
  readonly verbose: boolean;
  readonly log: Log;
  /** Whom the configuration wants to be told of what happens. */
  readonly notifier: Notifier;
  /** SIGINT and SIGTERM. Its signal ends every wait. */
  readonly stop: StopRequests;
  /** What leases need on the store of a lock. */
  leases(lock: string): Promise<LeaseContext>;
  /** What runs actions. Its code is loaded with the first call. */
  agent(): Promise<Agent>;
  readonly upkeep: StoreUpkeep;
  readonly moving: Moving;
}

/** What `check --live` does with a store of the configuration, by its URL. */
export interface StoreUpkeep {
  /**
   * Examines the store; does not create a database that is not there.
   * @throws HoldlineError when it cannot be reached or used
   */
  examine(url: string): Promise<StoreReport>;
  /** Gives the store's tree to the URL's credentials; returns what it changed, or `null` if the store has no such thing. */
  mend(url: string): Promise<readonly string[] | null>;
  /** Removes what nobody needs any more; returns what it removed, or `null` if the store has no such thing. */
  tidy(url: string): Promise<readonly string[] | null>;
}

/** Moving everything from one store to another, both by their URLs. */
export interface Moving {
  /** See moving/copy.ts. */
  copy(from: string, to: string): Promise<Copied>;
  /** @returns whether a copy was under way */
  giveUp(from: string): Promise<boolean>;
}

/** Guarded runs on this node. */
export interface Agent {
  /** Runs an action under its lock, or without any where `skip_coordination` says so. */
  run(action: ActionSettings, orders: Orders): Promise<Result>;
  /** Does what comes before an action's command, and leaves the work to a process, or with `null` to nobody in particular. */
  begin(action: ActionSettings, orders: Orders, pid: number | null): Promise<Result>;
  /** Ends what was begun. @param failed why the work has failed; `null` where it is done */
  end(action: ActionSettings, failed: string | null): Promise<Result>;
  /** Says what a run would do, and changes nothing. */
  dryRun(action: ActionSettings, orders: Orders): Promise<Result>;
  /** Finishes what earlier runs left on this node, and nothing else. @param only these actions; none: all */
  resume(only: readonly ActionSettings[]): Promise<Resumed>;
  /** What `resume` would find now. Only looks. */
  pending(): Promise<AllLeft>;
  /** Takes back the attempts at an action. @returns how many there were */
  drop(action: string): Promise<number>;
  /** Looks for an action's processes and, with `runsCheck`, runs its check once; takes no lock. */
  tryOut(action: ActionSettings, runsCheck: boolean): Promise<Trial>;
  /** Runs a command under a lock. */
  exec(spec: ExecSpec): Promise<ExecEnd>;
}

/** The flags that every command takes. */
export interface GlobalFlags {
  readonly config: string | null;
  readonly coordinator: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
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

/** Makes a context, lets `use` work with it, and closes all that was opened, last first. Rejects only as `use` does. */
export type WithContext = (request: ContextRequest, use: (context: Context) => Promise<number>) => Promise<number>;
