// Locks taken by hand, for other programs: the commands `acquire` to `history` as functions. A held lock or an expired lease is
// an answer and no error.
import type { DependencyMap } from "../leases/dependencies.js";
import { HOST_LOCK_TYPES, hostLocksOf, knownAs, knownHosts, parseHost } from "../leases/hosts.js";
import type { HostLockType } from "../leases/hosts.js";
import { acquireLease } from "../leases/acquiring.js";
import { isLeaseHeld, releaseById, releaseLease, renewLease } from "../leases/lease.js";
import { SILENT_PROGRESS } from "../line/progress.js";
import type { Released } from "../leases/lease.js";
import type { HeldLease, LeaseContext, LeaseRequest, LeaseTaker } from "../leases/request.js";
import type { Coordinator } from "../locks/coordinator.js";
import type { Freeze } from "../locks/freezes.js";
import type { HistoryRecord } from "../locks/history.js";
import { HoldlineError } from "../locks/errors.js";
import { endAllExpired, readPresentQueue } from "../line/holders.js";
import { hostLock, hostOfLock, parseLockName } from "../locks/names.js";
import { readAnyId, parseData, readId, readSharing, readText, readTimeoutMs, readTtlMs } from "./values.js";
import { claimsOn, typesOf, viewLock } from "../views/lock.js";
import type { ClaimView, HeldAs, LockView } from "../views/lock.js";

/** Options of every call. */
export interface CallOptions {
  /** Ends the call, which rejects with the signal's reason; a claim that waits is withdrawn. */
  readonly signal?: AbortSignal;
}

export interface AcquireOptions extends CallOptions {
  /** Claims with the same key may be held together. */
  readonly key?: string | null;
  /** How many claims may be held at once: by default 1 without a key, no limit with one. */
  readonly slots?: number;
  /** How long to wait for the turn, in milliseconds; 0 by default: not at all. `Infinity`: for ever. */
  readonly timeoutMs?: number;
  /** How long the lease lasts, in milliseconds; 30 minutes by default. `null`: until it is released. */
  readonly ttlMs?: number | null;
  /** Why, for those who find the lock held. */
  readonly reason?: string;
  /** Shown with the claim, and kept in the history; anything that JSON can carry, 64 KiB at most. */
  readonly data?: unknown;
}

export interface LockHostsOptions extends CallOptions {
  /** `host`: nobody else may. `generic`, the default, and `file` may overlap with each other. */
  readonly type?: HostLockType;
  /** The path that a lock of the type `file` is for. */
  readonly path?: string;
  /** On whose behalf: a program, a ticket, a name. */
  readonly caller?: string;
  /** Why, for those who wait and for the history. */
  readonly description?: string;
  /** `false`: only this host, whatever it depends on. */
  readonly withDependencies?: boolean;
  /** Locks only if nobody holds or wants any of the hosts, not even with a claim that could be held at the same time. It does not wait. */
  readonly ensureUnlocked?: boolean;
  /** How long to wait for the turn, in milliseconds; 0 by default: not at all. `Infinity`: for ever. */
  readonly timeoutMs?: number;
  /** How long the lock lasts, in milliseconds; `null`, the default: until it is unlocked. */
  readonly ttlMs?: number | null;
  /** Shown with the claim, and kept in the history; anything that JSON can carry, 64 KiB at most. */
  readonly data?: unknown;
}

export interface RenewOptions extends CallOptions {
  /** How long it lasts from now, in milliseconds; 30 minutes by default. `null`: until it is released. */
  readonly ttlMs?: number | null;
  /** Also another principal's lease. */
  readonly force?: boolean;
}

export interface ReleaseOptions extends CallOptions {
  /** Why, for the history. */
  readonly reason?: string;
  /** Also what another principal has locked; the history shows who did it. */
  readonly force?: boolean;
}

export interface HistoryOptions extends CallOptions {
  /** Only of this lock. */
  readonly lock?: string;
  /** How many at most; 20 by default. */
  readonly limit?: number;
}

/** Others hold the lock; nothing is left in line. */
export interface Held {
  readonly outcome: "held";
  /** The held one, of several. */
  readonly lock: string;
  readonly holders: readonly ClaimView[];
}

/** Nothing that the freezes name may begin now; nothing is left in line. */
export interface Frozen {
  readonly outcome: "frozen";
  readonly lock: string;
  readonly freezes: readonly Freeze[];
}

export type AcquireOutcome = { readonly outcome: "acquired"; readonly lease: HeldLease } | Held | Frozen;
export type LockHostsOutcome =
  | {
      readonly outcome: "acquired";
      readonly lease: HeldLease;
      /** The named host, and after it those that it depends on. */
      readonly hosts: readonly string[];
    }
  | Held
  | Frozen;
/** `expired`: the lease is not there any more, because it expired or somebody ended it. */
export type RenewOutcome = { readonly outcome: "renewed"; readonly lease: HeldLease } | { readonly outcome: "expired" };
/** `gone`: there was nothing to end. */
export interface ReleaseOutcome {
  readonly outcome: Released;
}

export interface LockStatus extends LockView {
  readonly locked: boolean;
  /** How it is held, each way once: by a type of lease, or by a process. */
  readonly types: readonly HeldAs[];
}

/** Locks that outlive the process that takes them. Every method may reject with `UnreachableError`, or with a `usage` error. */
export interface Leases {
  /** Takes a lease on a lock. */
  acquire(name: string, options?: AcquireOptions): Promise<AcquireOutcome>;
  /**
   * Gives a lease a new time, counted from now by the store's clock.
   * @throws HoldlineError `not-allowed` for the claim of a process, and without `force` for another principal's lease
   */
  renew(name: string, id: string, options?: RenewOptions): Promise<RenewOutcome>;
  /** Ends a lease. @throws HoldlineError `not-allowed` as `renew` does */
  release(name: string, id: string, options?: ReleaseOptions): Promise<ReleaseOutcome>;
  /** Who holds a lock now, first come first; empty when it is free. */
  current(name: string, options?: CallOptions): Promise<readonly ClaimView[]>;
  /** Whether the claim with this id holds the lock. */
  isHeld(name: string, id: string, options?: CallOptions): Promise<boolean>;
  /** Locks a host along with those that it depends on: all of them under one id, or none. The locks are called `host/NAME`. */
  lockHosts(host: string, options?: LockHostsOptions): Promise<LockHostsOutcome>;
  /** Ends all that is locked under an id. @throws HoldlineError `not-allowed` as `renew` does */
  unlock(id: string, options?: ReleaseOptions): Promise<ReleaseOutcome>;
  /** Whether a lock is locked, how and by whom. A host's lock is called `host/NAME`. */
  status(name: string, options?: CallOptions): Promise<LockStatus>;
  /** Claims that have ended, newest first. */
  history(options?: HistoryOptions): Promise<readonly HistoryRecord[]>;
}

/** Who takes the leases, and what locking a host means to them. */
export interface LibraryTaker extends LeaseTaker {
  readonly principal: string;
  readonly dependencies: DependencyMap;
}

/** The same as the command line's. */
export const DEFAULT_TTL_MS = 30 * 60_000;
const DEFAULT_LIMIT = 20;

export function createLeases(coordinator: Coordinator, taker: LibraryTaker): Leases {
  const { node, principal: by, dependencies, perspective } = taker;

  async function take(request: LeaseRequest, signal: AbortSignal | undefined): Promise<AcquireOutcome> {
    const context: LeaseContext = {
      ...taker,
      coordinator,
      progress: SILENT_PROGRESS,
      signal: signal ?? new AbortController().signal,
    };
    context.signal.throwIfAborted();
    const acquired = await acquireLease(request, context);
    if (acquired.outcome === "acquired") return { outcome: "acquired", lease: acquired.lease };
    if (acquired.outcome === "frozen") return acquired;
    // Each is in the way by itself, whoever stands before it. A lease that has not settled is shown as waiting.
    return { ...acquired, holders: acquired.holders.flatMap((claim) => claimsOn(viewLock(claim.lock, [claim], perspective))) };
  }

  async function look(name: string, { signal }: CallOptions): Promise<LockView> {
    const asked = parseLockName(name);
    const host = hostOfLock(asked);
    const lock = host === null ? asked : hostLock(knownAs(host, knownHosts(node, dependencies)));
    return viewLock(lock, await readPresentQueue(coordinator, lock, signal), perspective);
  }

  return {
    async acquire(name, options = {}) {
      const request: LeaseRequest = {
        ...REQUEST,
        ...readSharing(options),
        locks: [parseLockName(name)],
        principal: by,
        reason: readText(options.reason, "reason"),
        data: parseData(options.data),
        ttlMs: readTtlMs(options.ttlMs, DEFAULT_TTL_MS),
        waitMs: readTimeoutMs(options.timeoutMs, 0),
      };
      return take(request, options.signal);
    },

    async lockHosts(name, options = {}) {
      const host = knownAs(parseHost(name), knownHosts(node, dependencies));
      const type = readType(options);
      const path = readText(options.path, "path");
      const { hosts, ...locked } = hostLocksOf({
        ...{ host, path, type },
        dependencies: options.withDependencies === false ? null : dependencies,
      });
      const alone = options.ensureUnlocked === true;
      const waitMs = readTimeoutMs(options.timeoutMs, 0);
      if (alone && waitMs !== 0) throw new HoldlineError("usage", "ensureUnlocked does not wait: leave timeoutMs out");
      const request: LeaseRequest = {
        ...REQUEST,
        ...locked,
        principal: by,
        caller: readText(options.caller, "caller"),
        reason: readText(options.description, "description"),
        data: parseData(options.data),
        ttlMs: readTtlMs(options.ttlMs, null),
        waitMs,
        alone,
      };
      const taken = await take(request, options.signal);
      return taken.outcome === "held" ? taken : { ...taken, hosts };
    },

    async renew(name, id, options = {}) {
      const ttlMs = readTtlMs(options.ttlMs, DEFAULT_TTL_MS);
      const asking = { ttlMs, by, ...forceOf(options), ...signalOf(options) };
      const renewed = await renewLease(coordinator, parseLockName(name), readId(id), asking);
      return renewed.outcome === "expired" ? renewed : { outcome: "renewed", lease: renewed.lease };
    },

    async release(name, id, options = {}) {
      const ending = { by, reason: readText(options.reason, "reason"), ...forceOf(options), ...signalOf(options) };
      return { outcome: await releaseLease(coordinator, parseLockName(name), readId(id), ending) };
    },

    async unlock(id, options = {}) {
      const ending = { by, reason: readText(options.reason, "reason"), ...forceOf(options), ...signalOf(options) };
      return { outcome: await releaseById(coordinator, readId(id), ending) };
    },

    current: async (name, options = {}) => (await look(name, options)).holders,

    isHeld: async (name, id, options = {}) => isLeaseHeld(coordinator, parseLockName(name), readAnyId(id), options.signal),

    async status(name, options = {}) {
      const view = await look(name, options);
      return { ...view, locked: view.holders.length > 0, types: typesOf(view.holders) };
    },

    async history({ lock, limit = DEFAULT_LIMIT, signal } = {}) {
      if (!Number.isSafeInteger(limit) || limit < 1) {
        throw new HoldlineError("usage", `limit must be a whole number from 1, not ${String(limit)}`);
      }
      const name = lock === undefined ? null : parseLockName(lock);
      await endAllExpired(coordinator, name === null ? null : [name], signal);
      return coordinator.history(name, limit, signal);
    },
  };
}

/** A request's members by default. */
const REQUEST = { type: "lease", caller: null, path: null, reason: null, data: null, alone: false } as const;

function readType({ type = "generic", path }: LockHostsOptions): HostLockType {
  if (!HOST_LOCK_TYPES.includes(type)) {
    throw new HoldlineError("usage", `type must be ${HOST_LOCK_TYPES.join(", ")}, not ${JSON.stringify(type)}`);
  }
  if (type !== "file" && path !== undefined) throw new HoldlineError("usage", "path is for locks of the type file");
  return type;
}

/** Only `true` is force: many other values that JavaScript takes for true are mistakes. */
function forceOf({ force }: { readonly force?: boolean }): { readonly force: boolean } {
  return { force: force === true };
}

function signalOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal };
}
