// The sessions of one coordinator: when one is lost the next is opened, and what is safe to do twice goes on in it.
import { bestEffort, ClosedError, SessionLostError, UnreachableError } from "../../locks/errors.js";
import { fromWire, isLoss, unlessAborted } from "./failures.js";
import { type SessionOptions, ZkSession } from "./session.js";
import type { ZooKeeperAddress } from "./url.js";

/** The sessions of one coordinator, one after another. */
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
        // A session that is lost while it is waited for has a successor, unless all was closed.
        if (this.#closed) throw new ClosedError("the coordinator is closed");
        // The signal may be another session's, with an error of the same kind.
        if (!(error instanceof SessionLostError) || error !== session.lost.reason) throw error;
      }
    }
  }

  /**
   * Does something that is safe to do twice, in whatever session there is, again after every lost connection.
   * @throws UnreachableError when that did not succeed within the connect timeout and a session timeout
   */
  async retry<T>(signal: AbortSignal | undefined, attempt: (session: ZkSession) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#options.connectTimeoutMs + this.#options.sessionTimeoutMs;
    for (;;) {
      const session = this.#current.isUsable ? this.#current : await this.current(signal);
      signal?.throwIfAborted();
      try {
        return await unlessAborted(signal, attempt(session));
      } catch (error) {
        signal?.throwIfAborted();
        if (!isLoss(error)) throw fromWire(error);
        if (performance.now() >= deadline)
          throw new UnreachableError("the connection to ZooKeeper was lost again and again", { cause: error });
      }
    }
  }

  /** Removes what is ours and ephemeral as soon as there is a connection; failing that, ends the session that it belongs to. */
  cleanUp(home: ZkSession, remove: (session: ZkSession) => Promise<void>): void {
    void bestEffort(this.#options.log, "entries of a lost session end with it", async () => {
      try {
        await this.retry(home.lost, remove);
      } catch (error) {
        home.giveUp("a claim could not be withdrawn");
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
