// The sessions of one coordinator, one after another: when one is lost the next is opened, and work that is safe to do twice goes on in it.
import type { EntryRef, Joined } from "../../locks/coordinator.js";
import { bestEffort, ClosedError, SessionLostError, UnreachableError } from "../../locks/errors.js";
import { toHoldlineError, isConnectionLoss, refuseIfTooLarge, unlessAborted } from "./wire/errors.js";
import { type SessionOptions, ZkSession } from "./session.js";
import type { ZooKeeperAddress } from "./url.js";

export class Sessions {
  readonly #address: ZooKeeperAddress;
  readonly #options: SessionOptions;
  readonly #onConnected: (session: ZkSession) => void;
  #current: ZkSession;
  #closed = false;

  /** @param onConnected called at every connection of every session */
  constructor(address: ZooKeeperAddress, options: SessionOptions, onConnected: (session: ZkSession) => void) {
    this.#address = address;
    this.#options = options;
    this.#onConnected = onConnected;
    this.#current = this.#open();
  }

  /** The present session, connected. */
  async current(signal?: AbortSignal): Promise<ZkSession> {
    for (;;) {
      signal?.throwIfAborted();
      const session = this.#current;
      try {
        await session.connected(signal);
        return session;
      } catch (error) {
        // A session that is lost while a caller waits for it has a successor, unless the coordinator is closed.
        if (this.#closed) throw new ClosedError("the coordinator is closed");
        // The caller's signal may be another session's, with an error of the same kind.
        if (!(error instanceof SessionLostError) || error !== session.lost.reason) throw error;
      }
    }
  }

  /**
   * Does something that is safe to do twice in the present session, and does it again after every lost connection.
   * @throws HoldlineError `configuration` when it is a request that servers hang up on
   * @throws UnreachableError when it has not succeeded within the connect timeout and a session timeout
   */
  async retry<T>(signal: AbortSignal | undefined, attempt: (session: ZkSession) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#options.connectTimeoutMs + this.#options.sessionTimeoutMs;
    for (let losses = 1; ; losses += 1) {
      const session = this.#current.isUsable ? this.#current : await this.current(signal);
      signal?.throwIfAborted();
      try {
        return await unlessAborted(signal, attempt(session));
      } catch (error) {
        signal?.throwIfAborted();
        if (!isConnectionLoss(error)) throw toHoldlineError(error);
        refuseIfTooLarge(error, losses);
        if (performance.now() >= deadline)
          throw new UnreachableError("the connection to ZooKeeper was lost again and again", { cause: error });
      }
    }
  }

  /** Removes ephemeral entries as soon as there is a connection. If that fails, ends the session that they belong to. */
  cleanUp(joinedIn: ZkSession, remove: (session: ZkSession) => Promise<void>): void {
    void bestEffort(this.#options.log, "entries of a lost session end with it", async () => {
      try {
        await this.retry(joinedIn.lost, remove);
      } catch (error) {
        joinedIn.giveUp("a claim could not be withdrawn");
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#current.close();
  }

  #open(): ZkSession {
    const session = new ZkSession(this.#address, this.#options, this.#onConnected);
    session.lost.addEventListener("abort", () => {
      if (this.#closed || session.refused !== null) return;
      this.#current = this.#open();
    });
    return session;
  }
}

/** Which session each ephemeral entry of this process belongs to, and which entries are held. A ref has a UUID in it, so it is unique. */
export class EntrySessions {
  readonly #sessions = new Map<string, ZkSession>();

  /** These entries were made in this session. */
  add(session: ZkSession, { positions }: Joined): void {
    for (const { ref } of positions) this.#sessions.set(ref, session);
  }

  /** `undefined` for an entry that is not, or no longer, this process's. */
  of(ref: string): ZkSession | undefined {
    return this.#sessions.get(ref);
  }

  hold({ positions }: Joined): void {
    for (const { ref } of positions) this.#sessions.get(ref)?.hold(ref);
  }

  forget(entries: readonly Pick<EntryRef, "ref">[]): void {
    for (const { ref } of entries) {
      this.#sessions.get(ref)?.letGo(ref);
      this.#sessions.delete(ref);
    }
  }
}
