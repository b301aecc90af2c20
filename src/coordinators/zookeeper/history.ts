// The history: one znode for each ended claim, all in one folder, so that reading costs no more than there is. Readers see only what is
// within the bounds, and now and then a release trims the rest behind it. Up to 0.1 each lock had a folder of its own, which is still read.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import type { HistoryRecord } from "../../locks/history.js";
import { type HistoryBounds, withinBounds } from "../../locks/history-bounds.js";
import type { Layout } from "./layout.js";
import { decodeName, orderFormerRecords, orderRecords, parseRecordName, type RecordName } from "./layout.js";
import { WireError, ZK } from "./wire/protocol.js";
import { decodeEnded } from "./records.js";
import { inRounds, unlessForbidden, walk } from "./reads.js";
import { sync, removeIfThere } from "./writes.js";
import type { Wire } from "./wire/wire.js";

type Log = CoordinatorOptions["log"];

/** Where a record is that has not been read yet. */
interface Place {
  readonly path: string;
  readonly lock: string;
}

/**
 * History records, newest first.
 * @param lock `null` for all locks
 * @param bounds records beyond them are not shown, although a few exist until they are trimmed
 */
export async function fetchHistory(
  wire: Wire,
  layout: Layout,
  lock: string | null,
  limit: number,
  bounds: HistoryBounds,
): Promise<HistoryRecord[]> {
  const [{ children, records }, oldest] = await Promise.all([
    listRecords(wire, layout, bounds),
    oldestAllowed(wire, layout, bounds),
  ]);
  const wanted = withinBounds(records, bounds).filter((record) => lock === null || record.lock === lock);
  const places = wanted.map(({ name, lock: its }): Place => ({ path: `${layout.history}/${name}`, lock: its }));
  const isFormer = children.some((name) => !name.startsWith("_"));
  const former = isFormer ? await formerPlaces(wire, layout, lock, Math.min(limit, bounds.keep)) : [];
  const read = async (place: Place): Promise<HistoryRecord | null> => {
    const node = await wire.getData(place.path);
    return node === null || node.stat.ctime <= oldest ? null : decodeEnded(node.data, place.lock, node.stat.ctime);
  };
  const found: HistoryRecord[] = [];
  // A record that cannot be read makes room for an older one.
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

interface Listed {
  readonly children: readonly string[];
  /** The newest first, and those that cannot be read behind all others. */
  readonly records: readonly RecordName[];
  readonly unreadable: ReadonlySet<RecordName>;
}

/**
 * Lists the history's folder. Znodes that others have planted with numbers far ahead would push the records out of the bounds. So when
 * something is beyond the bounds, records whose number the server has not given out in this folder are read. In a tree that was copied
 * such records are genuine.
 */
async function listRecords(wire: Wire, layout: Layout, bounds: HistoryBounds): Promise<Listed> {
  const [children, folder] = await Promise.all([wire.getChildren(layout.history), wire.exists(layout.history)]);
  const names = children ?? [];
  const records = orderRecords(names);
  // The server counts children that came and children that went, and numbers those that came.
  const given = ((folder?.changes ?? 0) + names.length) / 2;
  const isTight = withinBounds(records, bounds).length < records.length;
  const ahead = isTight ? records.filter(({ sequence }) => ((sequence - given) | 0) >= 0) : [];
  const looked = await inRounds(ahead, async (record) => {
    const node = await unlessForbidden(wire.getData(`${layout.history}/${record.name}`));
    return node === null || decodeEnded(node.data, record.lock, node.stat.ctime) === null ? [record] : [];
  });
  const unreadable = new Set(looked.flat());
  const readable = records.filter((record) => !unreadable.has(record));
  return { children: names, records: [...readable, ...unreadable], unreadable };
}

/** Records made at this time or earlier are too old, by the store's clock. */
async function oldestAllowed(wire: Wire, layout: Layout, { forMs }: HistoryBounds): Promise<number> {
  if (!Number.isFinite(forMs)) return Number.NEGATIVE_INFINITY;
  // A caller that may not write the clock sees older records too.
  const now = await unlessForbidden(sync(wire, layout));
  return now === null ? Number.NEGATIVE_INFINITY : now.ms - forMs;
}

/** Where the records of Holdline up to 0.1 are, the newest of each lock first. */
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

// One release in this many lists the history and removes what is beyond its bounds.
const TRIM_EVERY = 32;
// How many records are asked for their age at once, from the oldest on, until one of them is young enough.
const AGED = 16;

/** Whether it is time to trim the history. @param written the paths of the records just written */
export function isTrimDue(written: readonly string[]): boolean {
  return written.some((path) => (parseRecordName(path.slice(path.lastIndexOf("/") + 1))?.sequence ?? 1) % TRIM_EVERY === 0);
}

/** Removes the records beyond the bounds. @returns their paths */
export async function trimHistory(wire: Wire, layout: Layout, bounds: HistoryBounds, log: Log): Promise<string[]> {
  const [{ records, unreadable }, oldest] = await Promise.all([
    listRecords(wire, layout, bounds),
    oldestAllowed(wire, layout, bounds),
  ]);
  const kept = withinBounds(records, bounds);
  const isKept = new Set(kept);
  const pathOf = ({ name }: RecordName): string => `${layout.history}/${name}`;
  const beyond = records.filter((record) => !isKept.has(record)).map(pathOf);
  const gone = await removeAll(wire, beyond, log);
  const dated = kept.filter((record) => !unreadable.has(record));
  while (oldest > Number.NEGATIVE_INFINITY && dated.length > 0) {
    const aged = dated.splice(-AGED).map(pathOf);
    const stats = await Promise.all(aged.map((path) => wire.exists(path)));
    const old = aged.filter((_, index) => (stats[index]?.ctime ?? oldest) <= oldest);
    gone.push(...(await removeAll(wire, old, log)));
    if (old.length < aged.length) break;
  }
  return gone;
}

/** The same for the records of Holdline up to 0.1. */
export async function trimFormerHistory(wire: Wire, layout: Layout, bounds: HistoryBounds, log: Log): Promise<string[]> {
  const [{ records }, oldest] = await Promise.all([listRecords(wire, layout, bounds), oldestAllowed(wire, layout, bounds)]);
  const places = await formerPlaces(wire, layout, null, Number.POSITIVE_INFINITY);
  const dated = await inRounds(places, async (place) => ({ ...place, ctime: (await wire.exists(place.path))?.ctime ?? oldest }));
  dated.sort((one, other) => other.ctime - one.ctime);
  const isKept = new Set<object>(withinBounds([...records, ...dated], bounds));
  const beyond = dated.filter((record) => record.ctime <= oldest || !isKept.has(record)).map(({ path }) => path);
  return removeAll(wire, beyond, log);
}

/** Removes the records, except those that have children, which it warns about. @returns the paths that are gone */
async function removeAll(wire: Wire, paths: readonly string[], log: Log): Promise<string[]> {
  const gone = await inRounds(paths, async (path) => {
    try {
      await removeIfThere(wire, path);
      return [path];
    } catch (error) {
      if (!(error instanceof WireError) || error.zk !== ZK.notEmpty) throw error;
      log.warn(
        { path },
        `the record ${path} is beyond the history's bounds and stays, because another client has made znodes below it`,
      );
      return [];
    }
  });
  return gone.flat();
}
