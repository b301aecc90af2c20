// Entries of queues in rows: which columns a read asks for, and what it gives.
import type { StoredEntry, StoredPlace } from "../../queue/store.js";
import { bytes, NOW, numberIn, type Row, type Tables, textIn, textOrNullIn } from "./sql.js";

/** Whether a session lives: over, or not there; by its time over, which has not been written down yet; alive. */
const OVER = 0;
const LAPSED = 2;

/** The same for a session in a row: how it is to be read as an expression. */
const LIFE = `CASE WHEN s.id IS NULL OR s.ended = 1 THEN ${OVER} WHEN s.expires > ${NOW} THEN 1 ELSE ${LAPSED} END`;

const PLACE_COLUMNS = `${LIFE}, e.place, e.claim, e.share, e.slots, e.durable, e.session, e.revision`;
const ENTRY_COLUMNS = `${PLACE_COLUMNS}, e.queue, e.token, e.since, e.content`;

/** Places of a queue in order. @param condition further ones, of the entries `e` */
export function selectPlaces(tables: Tables, lock: string, condition = ""): string {
  return `${from(tables, PLACE_COLUMNS)} WHERE e.queue = ${bytes(lock)}${condition} ORDER BY e.place`;
}

/** Whole entries. @param rest condition, order and limit */
export function selectEntries(tables: Tables, rest: string): string {
  return `${from(tables, ENTRY_COLUMNS)} ${rest}`;
}

function from({ entries, sessions }: Tables, columns: string): string {
  return `SELECT ${columns} FROM ${entries} e LEFT JOIN ${sessions} s ON s.id = e.session`;
}

/** The sessions of these rows that are over by their time alone. */
export function lapsedIn(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => (numberIn(row[0]) === LAPSED ? [textIn(row[6])] : [])))];
}

export function placeOf(row: Row): StoredPlace {
  const [life, place, claim, key, slots, durable, session, revision] = row;
  return {
    ref: String(numberIn(place)),
    claim: textIn(claim),
    key: textOrNullIn(key),
    slots: slots === null ? Number.POSITIVE_INFINITY : numberIn(slots),
    durable: numberIn(durable) === 1,
    session: textOrNullIn(session),
    isSessionAlive: ![OVER, LAPSED].includes(numberIn(life)),
    revision: numberIn(revision),
  };
}

export function entryOf(row: Row): StoredEntry {
  const [queue, token, since, content] = row.slice(8);
  return {
    ...placeOf(row),
    lock: textIn(queue),
    token: token === null ? null : numberIn(token),
    since: numberIn(since),
    record: textIn(content),
  };
}

/** The place that a ref names; -1, where nothing ever is, for what no store of this kind has given out. */
export function placeIn(ref: string): number {
  return /^[1-9]\d{0,15}$/.test(ref) ? Number(ref) : -1;
}
