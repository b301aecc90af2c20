// History and documents of a root, brought to another one. What is there already is not brought again.
import type { HistoryRecord } from "../locks/history.js";
import { noticeOf } from "../locks/history.js";
import { FREEZES_DOCUMENT } from "../locks/freezes.js";
import { HoldlineError } from "../locks/errors.js";
import { type Place, type SeenRoot, writeRootOf } from "./place.js";

/** More than any history has. */
export const MOST_RECORDS = 1_000_000;

/** Oldest first. */
export async function readAllHistory({ coordinator }: Place, signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
  return (await coordinator.history(null, MOST_RECORDS, signal)).toReversed();
}

/** What tells a record from all others. */
function keyOf({ lock, claim, event, isKept, endedAt }: HistoryRecord): string {
  return JSON.stringify([lock, claim, event, isKept, endedAt]);
}

/** Those of the records that a root does not have. */
async function missingIn(place: Place, records: readonly HistoryRecord[], signal?: AbortSignal): Promise<readonly HistoryRecord[]> {
  const present = new Set((await readAllHistory(place, signal)).map(keyOf));
  return records.filter((record) => !present.has(keyOf(record)));
}

// So many records go into one transaction at most, and so large a part of what the store takes.
const MOST_AT_ONCE = 16;
const PART = 0.5;
const BYTES_AT_ONCE = 64 * 1024;

/**
 * Records what is missing. Each piece goes with a write to the root's document, which names how it was read: so a request that arrives
 * late, or a second copier, records nothing twice.
 * @returns how the root is then
 */
export async function bringHistory(
  place: Place,
  seen: SeenRoot,
  records: readonly HistoryRecord[],
  signal?: AbortSignal,
): Promise<SeenRoot> {
  let now = seen;
  const left = [...(await missingIn(place, records, signal))];
  const most = Math.min(BYTES_AT_ONCE, place.coordinator.traits.maxBytes * PART);
  while (left.length > 0) {
    const piece: HistoryRecord[] = [];
    let bytes = 0;
    while (left[0] !== undefined && piece.length < MOST_AT_ONCE) {
      bytes += Buffer.byteLength(JSON.stringify(left[0])) + place.coordinator.traits.bytesPerLock;
      if (piece.length > 0 && bytes > most) break;
      piece.push(left.shift() as HistoryRecord);
    }
    const { root, freezes } = now;
    if (root.move?.state !== "arriving") throw new Error("only a root that is being filled takes another's history");
    const move = { ...root.move, recorded: root.move.recorded + piece.length };
    now = await writeRootOf(place, now, { root: { ...root, move }, freezes }, piece.map(noticeOf), signal);
  }
  // A store that has no room for history takes the rest without it.
  const [lost] = await missingIn(place, records, signal);
  if (lost !== undefined) {
    throw new HoldlineError("not-allowed", `${place.name} does not take all of the history: a record of ${lost.lock} is missing`, {
      hint: "does the store have room for it? See its quota, and the log's warnings",
    });
  }
  return now;
}

/** All documents but that of freezes, by name. */
export async function readAllDocuments({ coordinator }: Place, signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const documents = await coordinator.documents("", signal);
  return new Map(documents.filter(({ name }) => name !== FREEZES_DOCUMENT).map(({ name, value }) => [name, value]));
}

/** Makes the documents of a root those that are wanted. */
export async function bringDocuments(place: Place, wanted: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<void> {
  const { name: store, coordinator } = place;
  const present = new Map((await coordinator.documents("", signal)).map((document) => [document.name, document]));
  present.delete(FREEZES_DOCUMENT);
  const write = async (name: string, value: string | null): Promise<void> => {
    const there = present.get(name);
    if ((there?.value ?? null) === value) return;
    if ((await coordinator.writeDocument(name, value, there?.revision ?? 0, signal)) === "done") return;
    throw new HoldlineError("conflict", `somebody else writes the document ${name} in ${store}`, {
      hint: "stop the agents that use it, and copy again",
    });
  };
  for (const [name, value] of wanted) await write(name, value);
  for (const name of present.keys()) if (!wanted.has(name)) await write(name, null);
}
