// The server that takes writes, among those that the URL names: found anew whenever the connection is lost. Standbys are passed over, and
// so is a server that has fallen behind one that was seen, as a former primary that comes back by itself.
import type { Log } from "../../locks/log.js";
import { ClosedError, HoldlineError, messageOf } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { Connection } from "./connection.js";
import { connectTrouble } from "./troubles.js";
import type { PostgresAddress, Server } from "./url.js";

/** What a server says of itself and of the root's schema, as soon as it can be asked. */
export interface ServerState {
  readonly recovers: boolean;
  readonly readOnly: boolean;
  readonly process: number;
  readonly version: string;
  readonly encoding: string;
  readonly user: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly standbys: string;
  /** Whether the schema is there, has anything in it, and has a table that says what it is for. */
  readonly hasSchema: boolean;
  readonly isUsed: boolean;
  readonly isRoot: boolean;
}

const STATE = `SELECT pg_is_in_recovery() AS "recovers", current_setting('default_transaction_read_only') = 'on' AS "readOnly",
  pg_backend_pid() AS "process", current_setting('server_version') AS "version", current_setting('server_encoding') AS "encoding",
  current_user AS "user", current_setting('fsync') AS "fsync", current_setting('synchronous_commit') AS "synchronousCommit",
  current_setting('synchronous_standby_names') AS "standbys", n.oid IS NOT NULL AS "hasSchema",
  EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid) AS "isUsed",
  EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'holdline' AND c.relkind = 'r') AS "isRoot"
  FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = $1`;

export interface PrimaryOptions {
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly log: Log;
}

/** A connection to the primary, and what its server has said. */
export interface Reached {
  readonly connection: Connection;
  readonly state: ServerState;
  /** Whether a pooler stands between: then no notification comes, and every transaction may have another server process. */
  readonly isPooled: boolean;
}

// The engine gives a connection up that has not answered for two thirds of the session timeout: all servers are tried before.
const TRIED_WITHIN = 1 / 2;

//   none → connecting → connected → (lost, reconnect) none → … → closed
export class Primary {
  readonly address: PostgresAddress;
  readonly #options: PrimaryOptions;
  readonly #prepare: (reached: Reached) => Promise<number>;
  #current: Promise<Reached> | null = null;
  #stop = new AbortController();
  /** Where to begin: the server that was the primary last, or the one behind another that has gone silent. */
  #first = 0;
  #latestTimeline = 0;
  #isClosed = false;

  /** @param prepare called with each new connection before anything else is asked on it; gives the server's timeline */
  constructor(address: PostgresAddress, options: PrimaryOptions, prepare: (reached: Reached) => Promise<number>) {
    this.address = address;
    this.#options = options;
    this.#prepare = prepare;
  }

  /** The connection to the primary, made where there is none. */
  current(): Promise<Reached> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the connection to the database has been closed"));
    if (this.#current === null) {
      const connecting = this.open(this.#stop.signal);
      this.#current = connecting;
      const forget = (): void => {
        if (this.#current === connecting) this.#current = null;
      };
      connecting.then(({ connection }) => connection.whenLost(forget), forget);
    }
    return this.#current;
  }

  /** Another connection to the primary, which belongs to the caller. */
  async open(signal: AbortSignal): Promise<Reached> {
    const { servers } = this.address;
    const { connectTimeoutMs, sessionTimeoutMs } = this.#options;
    const patienceMs = Math.min(connectTimeoutMs, sessionTimeoutMs * TRIED_WITHIN) / servers.length;
    const problems: Error[] = [];
    const begin = this.#first;
    for (let tried = 0; tried < servers.length; tried += 1) {
      const index = (begin + tried) % servers.length;
      const server = servers[index] as Server;
      try {
        const reached = await this.#reach(server, patienceMs, signal);
        this.#first = index;
        return reached;
      } catch (error) {
        if (signal.aborted) throw new ReplyLostError(messageOf(signal.reason));
        this.#options.log.debug({ server: server.address, error: messageOf(error) }, "this server does not serve");
        problems.push(error as Error);
      }
    }
    // What waiting does not mend is said before what it may.
    const lasting = problems.find((problem) => problem instanceof HoldlineError);
    throw lasting ?? new ReplyLostError(problems.map(messageOf).join("; "));
  }

  async #reach(server: Server, patienceMs: number, signal: AbortSignal): Promise<Reached> {
    const connection = await Connection.open(server, this.address, patienceMs, signal);
    const cut = (): void => connection.drop(messageOf(signal.reason));
    const timer = setTimeout(() => connection.drop(`no answer within ${Math.round(patienceMs)} ms`), patienceMs);
    signal.addEventListener("abort", cut, { once: true });
    try {
      const state = await connection.ask<ServerState>(STATE, [this.address.schema]);
      this.#refuseOthers(server, state);
      const reached = { connection, state, isPooled: connection.serverProcess !== state.process };
      const timeline = await this.#prepare(reached);
      if (timeline < this.#latestTimeline)
        throw new ReplyLostError(`the server ${server.address} is a former primary: another one has been promoted since`);
      this.#latestTimeline = timeline;
      return reached;
    } catch (error) {
      await connection.close();
      throw connectTrouble(error, server, this.address);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cut);
    }
  }

  #refuseOthers({ address }: Server, { recovers, readOnly, encoding }: ServerState): void {
    if (recovers) throw new ReplyLostError(`the server ${address} is a standby`);
    if (readOnly) throw new ReplyLostError(`the server ${address} takes no writes`);
    if (encoding !== "UTF8") {
      throw new HoldlineError(
        "configuration",
        `the database ${this.address.database} is in ${encoding}, which has no room for every name`,
        {
          hint: "use a database in UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        },
      );
    }
  }

  /** Drops the connection, which is silent. The next one begins with another server. */
  reconnect(why: string): void {
    const former = this.#current;
    if (former === null) return;
    this.#current = null;
    this.#first = (this.#first + 1) % this.address.servers.length;
    this.#stop.abort(new Error(why));
    this.#stop = new AbortController();
    former.then(
      ({ connection }) => connection.drop(why),
      () => undefined, // It never stood.
    );
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const former = this.#current;
    this.#current = null;
    this.#stop.abort(new Error("the connection to the database has been closed"));
    await former?.then(
      ({ connection }) => connection.close(),
      () => undefined, // It never stood.
    );
  }
}
