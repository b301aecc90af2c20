// Locks on hosts as people ask for them: which locks are taken for a host, with those that it depends on, and in which
// store; what may be said of them. Who asks, and how they are told, is the command line's and the server's.
import type { Field } from "../config/field.js";
import { readText } from "../config/field.js";
import { settingsOfLock } from "../config/locks.js";
import type { Settings } from "../config/settings.js";
import { dependenciesOf } from "../leases/dependencies.js";
import type { DependencyMap } from "../leases/dependencies.js";
import { sharingOf } from "../leases/hosts.js";
import type { HostLockType } from "../leases/hosts.js";
import type { LeaseRequest } from "../leases/lease.js";
import { HoldlineError } from "../locks/errors.js";
import { hostLock, hostOfLock } from "../locks/names.js";

/** What is asked for. */
export interface HostTarget {
  readonly host: string;
  /** Of a lock of the type `file`. */
  readonly path: string | null;
  readonly type: HostLockType;
  /** Along with it, what it depends on; `null`: only this host. */
  readonly dependencies: DependencyMap | null;
}

/** The hosts, the one that was asked for first, and what there is to say of their locks. */
export interface HostLocks extends Pick<LeaseRequest, "locks" | "type" | "key" | "slots" | "path"> {
  readonly hosts: readonly string[];
}

export function hostLocksOf({ host, path, type, dependencies }: HostTarget): HostLocks {
  const hosts = [host, ...(dependencies === null ? [] : dependenciesOf(host, dependencies))];
  return { hosts, locks: hosts.map(hostLock), type, path, ...sharingOf(type) };
}

/**
 * Locks that are taken together are taken in one transaction, and so in one store.
 * @throws HoldlineError `configuration` that names the two locks and what would be right
 */
export function refuseSeveralStores(settings: Settings, locks: readonly string[]): void {
  const [first, ...others] = locks;
  if (first === undefined) return;
  const store = settingsOfLock(settings, first).coordinator;
  const stray = others.find((lock) => settingsOfLock(settings, lock).coordinator !== store);
  if (stray === undefined) return;
  const file = settings.file === null ? "" : `${settings.file}: `;
  throw new HoldlineError(
    "configuration",
    `${file}locks: ${first} and ${stray} are to be locked together, and are on different coordinators`,
    { hint: `right would be the same coordinator for both; or lock ${hostOfLock(first) ?? first} without what it depends on` },
  );
}

// It is read by people, and goes with each of the claim's entries.
const LONGEST_DESCRIPTION_BYTES = 4_096;

/** What a lock on a host is for, in words. */
export function readDescription(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  if (text.trim() === "" || !text.isWellFormed())
    return field.refuse("must say something; leave it out where there is nothing to say");
  const bytes = Buffer.byteLength(text);
  return bytes <= LONGEST_DESCRIPTION_BYTES
    ? text
    : field.refuse(`has ${bytes} bytes, and ${LONGEST_DESCRIPTION_BYTES} is the most`);
}
