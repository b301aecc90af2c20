// One ZooKeeper session: when it is connected, when it counts as lost, and how a request waits for either. Its watchdog sees what the
// client library does not: servers that are silent, connection attempts that nobody answers, a session that must have ended. A lost
// session never comes back; `Sessions` opens the next one.
//
//   connecting → connected ⇄ suspended
//        └───────────┴───────────┴──→ lost (the server said so, or silent for LOST_AFTER of the timeout) | closed
import { setMaxListeners } from "node:events";
import type { Log } from "../../locks/log.js";
import type { Session } from "../../locks/session.js";
import { LOST_AFTER } from "../../locks/session.js";
import { HoldlineError, SessionLostError, UnreachableError } from "../../locks/errors.js";
import { link } from "../../locks/signals.js";
import type { ZooKeeperAddress } from "./url.js";
import { LEADER_PING_PAUSE } from "./wire/confirmations.js";
import type { ConnectionListener } from "./wire/connection.js";
import { toHoldlineError, isConnectionLoss, refuseIfTooLarge, unlessAborted } from "./wire/errors.js";
import { Wire } from "./wire/wire.js";

/** The connection is dropped when the server has been silent for this part of the session timeout. Pings go out after each third, so two had their chance. */
const SILENT_AFTER = 2 / 3;

// The part of the session timeout that is left after `lost` to stop what depends on the session. The rest up to the whole timeout is a
// margin for this process's own lateness.
const GRACE = 0.1;

// The watchdog looks this many times in a session timeout, so it is late by a fortieth of it at most.
const LOOKS_PER_TIMEOUT = 40;

// If two looks are further apart than this part of the session timeout, the process or the machine stood still in between.
const GAP = 1 / 10;

// Work may begin in a session that was confirmed within this part of its timeout: a fifth is left until it would be lost, and within
// that it is confirmed again.
const FRESH = 0.6;

export interface SessionOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly log: Log;
  /**
   * In milliseconds. It must count the machine's sleep from the first reading after it (uptime.ts says how it does): then neither a
   * request, nor a grant, nor the watchdog takes a session for alive that the servers have ended meanwhile.
   */
  readonly clock: () => number;
}

export class ZkSession implements Session {
  readonly wire: Wire;
  readonly #options: SessionOptions;
  readonly #servers: number;
  readonly #lost = new AbortController();
  readonly #listeners = new Set<() => void>();
  #watchdog: NodeJS.Timeout;
  #everConnected = false;
  /** Entries that are held: the work under them must end before the session does. */
  readonly #held = new Set<string>();
  #isAsking = false;
  #lookedAt: number;
  /** Set when the server refuses the credentials: another session would be refused as well. */
  refused: HoldlineError | null = null;
  /** Grows with every connection, so that a waiter knows that it may have missed events. */
  connections = 0;

  /** @param onConnected called at every connection, the first and those after a break */
  constructor(address: ZooKeeperAddress, options: SessionOptions, onConnected: (session: ZkSession) => void) {
    // Everyone who waits in this session listens.
    setMaxListeners(0, this.#lost.signal);
    this.#options = options;
    this.#servers = address.servers.length;
    this.#lookedAt = options.clock();
    const listener: ConnectionListener = {
      connected: () => {
        this.#everConnected = true;
        this.connections += 1;
        options.log.debug({ session: this.id }, "connected to ZooKeeper");
        // The server decides on the timeout, and all deadlines follow it.
        clearInterval(this.#watchdog);
        this.#watchdog = this.#startWatchdog(this.wire.sessionTimeoutMs);
        this.#tell();
        onConnected(this);
      },
      disconnected: () => {
        if (!this.#lost.signal.aborted)
          options.log.debug({ session: this.id, problem: this.wire.problem }, "not connected to ZooKeeper");
        this.#tell();
      },
      expired: () => this.#end("ZooKeeper has ended the session"),
      authenticationFailed: () => {
        this.refused = new HoldlineError("not-allowed", "ZooKeeper refused the credentials of the coordinator URL");
        this.#end("ZooKeeper refused the credentials");
      },
    };
    this.wire = new Wire(address.servers, options.sessionTimeoutMs, address, listener, options.clock);
    this.#watchdog = this.#startWatchdog(options.sessionTimeoutMs);
    this.wire.connect();
  }

  get id(): string {
    return this.wire.sessionId;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get graceMs(): number {
    return this.wire.sessionTimeoutMs * GRACE;
  }

  heldUntil(): number {
    return this.wire.confirmations.confirmedAt + this.wire.sessionTimeoutMs;
  }

  latestRevision(): number {
    return this.wire.lastZxid;
  }

  /** Whether it is connected and not lost. */
  get isUsable(): boolean {
    return this.wire.isConnected && !this.#lost.signal.aborted;
  }

  /**
   * Resolves when the session is connected.
   * @throws SessionLostError when it is lost or closed
   * @throws UnreachableError when it is still not connected after the connect timeout
   * @throws HoldlineError `not-allowed` or `configuration` when every server refuses this client for a reason that does not pass
   */
  async connected(signal?: AbortSignal): Promise<void> {
    if (this.isUsable) return;
    const deadline = AbortSignal.timeout(this.#options.connectTimeoutMs);
    const ended = link(deadline, signal);
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.refused !== null) throw this.refused;
        if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
        if (this.wire.isConnected) return;
        // Once it had a session, patience may be worth it: certificates and passwords are renewed one machine after another.
        if (this.wire.refusal !== null && (!this.#everConnected || deadline.aborted)) throw this.wire.refusal;
        if (deadline.aborted) throw this.#unreachable();
        await this.nextChange(ended.signal);
      }
    } finally {
      ended.unlink();
    }
  }

  /**
   * Resolves when the session connects, disconnects or ends, when `signal` is aborted, or when the function that `also` gets is called.
   * Never rejects.
   */
  nextChange(signal: AbortSignal | undefined, also?: (wake: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = (): void => {
        this.#listeners.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#listeners.add(done);
      signal?.addEventListener("abort", done);
      also?.(done);
    });
  }

  /** Whether the ensemble has confirmed the session lately enough to begin work that must end before the session does. */
  get isFresh(): boolean {
    return this.#options.clock() - this.wire.confirmations.confirmedAt < this.wire.sessionTimeoutMs * FRESH;
  }

  /**
   * Resolves when the session is fresh, which may be at once.
   * @throws SessionLostError when it is lost or closed
   */
  async confirm(signal?: AbortSignal): Promise<void> {
    while (!this.isFresh) {
      await this.retry(signal, (wire) => wire.confirm());
      if (this.isFresh) return;
      // The leader has not heard of this session lately, as after a gap. It will have by its next ping.
      const ended = link(AbortSignal.timeout(this.wire.sessionTimeoutMs * LEADER_PING_PAUSE), signal);
      await this.nextChange(ended.signal);
      ended.unlink();
    }
  }

  /** An entry is held from now on: the session is lost unless the ensemble confirms it, whatever one server says. */
  hold(ref: string): void {
    this.#held.add(ref);
  }

  letGo(ref: string): void {
    this.#held.delete(ref);
  }

  /** Does something that is safe to do twice, again after every lost connection, for as long as the session lives. */
  async retry<T>(signal: AbortSignal | undefined, attempt: (wire: Wire) => Promise<T>): Promise<T> {
    let losses = 0;
    for (;;) {
      signal?.throwIfAborted();
      this.lost.throwIfAborted();
      if (!this.wire.isConnected) {
        await this.nextChange(signal);
        continue;
      }
      try {
        // If the session ends, the request fails and the loop finds the session lost.
        return await unlessAborted(signal, attempt(this.wire));
      } catch (error) {
        if (!isConnectionLoss(error)) throw toHoldlineError(error);
        refuseIfTooLarge(error, (losses += 1));
      }
    }
  }

  /** Counts the session as lost from now on. On the server its ephemeral claims end within the session timeout. */
  giveUp(reason: string): void {
    this.#end(reason);
  }

  async close(): Promise<void> {
    clearInterval(this.#watchdog);
    await this.wire.close();
    this.#end("the session was closed");
  }

  /** A fixed beat is simpler than a timer for each of four deadlines, and late by one beat at most. */
  #startWatchdog(timeoutMs: number): NodeJS.Timeout {
    return setInterval(() => this.#watch(), Math.max(5, timeoutMs / LOOKS_PER_TIMEOUT));
  }

  #watch(): void {
    const now = this.#options.clock();
    const { wire } = this;
    const { confirmedAt, answeredAt } = wire.confirmations;
    const timeoutMs = wire.sessionTimeoutMs;
    const isHeld = this.#held.size > 0;
    const aliveAt = isHeld ? confirmedAt : answeredAt;
    // While a claim is held, a server that has had the time to reach the leader and has not counts as silent.
    const heardAt = isHeld ? Math.min(wire.heardAt, Math.max(confirmedAt, wire.connectSentAt)) : wire.heardAt;
    const wasGap = now - this.#lookedAt >= timeoutMs * GAP;
    this.#lookedAt = now;
    if (this.#everConnected && now - aliveAt >= timeoutMs * LOST_AFTER) {
      this.#end(`ZooKeeper has not answered for ${Math.round(now - aliveAt)} ms of a session timeout of ${timeoutMs} ms`);
    } else if (wire.isConnected && now - heardAt >= timeoutMs * SILENT_AFTER) {
      wire.drop(`no reply within ${Math.round(timeoutMs * SILENT_AFTER)} ms`);
    } else if (wire.connectingForMs >= this.#connectPatienceMs) {
      wire.drop(`the connection was not answered within ${Math.round(this.#connectPatienceMs)} ms`);
    } else if (isHeld && !this.#isAsking && wire.isConnected && (wasGap || wire.isWorthConfirming)) {
      this.#isAsking = true;
      const done = (): void => void (this.#isAsking = false);
      // If the connection is lost meanwhile, `disconnected` says so.
      wire.confirm().then(done, done);
    }
  }

  /** Every server gets its turn within the connect timeout, and within a third of the session timeout, so that the session can still be saved. */
  get #connectPatienceMs(): number {
    return Math.min(this.#options.connectTimeoutMs, this.wire.sessionTimeoutMs / 3) / this.#servers;
  }

  #end(reason: string): void {
    if (this.#lost.signal.aborted) return;
    clearInterval(this.#watchdog);
    this.#options.log.debug({ session: this.id, reason }, "session ended");
    this.#lost.abort(new SessionLostError(`the ZooKeeper session was lost: ${reason}`));
    this.wire.abandon();
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #unreachable(): UnreachableError {
    const why = this.wire.problem === null ? "" : ` (${this.wire.problem})`;
    return new UnreachableError(`no ZooKeeper server answered within ${this.#options.connectTimeoutMs} ms${why}`, {
      hint: "check the coordinator URL, and that the servers run and have a quorum",
    });
  }
}
