// The library: locks for other programs, over the same coordinators, claims and rule as the agent's. Has the locks that last as
// long as a piece of work; locks that outlive their process are library/leases.ts's.
import { createClock } from "./line/clock.js";
import { type EphemeralRequest, withEphemeralClaim } from "./line/ephemeral-claim.js";
import { createPerspective } from "./line/perspective.js";
import { createProcessSight } from "./line/process-sight.js";
import { SILENT_PROGRESS } from "./line/progress.js";
import type { WaitOptions } from "./line/waiting.js";
import { qualifiedName, surroundingsHere } from "./config/surroundings.js";
import { openCoordinator } from "./coordinators/registry.js";
import { createLeases } from "./library/leases.js";
import type { Leases } from "./library/leases.js";
import type { Dependencies } from "./library/values.js";
import { parseData, readDependencies, readSharing, readText } from "./library/values.js";
import { viewLock } from "./views/lock.js";
import type { LockView } from "./views/lock.js";
import type { Owner } from "./locks/claim.js";
import type { Coordinator } from "./locks/coordinator.js";
import type { Freeze } from "./locks/freezes.js";
import type { Log } from "./locks/log.js";
import { ClaimLostError, HoldlineError } from "./locks/errors.js";
import { readPresentQueue } from "./line/holders.js";
import { parseLockName } from "./locks/names.js";
import { quoted } from "./locks/text.js";

export interface HoldlineOptions {
  /** What others see as the owner's node; by default this machine's fully qualified name, as on the command line. */
  readonly node?: string;
  /** The node's group, as freezes of a group see it; "default" by default, as on the command line. */
  readonly group?: string;
  /** Who asks, for others to see; by default `user@node`. Under sudo, the user is the person who called sudo. */
  readonly principal?: string;
  /** How long to wait for a first connection, in milliseconds; 10 s by default. */
  readonly connectTimeoutMs?: number;
  /** How long the store keeps a session without a word from it, in milliseconds; 15 s by default. */
  readonly sessionTimeoutMs?: number;
  /** The longest pause between looks at a store that cannot wake a waiter (SQLite), in milliseconds; 250 by default. */
  readonly sleepTimeMs?: number;
  /** How many records of the history are kept for each lock; 100 by default. */
  readonly historyKeep?: number;
  /** How long they are kept at most, in milliseconds; by default there is no limit. */
  readonly historyForMs?: number;
  /** How many records are kept of all locks together; 10,000 by default. */
  readonly historyTotal?: number;
  /** By host, those that depend on it: `lockHosts` locks a host along with all that it depends on. */
  readonly dependencies?: Dependencies;
  /** Where to log; nowhere by default. A pino logger fits. */
  readonly log?: Log;
}

export interface LockOptions {
  /** Claims with the same key may be held together. */
  readonly key?: string | null;
  /** How many claims may be held at once: by default 1 without a key, no limit with one. */
  readonly slots?: number;
  /** How long to wait for the turn, in milliseconds; for ever by default. 0: do not wait. */
  readonly timeoutMs?: number;
  /** Ends the wait; the claim is withdrawn, and the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Why, for those who wait behind. */
  readonly reason?: string;
  /** Shown with the claim; anything that JSON can carry. */
  readonly data?: unknown;
}

/** A claim in hand. */
export interface HeldClaim {
  readonly id: string;
  readonly lock: string;
  /** Grows with every change of holder: a resource that remembers the greatest can refuse a holder who is late. */
  readonly fencingToken: number;
  /** Aborted when the claim is lost, before another can hold the lock: stop what depends on it. */
  readonly lost: AbortSignal;
}

export interface Holdline extends Leases {
  /**
   * Waits for its turn, does `work` while it holds the lock, and lets go. The claim is ephemeral: it ends with this process.
   * @returns what `work` gives
   * @throws FrozenError when the lock is frozen, for all or for this node or group
   * @throws TimedOutError when the turn did not come within `timeoutMs`
   * @throws SessionLostError when the session was lost before `work` was done
   * @throws ClaimLostError when somebody took the claim away before `work` was done
   * @throws UnreachableError when the store cannot be reached
   */
  withLock<T>(name: string, options: LockOptions, work: (claim: HeldClaim) => Promise<T>): Promise<T>;
  /** All locks that have claims, sorted by name. */
  locks(): Promise<readonly LockView[]>;
  /** Ends the session, and with it every claim that is still held. */
  close(): Promise<void>;
}

/** The turn did not come within the time that the caller gave. Nothing is left in the queue. */
export class TimedOutError extends HoldlineError {
  override readonly name = "TimedOutError";
}

/** Nothing may begin now: people have frozen the lock. Nothing is left in the queue. */
export class FrozenError extends HoldlineError {
  override readonly name = "FrozenError";

  constructor(
    message: string,
    /** Those in force. */
    readonly freezes: readonly Freeze[],
  ) {
    super("conflict", message);
  }
}

const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Opens a coordinator by its URL: `sqlite:///path/to/file.db` or `zookeeper://host:2181,host:2181/root`.
 * @throws HoldlineError `configuration` for a URL that is not right, `usage` for an option that is not
 * @throws UnreachableError when the store does not answer within the connect timeout
 */
export async function openHoldline(url: string, options: HoldlineOptions = {}): Promise<Holdline> {
  const dependencies = readDependencies(options.dependencies);
  const { sleepTimeMs = 250 } = options;
  const coordinator = await openCoordinator(url, {
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 15_000,
    historyKeep: readWhole(options.historyKeep ?? 100, "historyKeep"),
    ...(options.historyForMs === undefined ? {} : { historyForMs: readWhole(options.historyForMs, "historyForMs") }),
    ...(options.historyTotal === undefined ? {} : { historyTotal: readWhole(options.historyTotal, "historyTotal") }),
    sleepTimeMs,
    log: options.log ?? SILENT,
  });
  const processes = createProcessSight();
  const clock = createClock();
  const surroundings = surroundingsHere();
  const node = options.node ?? qualifiedName(surroundings);
  const principal = options.principal ?? `${surroundings.user}@${node}`;
  const group = options.group ?? "default";
  const owner: Owner = { node, group, principal, action: null, process: processes.self };
  // The library takes no claim for its own, so its machine does not matter.
  const perspective = createPerspective({ node, machineOn: () => null, processes });
  return {
    ...createLeases(coordinator, {
      ...{ node, principal, sleepTimeMs, dependencies, perspective, clock },
      process: processes.self,
      subject: { node, group },
    }),
    // Async, so that a wrong name rejects as all other problems do.
    withLock: async (name, lockOptions, work) => {
      const { timeoutMs = null, signal = new AbortController().signal } = lockOptions;
      const waiting = { clock, progress: SILENT_PROGRESS, acquire: { timeoutMs, sleepTimeMs }, perspective, stop: signal };
      return withLock(coordinator, requestOf(name, lockOptions, owner, group), waiting, work);
    },
    async locks() {
      const names = await coordinator.list();
      const queues = await Promise.all(names.map((name) => readPresentQueue(coordinator, name)));
      return queues.flatMap((queue, index) => (queue.length === 0 ? [] : [viewLock(names[index] as string, queue, perspective)]));
    },
    close: () => coordinator.close(),
  };
}

function readWhole(value: number, name: keyof HoldlineOptions): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new HoldlineError("usage", `${name} must be a whole number from 1, not ${quoted(value)}`);
}

function requestOf(name: string, options: LockOptions, owner: Owner, group: string): EphemeralRequest {
  const lock = parseLockName(name);
  const [reason, data] = [readText(options.reason, "reason"), parseData(options.data)];
  return { lock, ...readSharing(options), owner, group, reason, data };
}

async function withLock<T>(
  coordinator: Coordinator,
  request: EphemeralRequest,
  waiting: WaitOptions,
  work: (claim: HeldClaim) => Promise<T>,
): Promise<T> {
  const held = await withEphemeralClaim(coordinator, request, waiting, async ({ id, lock, fencingToken, lost }) => {
    const result = await work({ id, lock, fencingToken, lost });
    lost.throwIfAborted();
    return result;
  });
  if (held.outcome === "done") return held.result;
  if (held.outcome === "frozen") throw new FrozenError(held.message, held.freezes);
  if (held.outcome === "taken-out") throw new ClaimLostError(held.message);
  throw new TimedOutError("conflict", `the lock ${request.lock} was not free within ${waiting.acquire.timeoutMs} ms`);
}
