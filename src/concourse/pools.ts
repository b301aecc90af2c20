// A Locker's list of locks, and one lock in Concourse's terms: its version and its metadata. Pure.
import { createHash } from "node:crypto";

/** One lock of `GET /locks`, without counters of 0. */
export interface Pool {
  /** Requestors with the same key share the lock. */
  readonly key: string;
  /** Each requestor's counter, sorted by name; empty when the lock is free. */
  readonly lockedBy: readonly (readonly [name: string, count: number])[];
  /** The lock in the server's own form; `null` when it does not list the lock. */
  readonly listed: unknown;
}

const FREE: Pool = { key: "", lockedBy: [], listed: null };

/** The lock in an answer to `GET /locks`; `null` when the answer is no such list. */
export function poolOf(answer: unknown, lock: string): Pool | null {
  if (!isMap(answer)) return null;
  const listed = Object.hasOwn(answer, lock) ? answer[lock] : null;
  if (listed === null) return FREE;
  if (!isMap(listed) || !isMap(listed["locked_by"] ?? {})) return null;
  const counters = Object.entries((listed["locked_by"] ?? {}) as Readonly<Record<string, unknown>>);
  if (!counters.every((counter): counter is [string, number] => typeof counter[1] === "number")) return null;
  // A Locker keeps counters of 0 and the last key after everybody has unlocked: the lock is free all the same.
  const lockedBy = counters.filter(([, count]) => count > 0).sort(([one], [other]) => (one < other ? -1 : 1));
  const key = typeof listed["key"] === "string" && lockedBy.length > 0 ? listed["key"] : "";
  return { key, lockedBy, listed };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The version of a lock's state: it depends only on the key and the counters. */
export function refOf({ key, lockedBy }: Pool): string {
  return createHash("sha256")
    .update(JSON.stringify([key, lockedBy]))
    .digest("hex");
}

/** A requestor's counter. */
export function countOf({ lockedBy }: Pool, requestor: string): number {
  return lockedBy.find(([name]) => name === requestor)?.[1] ?? 0;
}

/** A line that a build's page shows beside a version. */
export interface Metadatum {
  readonly name: string;
  readonly value: string;
}

export function metadataOf(lock: string, { key, lockedBy }: Pool): readonly Metadatum[] {
  const isLocked = lockedBy.length > 0;
  const names = lockedBy.map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
  return [
    { name: "lock", value: lock },
    { name: "locked", value: String(isLocked) },
    ...(isLocked
      ? [
          { name: "key", value: key },
          { name: "locked_by", value: names.join(", ") },
        ]
      : []),
  ];
}
