// What the database's functions give, as the engine's places and entries; functions.ts writes it.
import type {
  Appended,
  Archived,
  Committed,
  Kept,
  Refusal,
  Step,
  StoredDocument,
  StoredEntry,
  StoredPlace,
} from "../../queue/store.js";

export type PlaceRow = readonly [
  position: number,
  claim: string,
  key: string | null,
  slots: number | null,
  durable: boolean,
  session: string | null,
  isSessionAlive: boolean,
  revision: number,
];

export type EntryRow = readonly [...PlaceRow, lock: string, token: number | null, since: number, record: string];
export type ArchivedRow = readonly [lock: string, sequence: number, endedAt: number, record: string];
export type DocumentRow = readonly [name: string, value: string, revision: number];

export type CommitRow =
  | {
      readonly isDone: true;
      readonly revision: number;
      readonly at: number;
      readonly appended: readonly (readonly [position: number, ahead: readonly PlaceRow[]])[];
      readonly kept: readonly Kept[];
    }
  | { readonly isDone: false; readonly step: number; readonly why: Refusal };

export function placeOf([position, claim, key, slots, durable, session, isSessionAlive, revision]: PlaceRow): StoredPlace {
  const ref = String(position);
  return { ref, claim, key, slots: slots ?? Number.POSITIVE_INFINITY, durable, session, isSessionAlive, revision };
}

export function entryOf(row: EntryRow): StoredEntry {
  const [position, claim, key, slots, durable, session, isSessionAlive, revision, lock, token, since, record] = row;
  return { ...placeOf([position, claim, key, slots, durable, session, isSessionAlive, revision]), lock, token, since, record };
}

export function archivedOf([lock, sequence, endedAt, record]: ArchivedRow): Archived {
  return { lock, sequence, endedAt, record };
}

export function documentOf([name, value, revision]: DocumentRow): StoredDocument {
  return { name, value, revision };
}

export function committedOf(row: CommitRow): Committed {
  if (!row.isDone) return row;
  const appended = row.appended.map(([position, ahead]): Appended => ({ ref: String(position), ahead: ahead.map(placeOf) }));
  return { ...row, appended };
}

/** Steps as the database's function takes them. */
export function stepsText(steps: readonly Step[]): string {
  // JSON has no infinity: slots without a limit become null, which is how the table has them.
  return JSON.stringify(steps.map((step) => ("ref" in step ? { ...step, ref: positionOf(step.ref) } : step)));
}

/** The position that a ref names; -1, where nothing ever is, for what no store of this kind has given out. */
export function positionOf(ref: string): number {
  return /^[1-9]\d{0,15}$/.test(ref) ? Number(ref) : -1;
}

/** In the order of JavaScript's own sorting, as every store has it. */
export function byName<Named>(named: readonly Named[], nameOf: (one: Named) => string): readonly Named[] {
  return [...named].sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : Number(nameOf(one) > nameOf(other))));
}
