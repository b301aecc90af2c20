// What became of writes whose replies were lost, as the store shows it. Each of these reads and compares; writes.ts decides whether
// to write again.
import type { EntryRef, JustSettled, Settled, WriteOutcome } from "../locks/coordinator.js";
import type { History } from "./history.js";
import type { Reads } from "./reads.js";
import type { Step, StoredEntry } from "./store.js";

/** The claim as it was settled, whatever others have written to it since; `null` where it is not. */
export async function findSettled(reads: Reads, id: string, positions: readonly EntryRef[]): Promise<JustSettled | null> {
  const entries = await reads.entriesAt(id, positions);
  if (!entries.every((entry) => entry?.durable === true && entry.token !== null)) return null;
  const settled = entries as readonly StoredEntry[];
  return { ...asOf(settled), since: (settled[0] as StoredEntry).since };
}

/**
 * The claim as one of these sessions has adopted it, whatever others have written to it since; undefined where it is as it was
 * before.
 */
export async function findAdopted(
  reads: Reads,
  id: string,
  entries: readonly EntryRef[],
  sessions: ReadonlySet<string>,
): Promise<Settled | "changed" | undefined> {
  const there = await reads.entriesAt(id, entries);
  if (there.every((entry, index) => entry === null || entry.revision === entries[index]?.revision)) return undefined;
  const isAdopted = (entry: StoredEntry | null, index: number): boolean =>
    entry?.session != null && sessions.has(entry.session) && (entry.token ?? 0) > (entries[index] as EntryRef).revision;
  if (!there.every(isAdopted)) return "changed";
  return asOf(there as readonly StoredEntry[]);
}

/** The entries as the write of this very text has left them; undefined where they are as they were before. */
export async function findWritten(
  reads: Reads,
  id: string,
  entries: readonly EntryRef[],
  text: string,
  fencingToken: number,
): Promise<Settled | "changed" | undefined> {
  const there = await reads.entriesAt(id, entries);
  if (there.every((entry, index) => entry?.revision === entries[index]?.revision)) return undefined;
  if (!there.every((entry, index) => entry?.record === text && entry.revision > (entries[index] as EntryRef).revision)) {
    return there.every((entry) => entry === null) ? undefined : "changed";
  }
  return { entries: (there as readonly StoredEntry[]).map(({ lock, ref, revision }) => ({ lock, ref, revision })), fencingToken };
}

/** Whether these very steps have ended the claim. Another's ending leaves another record. */
export async function findLeft(
  reads: Reads,
  history: History,
  id: string,
  entries: readonly EntryRef[],
  steps: readonly Step[],
): Promise<WriteOutcome | undefined> {
  if ((await reads.entriesAt(id, entries)).some((entry) => entry !== null)) return undefined;
  for (const step of steps) {
    if (step.do !== "archive") continue;
    const newest = await history.newest(step.lock, LOOKED_AT);
    if (newest.some(({ record }) => record === step.record)) return "done";
  }
  return "gone";
}

// The record of an own ending stands among the newest of its lock, unless so many other claims have ended there meanwhile.
const LOOKED_AT = 32;

/** Entries as they were when they got their present holder. */
function asOf(entries: readonly StoredEntry[]): Settled {
  const held = entries.map(({ lock, ref, token }) => ({ lock, ref, revision: token ?? 0 }));
  return { entries: held, fencingToken: Math.max(...held.map(({ revision }) => revision)) };
}
