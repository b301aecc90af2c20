// Watching: a stream of changed keys from a member. Where it breaks off, for whatever reason, another one is opened from then on, and
// those who listen are told that they may have missed something.
import { ClosedError, HoldlineError, messageOf } from "../../locks/errors.js";
import type { Log } from "../../locks/log.js";
import { ReplyLostError } from "../../queue/store.js";
import { denied } from "./wire/errors.js";
import type { Link, ReplyStream } from "./wire/link.js";
import { decodeWatch, encodeWatch, type KeyRange } from "./wire/messages.js";
import type { Wire } from "./wire/wire.js";

// Between two tries to open a stream anew.
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

//   opening → watching → (the stream breaks off) opening → … → closed
export class KeyWatch {
  readonly #wire: Wire;
  readonly #range: KeyRange;
  readonly #tell: (keys: readonly string[] | null) => void;
  readonly #log: Log;
  #stream: ReplyStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  /** Everything up to this revision has been told. */
  #seen = 0;
  readonly #awaiting = new Set<() => void>();

  /** @param tell given the keys that have changed; `null`: it may be any */
  constructor(wire: Wire, range: KeyRange, tell: (keys: readonly string[] | null) => void, log: Log) {
    this.#wire = wire;
    this.#range = range;
    this.#tell = tell;
    this.#log = log;
  }

  /** Resolves when it watches: what is committed from then on is told. */
  async open(): Promise<void> {
    await this.#openWith(() => undefined);
  }

  async #openWith(onOpen: () => void): Promise<void> {
    const link = await this.#wire.links.current();
    try {
      await this.#stand(link, onOpen);
    } catch (error) {
      // Of a token that has expired the server says no more than that it is not allowed.
      if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
      await link.authenticate();
      await this.#stand(link, onOpen);
    }
  }

  #stand(link: Link, onOpen: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOpen = false;
      let isOver = false;
      const ended = (error: Error): void => {
        if (isOver) return;
        isOver = true;
        stream.close();
        if (isOpen) this.#reopen(FIRST_PAUSE_MS);
        else reject(error);
      };
      const read = (reply: Buffer): void => {
        const { header, isCreated, canceled, keys } = decodeWatch(reply);
        if (canceled !== null) return ended(canceledBy(canceled, link.endpoint.name));
        if (isCreated) {
          isOpen = true;
          onOpen();
          resolve();
        }
        if (keys.length > 0) this.#tell(keys);
        this.#told(header.revision);
      };
      const stream = link.stream("Watch/Watch", encodeWatch(this.#range), read, ended);
      this.#stream = stream;
      if (this.#isClosed) stream.close();
    });
  }

  /** Resolves when everything up to a revision has been told. Rejects when the watch is closed. */
  async told(revision: number): Promise<void> {
    while (this.#seen < revision) {
      if (this.#isClosed) throw new ClosedError("the watch has been closed");
      await new Promise<void>((resolve) => this.#awaiting.add(resolve));
    }
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.close();
    this.#wake();
  }

  #told(revision: number): void {
    this.#seen = Math.max(this.#seen, revision);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#awaiting) wake();
    this.#awaiting.clear();
  }

  #reopen(pauseMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#openWith(() => this.#tell(null)).catch((error: unknown) => {
        this.#log.debug({ error: messageOf(error) }, "a watch could not be opened anew: it is tried again");
        this.#reopen(Math.min(2 * pauseMs, LONGEST_PAUSE_MS));
      });
    }, pauseMs);
  }
}

function canceledBy(reason: string, server: string): Error {
  return /permission denied/i.test(reason) ? denied(server, reason) : new ReplyLostError(`${server}: ${reason}`);
}
