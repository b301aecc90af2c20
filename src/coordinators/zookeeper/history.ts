// The history: one znode for each ended claim, all in one folder, so that reading it costs what there is. Its bounds hold for
// readers at once, and are brought about now and then behind a release. Up to 0.1 each lock had a folder of its own: what
// stands there is still read.
import type { HistoryRecord } from "../../locks/coordinator.js";
import { type HistoryBounds, withinBounds } from "../../locks/history-bounds.js";
import type { Layout } from "./layout.js";
import { decodeName, orderFormerRecords, orderRecords, parseRecordName, type RecordName } from "./layout.js";
import { decodeEnded } from "./records.js";
import { inRounds, unlessForbidden, walk } from "./tree.js";
import { readClock, removeIfThere } from "./upkeep.js";
import type { Wire } from "./wire.js";

/** A record that has not been read yet. */
interface Place {
  readonly path: string;
  readonly lock: string;
}

/**
 * History records, newest first.
 * @param lock `null` for all locks
 * @param bounds what is beyond them is not shown: there may be a few more until they are trimmed
 */
export async function readHistory(
  wire: Wire,
  layout: Layout,
  lock: string | null,
  limit: number,
  bounds: HistoryBounds,
): Promise<HistoryRecord[]> {
  const [children, oldest] = await Promise.all([wire.getChildren(layout.history), oldestAllowed(wire, layout, bounds)]);
  const records = withinBounds(orderRecords(children ?? []), bounds).filter((record) => lock === null || record.lock === lock);
  const places = records.map(({ name, lock: its }): Place => ({ path: `${layout.history}/${name}`, lock: its }));
  const isFormer = (children ?? []).some((name) => !name.startsWith("_"));
  const former = isFormer ? await formerPlaces(wire, layout, lock, Math.min(limit, bounds.keep)) : [];
  const read = async (place: Place): Promise<HistoryRecord | null> => {
    const node = await wire.getData(place.path);
    return node === null || node.stat.ctime <= oldest ? null : decodeEnded(node.data, place.lock, node.stat.ctime);
  };
  const found: HistoryRecord[] = [];
  // What cannot be read makes room for what is older.
  while (places.length > 0 && found.length < limit) {
    const piece = await inRounds(places.splice(0, limit - found.length), read);
    found.push(...piece.filter((record) => record !== null));
  }
  if (former.length > 0) found.push(...(await inRounds(former, read)).filter((record) => record !== null));
  return withinBounds(
    found.sort((one, other) => other.endedAt - one.endedAt),
    bounds,
  ).slice(0, limit);
}

/** When the oldest record that still counts was made at the earliest, by the store's clock. */
async function oldestAllowed(wire: Wire, layout: Layout, { forMs }: HistoryBounds): Promise<number> {
  if (!Number.isFinite(forMs)) return Number.NEGATIVE_INFINITY;
  // Who may not ask the clock sees more than counts.
  const now = await unlessForbidden(readClock(wire, layout));
  return now === null ? Number.NEGATIVE_INFINITY : now - forMs;
}

/** Where records of before stand, the newest of each lock first. */
async function formerPlaces(wire: Wire, layout: Layout, lock: string | null, most: number): Promise<Place[]> {
  const places: Place[] = [];
  const add = (folder: string, its: string | null, children: readonly string[]): void => {
    if (its === null) return;
    for (const name of orderFormerRecords(children).slice(0, most)) places.push({ path: `${folder}/${name}`, lock: its });
  };
  if (lock === null) {
    await walk(wire, layout.history, (path, children) => add(`${layout.history}/${path}`, decodeName(path), children));
  } else {
    const folder = layout.formerHistoryOf(lock);
    add(folder, lock, (await wire.getChildren(folder)) ?? []);
  }
  return places;
}

// One release in so many lists the history and removes what is beyond its bounds.
const TRIM_EVERY = 32;
// How many records are asked for their age at once, from the oldest on, until one is young enough.
const AGED = 16;

/** Is it time to bring the history back within its bounds? @param written the paths of the records just written */
export function isTrimDue(written: readonly string[]): boolean {
  return written.some((path) => (parseRecordName(path.slice(path.lastIndexOf("/") + 1))?.sequence ?? 1) % TRIM_EVERY === 0);
}

/** Removes what is beyond the bounds; gives the paths. */
export async function trimHistory(wire: Wire, layout: Layout, bounds: HistoryBounds): Promise<string[]> {
  const [children, oldest] = await Promise.all([wire.getChildren(layout.history), oldestAllowed(wire, layout, bounds)]);
  const records = orderRecords(children ?? []);
  const kept = withinBounds(records, bounds);
  const isKept = new Set(kept);
  const pathOf = ({ name }: RecordName): string => `${layout.history}/${name}`;
  const beyond = records.filter((record) => !isKept.has(record)).map(pathOf);
  await removeAll(wire, beyond);
  while (oldest > Number.NEGATIVE_INFINITY && kept.length > 0) {
    const aged = kept.splice(-AGED).map(pathOf);
    const stats = await Promise.all(aged.map((path) => wire.exists(path)));
    const old = aged.filter((_, index) => (stats[index]?.ctime ?? oldest) <= oldest);
    await removeAll(wire, old);
    beyond.push(...old);
    if (old.length < aged.length) break;
  }
  return beyond;
}

/** The same for records of before, which nobody writes any more. */
export async function trimFormerHistory(wire: Wire, layout: Layout, bounds: HistoryBounds): Promise<string[]> {
  const [children, oldest] = await Promise.all([wire.getChildren(layout.history), oldestAllowed(wire, layout, bounds)]);
  const places = await formerPlaces(wire, layout, null, Number.POSITIVE_INFINITY);
  const dated = await inRounds(places, async (place) => ({ ...place, ctime: (await wire.exists(place.path))?.ctime ?? oldest }));
  dated.sort((one, other) => other.ctime - one.ctime);
  const isKept = new Set<object>(withinBounds([...orderRecords(children ?? []), ...dated], bounds));
  const beyond = dated.filter((record) => record.ctime <= oldest || !isKept.has(record)).map(({ path }) => path);
  await removeAll(wire, beyond);
  return beyond;
}

async function removeAll(wire: Wire, paths: readonly string[]): Promise<void> {
  await inRounds(paths, (path) => removeIfThere(wire, path));
}
