// What a Locker says of its locks, and what Concourse is told of one: its version and its metadata. Pure.
import { createHash } from "node:crypto";

/** One lock as `GET /locks` has it, without the counters that stand at 0. */
export interface Pool {
  /** Whoever has the same key shares the lock. */
  readonly key: string;
  /** How often by whom, sorted by name; nobody: it is free. */
  readonly lockedBy: readonly (readonly [name: string, count: number])[];
  /** As the server has given it; `null` for a lock that it does not list. */
  readonly listed: unknown;
}

const FREE: Pool = { key: "", lockedBy: [], listed: null };

/** The lock out of the answer to `GET /locks`; `null` when that is no such answer. */
export function poolOf(answer: unknown, lock: string): Pool | null {
  if (!isMap(answer)) return null;
  const listed = Object.hasOwn(answer, lock) ? answer[lock] : null;
  if (listed === null) return FREE;
  if (!isMap(listed) || !isMap(listed["locked_by"] ?? {})) return null;
  const counters = Object.entries((listed["locked_by"] ?? {}) as Readonly<Record<string, unknown>>);
  if (!counters.every((counter): counter is [string, number] => typeof counter[1] === "number")) return null;
  // A Locker keeps counters of 0, and the last key, of those who are gone: that is no other state than none.
  const lockedBy = counters.filter(([, count]) => count > 0).sort(([one], [other]) => (one < other ? -1 : 1));
  const key = typeof listed["key"] === "string" && lockedBy.length > 0 ? listed["key"] : "";
  return { key, lockedBy, listed };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The version of a lock's state: the same for the same key and counters, whatever other locks do and whoever serves them. */
export function refOf({ key, lockedBy }: Pool): string {
  return createHash("sha256")
    .update(JSON.stringify([key, lockedBy]))
    .digest("hex");
}

/** How often a requestor is counted. */
export function countOf({ lockedBy }: Pool, requestor: string): number {
  return lockedBy.find(([name]) => name === requestor)?.[1] ?? 0;
}

/** What a build's page shows beside a version. */
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
