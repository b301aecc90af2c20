// Documents: small versioned values, each a znode of its own. A document that is removed stays as an empty znode, so that its revisions
// go on where they were and none comes twice.
import { bytesOf, type Document, type DocumentCheck, type DocumentWrite } from "../../locks/documents.js";
import { DocumentChangedError, HoldlineError } from "../../locks/errors.js";
import type { Notice } from "../../locks/history.js";
import type { Log } from "../../locks/log.js";
import { documentIn, type Layout } from "./layout.js";
import type { Recording } from "./recording.js";
import { encodeEnded, endedOf } from "./records.js";
import type { Sessions } from "./sessions.js";
import { describeRefusal } from "./wire/errors.js";
import { op, type Step, WireError, ZK } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { commit, ensure, isRefusal, MOST_BYTES, sync } from "./writes.js";

const REMOVED = Buffer.alloc(0);

const MOST_ABSENT = 100;

/** A document's znode. `value` is `null` for one that was removed. */
interface Stored {
  readonly value: string | null;
  readonly version: number;
}

export class Documents {
  readonly #sessions: Sessions;
  readonly #layout: Layout;
  readonly #recording: Recording;
  readonly #log: Log;
  /** The versions of znodes that stand for documents that are not there, as they were read last: a check then needs no other question. */
  readonly #absent = new Map<string, number>();

  constructor(sessions: Sessions, layout: Layout, recording: Recording, log: Log) {
    this.#sessions = sessions;
    this.#layout = layout;
    this.#recording = recording;
    this.#log = log;
  }

  read(name: string, signal?: AbortSignal): Promise<Document | null> {
    return this.#sessions.retry(signal, async ({ wire }) => documentOf(name, await this.#fetch(wire, name)));
  }

  list(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#sessions.retry(signal, async ({ wire }) => {
      const names = ((await wire.getChildren(this.#layout.documents)) ?? []).map(documentIn);
      const wanted = names.filter((name) => name !== null && name.startsWith(prefix)) as readonly string[];
      const found = await Promise.all(wanted.map(async (name) => documentOf(name, await this.#fetchUnlessHidden(wire, name))));
      return found.filter((one) => one !== null).sort((one, other) => (one.name < other.name ? -1 : 1));
    });
  }

  /** @param notices what the history records in the same transaction */
  async write(write: DocumentWrite, notices: readonly Notice[], signal?: AbortSignal): Promise<"done" | "changed"> {
    const { name, value, revision } = write;
    // A request that is too large ends the connection, again and again.
    if (bytesOf([write]) > MOST_BYTES) {
      throw new HoldlineError("not-allowed", `the document ${name} is too large for ZooKeeper: ${bytesOf([write])} bytes`, {
        hint: `it takes ${MOST_BYTES}`,
      });
    }
    let isRetry = false;
    return this.#sessions.retry(signal, async ({ wire }) => {
      if (isRetry) {
        await sync(wire, this.#layout);
        const now = documentOf(name, await this.#fetch(wire, name));
        // Another process that has written the very same has done what was asked for.
        if ((now?.revision ?? 0) !== revision && (now?.value ?? null) === value) return "done";
      }
      isRetry = true;
      return this.#write(wire, write, notices);
    });
  }

  /** Sends at most three transactions: the full one, once more after a repair of the history, and without its records. */
  async #write(wire: Wire, write: DocumentWrite, notices: readonly Notice[]): Promise<"done" | "changed"> {
    let written: readonly Step[];
    try {
      written = await this.writeSteps(wire, [write]);
    } catch (error) {
      if (error instanceof DocumentChangedError) return "changed";
      throw error;
    }
    let records = notices.flatMap((notice) => this.#recording.stepsFor([notice.lock], endedOf(notice)));
    if (bytesOf([write]) + bytesOfRecords(notices) > MOST_BYTES) {
      records = [];
      this.#warnUnrecorded(write, "its records are too large for one transaction");
    }
    for (let mayRepair = true; ; mayRepair = false) {
      const outcome = await commit(wire, [...written, ...records], written.length);
      if (outcome === "gone" || outcome === "changed") return "changed";
      if (!isRefusal(outcome)) {
        this.#recording.trimBehind(wire, outcome.slice(written.length) as string[]);
        return "done";
      }
      if (mayRepair) {
        await this.#recording.repair(wire, outcome);
        continue;
      }
      records = [];
      this.#warnUnrecorded(write, describeRefusal(outcome.error));
    }
  }

  #warnUnrecorded({ name }: DocumentWrite, why: string): void {
    this.#log.warn({ document: name }, `the document ${name} is written, but the history has no record of that: ${why}`);
  }

  /**
   * Steps of a transaction that write documents, and fail when one is no longer as it was read.
   * @throws DocumentChangedError where that shows already
   */
  writeSteps(wire: Wire, writes: readonly DocumentWrite[]): Promise<readonly Step[]> {
    return Promise.all(
      writes.map(async ({ name, value, revision }) => {
        const version = revision === 0 ? await this.#fetchAbsent(wire, name) : versionOf(revision);
        const data = value === null ? REMOVED : Buffer.from(`=${value}`);
        return op.setData(this.#layout.documentOf(name), data, version);
      }),
    );
  }

  /**
   * Steps of a transaction that fail when a document is no longer as it was read.
   * @throws DocumentChangedError where that shows already
   */
  checkSteps(wire: Wire, checks: readonly DocumentCheck[]): Promise<readonly Step[]> {
    return Promise.all(
      checks.map(async ({ name, revision }) => {
        const version = revision === 0 ? (this.#absent.get(name) ?? (await this.#fetchAbsent(wire, name))) : versionOf(revision);
        return op.check(this.#layout.documentOf(name), version);
      }),
    );
  }

  /** After a check has failed: whether the document is not there all the same. It may have come and gone. */
  async isStillAbsent(wire: Wire, { name, revision }: DocumentCheck): Promise<boolean> {
    return revision === 0 && ((await this.#fetch(wire, name))?.value ?? null) === null;
  }

  /**
   * The version of the empty znode that stands for a document that is not there: what is not there cannot be checked.
   * @throws DocumentChangedError where the document is there
   */
  async #fetchAbsent(wire: Wire, name: string): Promise<number> {
    for (;;) {
      const stored = await this.#fetch(wire, name);
      if (stored === null) await ensure(wire, this.#layout.documentOf(name));
      else if (stored.value === null) return stored.version;
      else throw new DocumentChangedError(name);
    }
  }

  /** In a list, one that this caller may not read hides none of the others. */
  async #fetchUnlessHidden(wire: Wire, name: string): Promise<Stored | null> {
    try {
      return await this.#fetch(wire, name);
    } catch (error) {
      if (!(error instanceof WireError) || error.zk !== ZK.noAuth) throw error;
      this.#log.debug({ document: name }, "a document may not be read, and is left out");
      return null;
    }
  }

  async #fetch(wire: Wire, name: string): Promise<Stored | null> {
    const node = await wire.getData(this.#layout.documentOf(name));
    this.#absent.delete(name);
    if (node === null) return null;
    const { data, stat } = node;
    if (data === "") {
      // Every waiter asks for the same few documents; those of nodes would add up.
      if (this.#absent.size < MOST_ABSENT) this.#absent.set(name, stat.version);
      return { value: null, version: stat.version };
    }
    // What others have written there is not nothing: the reader has to make sense of it.
    return { value: data.startsWith("=") ? data.slice(1) : data, version: stat.version };
  }
}

/** About how many bytes the records of notices add to a transaction. */
function bytesOfRecords(notices: readonly Notice[]): number {
  return notices.reduce((sum, notice) => sum + BYTES_PER_RECORD + encodeEnded(endedOf(notice)).byteLength, 0);
}

// The step around a record, and its path, in which the lock's name is encoded.
const BYTES_PER_RECORD = 1_000;

function documentOf(name: string, stored: Stored | null): Document | null {
  return stored === null || stored.value === null ? null : { name, value: stored.value, revision: stored.version + 1 };
}

/** A znode's versions begin at 0, which as a revision says that there is none. */
function versionOf(revision: number): number {
  return revision - 1;
}
