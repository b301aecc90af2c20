// The archive: a key for each record, named so that what is too old is found without reading it. Its order is that of the commits.
import type { Archived, ArchiveQuery } from "../../queue/store.js";
import type { Layout } from "./layout.js";
import { MOST_OPERATIONS } from "./traits.js";
import type { KeyValue, Operation } from "./wire/messages.js";
import type { Wire } from "./wire/wire.js";

// A sequence number is made of the commit's revision, the record's place in the commit, and five bits that are scattered.
const RECORDS_PER_COMMIT = 128;
const SCATTER = 32;

/**
 * The number of the index-th record of a commit. Its last digits are scattered: every so many records something is done, and commits
 * that come in a rhythm must not miss that each time.
 */
export function sequenceOf(revision: number, index: number): number {
  const scattered = Math.imul(revision + index, 0x9e3779b1) >>> 27;
  return (revision * RECORDS_PER_COMMIT + index) * SCATTER + scattered;
}

function revisionIn(sequence: number): number {
  return Math.floor(sequence / SCATTER / RECORDS_PER_COMMIT);
}

export function recordKey(layout: Layout, lock: string, endedAt: number, id: string, index: number): string {
  return `${layout.historyOf(lock).key}${endedAt}.${id}.${index}`;
}

/** What a record's key says of it; `null` for a key that is none. */
function describe(layout: Layout, { key, created }: KeyValue): Omit<Archived, "record"> | null {
  const [, lock, name = ""] = layout.partsOf(key) ?? [];
  const [, endedAt, index] = /^(-?\d+(?:\.\d+)?)\.[0-9a-f-]{36}\.(\d+)$/.exec(name) ?? [];
  if (lock === undefined || endedAt === undefined || index === undefined) return null;
  return { lock, sequence: sequenceOf(created, Number(index)), endedAt: Number(endedAt) };
}

/** Newest first. */
export async function readArchive(wire: Wire, layout: Layout, query: ArchiveQuery): Promise<readonly Archived[]> {
  const { lock, limit, before, among } = query;
  const oldest = await oldestAmong(wire, layout, among);
  // Whole commits are read, whichever of their records the server puts first.
  const newest = { limit: limit + 2 * RECORDS_PER_COMMIT, notAfter: before === null ? null : revisionIn(before) };
  const { pairs } = await wire.range({ ...(lock === null ? layout.history : layout.historyOf(lock)), newest });
  const records = pairs.flatMap((pair): Archived[] => {
    const described = describe(layout, pair);
    return described === null ? [] : [{ ...described, record: pair.value }];
  });
  return records
    .filter(({ sequence }) => (before === null || sequence < before) && sequence >= oldest)
    .sort(byNewest)
    .slice(0, limit);
}

/** The sequence number of the oldest of so many. */
async function oldestAmong(wire: Wire, layout: Layout, among: number): Promise<number> {
  const { count } = await wire.range({ ...layout.history, only: "count" });
  if (count <= among) return 0;
  const all = await describeAll(wire, layout, null);
  return all[among - 1]?.sequence ?? 0;
}

/** Newest first, without the records themselves. */
async function describeAll(wire: Wire, layout: Layout, lock: string | null) {
  const { pairs } = await wire.range({ ...(lock === null ? layout.history : layout.historyOf(lock)), only: "keys" });
  const described = pairs.flatMap((pair) => {
    const one = describe(layout, pair);
    return one === null ? [] : [{ ...one, key: pair.key }];
  });
  return described.sort(byNewest);
}

function byNewest(one: Pick<Archived, "sequence">, other: Pick<Archived, "sequence">): number {
  return other.sequence - one.sequence;
}

export async function trimArchive(wire: Wire, layout: Layout, lock: string | null, keep: number, oldest: number): Promise<void> {
  if (oldest === Number.NEGATIVE_INFINITY) {
    const { count } = await wire.range({ ...(lock === null ? layout.history : layout.historyOf(lock)), only: "count" });
    if (count <= keep) return;
  }
  const all = await describeAll(wire, layout, lock);
  const removals = all
    .filter(({ endedAt }, index) => index >= keep || endedAt < oldest)
    .map(({ key }): Operation => ({ remove: { key } }));
  for (let at = 0; at < removals.length; at += MOST_OPERATIONS)
    await wire.transact({ compares: [], success: removals.slice(at, at + MOST_OPERATIONS) });
}
