// Telling of changes, to all who watch in this process, over one connection that listens. A notification only hastens: that a session's
// time is up nobody notifies of, so the feed looks when that is due. Behind a pooler no notification comes, and it looks again and again.
import { randomUUID } from "node:crypto";
import type { StoreTime } from "../../locks/coordinator.js";
import { bestEffort, ClosedError } from "../../locks/errors.js";
import type { Log } from "../../locks/log.js";
import { ReplyLostError, type StoreChange, type StoreFeed } from "../../queue/store.js";
import type { Connection } from "./connection.js";
import type { Primary } from "./primary.js";
import { channelOf, quoteName } from "./tables.js";

export interface FeedsOptions {
  readonly sessionTimeoutMs: number;
  readonly sleepTimeMs: number;
  readonly log: Log;
}

interface Looked {
  readonly at: number;
  readonly revision: number;
  /** Until the next session's time is up; `null` without one. */
  readonly dueInMs: number | null;
}

interface Listener {
  /** `null`: all. */
  readonly lock: string | null;
  readonly tell: (change: StoreChange) => void;
}

/** A connection over which the feed learns of changes. */
interface Ear {
  readonly connection: Connection;
  readonly isPooled: boolean;
  /** The newest revision that a look has shown. */
  revision: number;
  /** Those who wait until all that came before has been told, by the word that tells them so. */
  readonly marks: Map<string, { readonly heard: () => void; readonly lost: (error: ReplyLostError) => void }>;
}

// A session that somebody opens with a shorter timeout than all others is found as late as this part of one's own.
const LOOKS_PER_TIMEOUT = 3;

// A session that is being renewed at the moment is due and does not end: it is looked at again, but not in a tight loop.
const SOONEST_LOOK_MS = 10;

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

//   idle → (the first listener) opening → hearing → (lost) opening … → (the last one closes) idle
export class Feeds {
  readonly #primary: Primary;
  readonly #options: FeedsOptions;
  readonly #schema: string;
  readonly #channel: string;
  readonly #listeners = new Set<Listener>();
  #ear: Promise<Ear> | null = null;
  #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;

  constructor(primary: Primary, options: FeedsOptions) {
    this.#primary = primary;
    this.#options = options;
    this.#schema = quoteName(primary.address.schema);
    this.#channel = channelOf(primary.address.schema);
  }

  async open(lock: string | null, tell: (change: StoreChange) => void): Promise<StoreFeed> {
    const listener = { lock, tell };
    this.#listeners.add(listener);
    const close = (): void => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.reconnect("nobody watches any more");
    };
    try {
      await this.#current();
    } catch (error) {
      close();
      throw error;
    }
    return { caughtUp: () => this.#caughtUp(), close };
  }

  /** Drops the connection, which is silent. While somebody watches, another one is made. */
  reconnect(why: string): void {
    this.#stop.abort(new Error(why));
    this.#stop = new AbortController();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const former = this.#ear;
    this.#ear = null;
    former?.then(
      ({ connection }) => connection.drop(why),
      () => undefined, // It never stood.
    );
    if (former !== null && this.#listeners.size > 0) this.#comeBack(FIRST_PAUSE_MS);
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#listeners.clear();
    this.reconnect("the store has been closed");
  }

  #current(): Promise<Ear> {
    if (this.#listeners.size === 0) return Promise.reject(new ClosedError("the watch has been closed"));
    if (this.#ear === null) {
      if (this.#timer !== null) clearTimeout(this.#timer);
      const opening = this.#begin(this.#stop.signal);
      this.#ear = opening;
      opening.then(
        (ear) => {
          ear.connection.whenLost((error) => {
            for (const { lost } of ear.marks.values()) lost(error);
            if (this.#ear === opening) this.reconnect(error.message);
          });
        },
        () => {
          if (this.#ear === opening) this.#ear = null;
        },
      );
    }
    return this.#ear;
  }

  async #begin(signal: AbortSignal): Promise<Ear> {
    const { connection, isPooled } = await this.#primary.open(signal);
    const ear: Ear = { connection, isPooled, revision: 0, marks: new Map() };
    if (!isPooled) await connection.listen(this.#channel, (payload) => this.#hear(ear, payload));
    const looked = await this.#ask<Looked>(ear, "look()");
    ear.revision = looked.revision;
    if (signal.aborted) {
      connection.drop("it is not needed any more");
      throw new ReplyLostError("the connection was given up");
    }
    this.#schedule(ear, looked);
    return ear;
  }

  /** Makes another connection, and tells that something may have been missed. */
  #comeBack(pauseMs: number): void {
    this.#timer = setTimeout(() => {
      this.#current().then(
        () => this.#tell(null),
        () => {
          if (this.#ear === null && this.#listeners.size > 0) this.#comeBack(Math.min(2 * pauseMs, LONGEST_PAUSE_MS));
        },
      );
    }, pauseMs);
  }

  #schedule(ear: Ear, { dueInMs }: Looked): void {
    const { sessionTimeoutMs, sleepTimeMs } = this.#options;
    const latest = ear.isPooled ? sleepTimeMs : sessionTimeoutMs / LOOKS_PER_TIMEOUT;
    const pauseMs = Math.max(SOONEST_LOOK_MS, Math.min(dueInMs ?? latest, latest));
    this.#timer = setTimeout(() => {
      // Where it does not answer, the connection is given up, and another one tells what was missed.
      const late = setTimeout(() => ear.connection.drop("no answer to a look"), sessionTimeoutMs);
      void bestEffort(this.#options.log, "the database could not be looked at: it is tried again", async () => {
        this.#schedule(ear, await this.#look(ear));
      }).finally(() => clearTimeout(late));
    }, pauseMs);
  }

  /** Looks for what has come. Where notifications come, ending a session is one. */
  async #look(ear: Ear): Promise<Looked> {
    const looked = await this.#ask<Looked>(ear, "look()");
    if (ear.isPooled && looked.revision > ear.revision) this.#tell(null);
    ear.revision = looked.revision;
    return looked;
  }

  async #caughtUp(): Promise<StoreTime> {
    const ear = await this.#current();
    if (ear.isPooled) return { ms: (await this.#look(ear)).at, errorMs: 0 };
    // Notifications come in the order of their commits: once one's own is there, all before it have been told.
    const mark = randomUUID();
    const heard = new Promise<void>((resolve, reject) => ear.marks.set(mark, { heard: resolve, lost: reject }));
    heard.catch(() => undefined); // Told to who asks below.
    try {
      const { ms } = await ear.connection.ask<{ readonly ms: string }>(
        `SELECT pg_notify($1, $2), ${this.#schema}.store_ms() AS ms`,
        [this.#channel, `m${mark}`],
      );
      await heard;
      return { ms: Number(ms), errorMs: 0 };
    } finally {
      ear.marks.delete(mark);
    }
  }

  #hear(ear: Ear, payload: string): void {
    const [kind, name] = [payload.slice(0, 1), payload.slice(1)];
    if (kind === "e") this.#tell(changeOfEntry(name));
    else if (kind === "n") this.#tell({ lock: name, isAbout: () => false });
    else if (kind === "l") this.#tell({ lock: name });
    else if (kind === "d") this.#tell({ document: name });
    else ear.marks.get(name)?.heard();
  }

  #tell(change: StoreChange): void {
    for (const { lock, tell } of [...this.#listeners]) {
      if (change === null || lock === null || ("lock" in change && change.lock === lock)) tell(change);
    }
  }

  async #ask<T>(ear: Ear, call: string): Promise<T> {
    const { result } = await ear.connection.ask<{ readonly result: T }>(`SELECT ${this.#schema}.${call} AS result`);
    return result;
  }
}

/** @param text the entry's name, a space, and its lock */
function changeOfEntry(text: string): StoreChange {
  const space = text.indexOf(" ");
  const changed = text.slice(0, space);
  return { lock: text.slice(space + 1), isAbout: (ref) => ref === changed };
}
