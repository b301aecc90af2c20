// Snapshots: the contents as they were behind one entry of the log, in pieces that fit into items, and the manifest that names them. Whoever
// opens the store begins with the latest; entries before it may be written over.
//
// A manifest follows the one that its writer has read, or is not written. Pieces are named by the number of their snapshot and are never
// written twice; those that no manifest names any more are removed by whoever has written a later one.
import { randomUUID } from "node:crypto";
import { HoldlineError } from "../../locks/errors.js";
import type { Archived, StoredDocument } from "../../queue/store.js";
import { type Contents, emptyContents, type Entry, type StoredSession } from "../../queue/model/contents.js";
import { decode, encode } from "./codec.js";
import { DynamoError } from "./errors.js";
import type { Table } from "./table.js";

/** Where a part of a snapshot is. */
interface Part {
  /** Of two with the same, one stands for the other. */
  readonly fingerprint: string;
  readonly pieces: readonly string[];
}

/** What the store is, and where its latest snapshot is. */
export interface Manifest {
  /** The entry behind which the snapshot was taken; 0: none yet. */
  readonly n: number;
  /** How many slots the log has. */
  readonly slots: number;
  /** The stamp of that entry. */
  readonly at: number;
  readonly parts: readonly Part[];
}

/** A snapshot as it is read. */
export interface Snapshot {
  readonly manifest: Manifest;
  readonly contents: Contents;
}

const KIND = "holdline";
/** The version of all that stands in a table. */
export const LAYOUT = 1;
const MANIFEST = "manifest";

// Items may have 400 KB.
const PIECE_BYTES = 350 * 1024;

// So many records of the archive are one part. Full ones do not change until they are trimmed, and so are rarely written again.
const RECORDS_PER_PART = 512;

const DIGITS = 16;

export class Snapshots {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** `null` where nobody has used the place yet. */
  async manifest(): Promise<Manifest | null> {
    const found = await this.#table.get("state", MANIFEST).catch(nothingWithoutTable);
    if (found === null) return null;
    const { kind, layout } = found;
    if (kind !== KIND || layout !== LAYOUT) {
      const what = kind === KIND ? `layout ${String(layout)}, and this Holdline knows ${LAYOUT}` : "something else than Holdline's";
      const hint = "name another ?prefix= in the URL, or use the Holdline that made it";
      throw new HoldlineError("configuration", `what stands in the DynamoDB table ${this.#table.name} is ${what}`, { hint });
    }
    return decode(found["manifest"] as Buffer) as Manifest;
  }

  /** Begins an empty store, in a table that is made where there is none, unless somebody else just has. */
  async begin(slots: number): Promise<void> {
    const begin = (): Promise<boolean> => this.#put({ n: 0, slots, at: 0, parts: [] }, null);
    try {
      await begin();
    } catch (error) {
      if (!isWithoutTable(error)) throw error;
      await this.#table.create();
      await begin();
    }
  }

  /** The latest snapshot; `null` where nobody has used the place yet. */
  async read(): Promise<Snapshot | null> {
    for (;;) {
      const manifest = await this.manifest();
      if (manifest === null) return null;
      const parts = await Promise.all(manifest.parts.map((part) => this.#readPart(part)));
      // A later snapshot has taken its place meanwhile.
      if (parts.includes(null)) continue;
      return { manifest, contents: contentsOf(parts) };
    }
  }

  /**
   * Writes a snapshot of the contents as they are at the call.
   * @param former the manifest that it follows
   * @returns its manifest; `null` where somebody else has written one meanwhile
   */
  async write(contents: Contents, at: number, former: Manifest): Promise<Manifest | null> {
    const n = contents.revision;
    const id = `${numbered(n)}-${randomUUID()}`;
    const known = new Map(former.parts.map((part) => [part.fingerprint, part]));
    const parts = partsOf(contents).map(({ fingerprint, value }, index) => {
      const same = known.get(fingerprint);
      return same === undefined ? { fingerprint, blob: encode(value), name: `${id}-${index}` } : same;
    });
    const written: Part[] = [];
    for (const part of parts) written.push("blob" in part ? await this.#writePart(part.fingerprint, part.name, part.blob) : part);
    const manifest = { n, slots: former.slots, at, parts: written };
    if (!(await this.#put(manifest, former))) return null;
    await this.#sweep(manifest);
    return manifest;
  }

  /** Removes pieces that no manifest names any more: of former snapshots, and of those that were not finished. */
  async #sweep({ n, parts }: Manifest): Promise<void> {
    const named = new Set(parts.flatMap(({ pieces }) => pieces));
    // Later ones may belong to the snapshot that somebody is about to take.
    for (const { key } of await this.#table.queryAll("snapshot", "0", numbered(n)))
      if (!named.has(key)) await this.#table.delete("snapshot", key);
  }

  #put(manifest: Manifest, former: Manifest | null): Promise<boolean> {
    const attributes = { kind: KIND, layout: LAYOUT, n: manifest.n, manifest: encode(manifest) };
    const condition = former === null ? { exists: false } : { equals: ["n", former.n] as const };
    return this.#table.put("state", MANIFEST, attributes, condition);
  }

  async #writePart(fingerprint: string, name: string, blob: Buffer): Promise<Part> {
    const pieces: string[] = [];
    for (let from = 0; from < blob.length; from += PIECE_BYTES) {
      const piece = `${name}-${pieces.length}`;
      await this.#table.put("snapshot", piece, { bytes: blob.subarray(from, from + PIECE_BYTES) });
      pieces.push(piece);
    }
    return { fingerprint, pieces };
  }

  async #readPart({ pieces }: Part): Promise<unknown> {
    const found = await Promise.all(pieces.map((piece) => this.#table.get("snapshot", piece)));
    if (found.includes(null)) return null;
    return decode(Buffer.concat(found.map((attributes) => attributes?.["bytes"] as Buffer)));
  }
}

/** A table that is not there is an empty one to those who look. */
function nothingWithoutTable(error: unknown): null {
  if (isWithoutTable(error)) return null;
  throw error;
}

function isWithoutTable(error: unknown): boolean {
  return error instanceof DynamoError && error.type === "ResourceNotFoundException";
}

/** All but the archive, as it is written. */
interface Core extends Pick<Contents, "revision" | "archiveSequence"> {
  readonly entries: readonly Entry[];
  readonly sessions: readonly (readonly [id: string, session: StoredSession])[];
  readonly documents: readonly StoredDocument[];
}

function partsOf({ revision, archiveSequence, locks, sessions, documents, archive }: Contents) {
  const entries = [...locks.values()].flat();
  const core: Core = { revision, archiveSequence, entries, sessions: [...sessions], documents: [...documents.values()] };
  const parts: { readonly fingerprint: string; readonly value: unknown }[] = [{ fingerprint: `core-${revision}`, value: core }];
  const segments = new Map<number, Archived[]>();
  for (const record of archive) {
    const index = Math.floor(record.sequence / RECORDS_PER_PART);
    const segment = segments.get(index);
    if (segment === undefined) segments.set(index, [record]);
    else segment.push(record);
  }
  for (const [index, records] of segments) {
    // Records are never changed, only added and removed: by the newest and their number it is known which they are.
    parts.push({ fingerprint: `archive-${index}-${records[0]?.sequence}-${records.length}`, value: records });
  }
  return parts;
}

function contentsOf(parts: readonly unknown[]): Contents {
  const contents = emptyContents();
  const [core, ...archive] = parts as readonly [Core | undefined, ...(readonly Archived[])[]];
  if (core === undefined) return contents;
  contents.revision = core.revision;
  contents.archiveSequence = core.archiveSequence;
  for (const entry of core.entries) contents.locks.set(entry.lock, [...(contents.locks.get(entry.lock) ?? []), entry]);
  for (const [id, session] of core.sessions) contents.sessions.set(id, session);
  for (const document of core.documents) contents.documents.set(document.name, document);
  contents.archive = archive.flat();
  return contents;
}

/** So that texts are in the order of numbers. */
function numbered(n: number): string {
  return String(n).padStart(DIGITS, "0");
}
