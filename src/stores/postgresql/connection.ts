// One connection to one server: how it is made, with TLS or without, and one request after another on it. Which server to use is
// primary.ts's to say.
//
//   connecting → open → lost (the server, the network or `drop` has ended it)
import { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { Client } from "pg";
import { ReplyLostError } from "../../queue/store.js";
import { secureOptions } from "../../secure-connection.js";
import { connectTrouble, isCollision } from "./troubles.js";
import type { PostgresAddress, Server, SslMode } from "./url.js";

// Two that keep colliding are others' transactions as well, and those end.
const MOST_COLLISIONS = 20;

// A server that says nothing more is found by the engine, which asks it often. This is for connections that only listen.
const KEEPALIVE_MS = 10_000;

/** How long a connection has to end by itself before it is cut. */
const GOODBYE_MS = 500;

export class Connection {
  readonly server: Server;
  /** Whether what passes is encrypted. */
  readonly isEncrypted: boolean;
  readonly #client: Client;
  readonly #socket: Socket;
  #lost: ReplyLostError | null = null;
  #onLost: (error: ReplyLostError) => void = () => undefined;
  /** The request that was made last: the next one waits for its end. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(server: Server, client: Client, socket: Socket, isEncrypted: boolean) {
    this.server = server;
    this.isEncrypted = isEncrypted;
    this.#client = client;
    this.#socket = socket;
    const end = (error?: Error): void => this.#end(error?.message ?? "the server has ended the connection");
    client.on("error", end).on("end", end);
  }

  /**
   * Connects and logs in.
   * @throws ReplyLostError when the server is not reached in time, HoldlineError for what no repetition mends
   */
  static async open(server: Server, address: PostgresAddress, patienceMs: number, signal: AbortSignal): Promise<Connection> {
    const { sslMode } = address;
    try {
      return await Connection.#connect(server, address, sslMode !== "disable", patienceMs, signal);
    } catch (error) {
      const hasNoTls = error instanceof Error && /does not support SSL/.test(error.message);
      if (!hasNoTls || sslMode !== "prefer") throw connectTrouble(error, server, address);
    }
    try {
      return await Connection.#connect(server, address, false, patienceMs, signal);
    } catch (error) {
      throw connectTrouble(error, server, address);
    }
  }

  static async #connect(
    server: Server,
    address: PostgresAddress,
    isEncrypted: boolean,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<Connection> {
    const { Client } = await import("pg");
    signal.throwIfAborted();
    const { host, port } = server;
    const { user, database } = address;
    const socket = new Socket();
    const client = new Client({
      host,
      port,
      database,
      ...(user === null ? {} : { user }),
      // As a function, so that pg looks for none of its own in files.
      password: () => address.password() as string,
      ssl: isEncrypted ? tlsOptions(address, host) : false,
      application_name: "holdline",
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEPALIVE_MS,
      stream: () => socket,
    });
    // What happens later is told to the connection, what happens now to the promise.
    client.on("error", () => undefined);
    const cut = (): void => void socket.destroy(signal.reason as Error);
    const late = new Error(`no answer within ${Math.round(patienceMs)} ms`);
    const timer = setTimeout(() => socket.destroy(late), patienceMs);
    signal.addEventListener("abort", cut, { once: true });
    try {
      await client.connect();
      signal.throwIfAborted();
      return new Connection(server, client, socket, isEncrypted);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cut);
    }
  }

  /** The process that serves it, as the server has told when it was made. */
  get serverProcess(): number | null {
    return (this.#client as unknown as { readonly processID: number | null }).processID;
  }

  /**
   * Asks one thing, in an unnamed statement, and so in a transaction of its own: a pooler may carry each to another connection.
   * @returns the first row
   * @throws ReplyLostError when the connection ends before the reply; the server's own error otherwise
   */
  async ask<Row>(question: string, values: readonly unknown[] = [], signal?: AbortSignal): Promise<Row> {
    const before = this.#last;
    const asked = (async (): Promise<Row> => {
      await before;
      signal?.throwIfAborted();
      for (let collisions = 0; ; collisions += 1) {
        this.#throwIfLost();
        try {
          const { rows } = await this.#client.query<Row & object>(question, [...values]);
          return rows[0] as Row;
        } catch (error) {
          this.#throwIfLost();
          if (!isCollision(error) || collisions === MOST_COLLISIONS) throw error;
        }
      }
    })();
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  /** Carries out statements without values, all of them or none. */
  async script(statements: string): Promise<void> {
    try {
      await this.#client.query(statements);
    } catch (error) {
      this.#throwIfLost();
      await this.#client.query("ROLLBACK");
      throw error;
    }
  }

  /** Has `tell` called with what others notify on a channel. */
  async listen(channel: string, tell: (payload: string) => void): Promise<void> {
    this.#client.on("notification", ({ payload = "" }) => tell(payload));
    await this.ask(`LISTEN ${channel}`);
  }

  /** Has `run` called when the connection has ended, at once where it has. */
  whenLost(run: (error: ReplyLostError) => void): void {
    this.#onLost = run;
    if (this.#lost !== null) run(this.#lost);
  }

  /** Ends it without a word to the server: it does not answer. */
  drop(why: string): void {
    this.#end(why);
    this.#socket.destroy();
  }

  /** Ends it. Never rejects. */
  async close(): Promise<void> {
    const late = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    await this.#client.end().catch(() => undefined); // It has ended.
    clearTimeout(late);
    this.#socket.destroy();
  }

  #throwIfLost(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  #end(why: string): void {
    if (this.#lost !== null) return;
    this.#lost = new ReplyLostError(why);
    this.#onLost(this.#lost);
  }
}

function tlsOptions({ sslMode, security }: PostgresAddress, host: string): ConnectionOptions {
  const options = secureOptions(security, host);
  // As libpq has it: who requires TLS and names an authority has the chain looked at, and nobody but `verify-full` the name.
  const looksAtChain = CHAIN_CHECKED.has(sslMode) || (sslMode === "require" && security.ca !== undefined);
  return {
    ...options,
    rejectUnauthorized: looksAtChain,
    ...(sslMode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

const CHAIN_CHECKED: ReadonlySet<SslMode> = new Set(["verify-ca", "verify-full"]);
