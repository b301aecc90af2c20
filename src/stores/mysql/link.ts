// The way to the server that takes writes, among those that the URL names: one connection at a time, made when something is asked, looked
// over before it is used, and dropped when it fails. Asks again by itself only where the server has said that nothing has happened.
//
//   none → (asked) connecting → connected → (lost, dropped, read-only) none → … → closed
import type { Log } from "../../locks/log.js";
import { ClosedError, messageOf } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { addressOf } from "../../store-url.js";
import { type Client, connectTo } from "./client.js";
import { errorOf, ServerError } from "./errors.js";
import type { Row } from "./sql.js";
import { DEFAULT_PORT, type MysqlAddress } from "./url.js";

export interface LinkOptions {
  readonly connectTimeoutMs: number;
  readonly log: Log;
}

// Two transactions that are in each other's way again and again would need very many others between them.
const MOST_REPEATS = 100;

export class Link {
  readonly #address: MysqlAddress;
  readonly #options: LinkOptions;
  readonly #lookOver: (client: Client) => Promise<void>;
  #client: Promise<Client> | null = null;
  #connected: Client | null = null;
  /** Where to look first: where the last connection was, or behind the server that has failed. */
  #first = 0;
  #isClosed = false;

  /** @param lookOver refuses a server that does not have what is expected there, before anything is asked of it */
  constructor(address: MysqlAddress, options: LinkOptions, lookOver: (client: Client) => Promise<void>) {
    this.#address = address;
    this.#options = options;
    this.#lookOver = lookOver;
  }

  /** The connection, which is made where there is none. */
  client(): Promise<Client> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the coordinator has been closed"));
    if (this.#connected?.isDestroyed === true) this.#forget();
    if (this.#client === null) {
      const client = this.#connect();
      this.#client = client;
      client.then(
        (connected) => {
          if (this.#client === client) this.#connected = connected;
          else connected.destroy("another connection is used by now");
        },
        () => {
          if (this.#client === client) this.#forget();
        },
      );
    }
    return this.#client;
  }

  /**
   * Asks the server a text of statements.
   * @throws ReplyLostError when no reply comes
   * @throws HoldlineError with the server's error as its cause
   */
  async ask(text: string | ((client: Client) => string)): Promise<readonly (readonly Row[])[]> {
    for (let repeats = 0; ; repeats += 1) {
      const client = await this.client();
      try {
        return await client.query(typeof text === "string" ? text : text(client));
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (error.isRepeatable && repeats < MOST_REPEATS) continue;
        if (error.isOfConnection) this.#passOver(client, error);
        throw errorOf(error, client.server);
      }
    }
  }

  /** Drops the connection: whoever waits for a reply is told that it is lost. */
  drop(why: string): void {
    const connected = this.#connected;
    this.#forget();
    this.#first += 1;
    connected?.destroy(why);
  }

  close(): void {
    this.#isClosed = true;
    const connected = this.#connected;
    this.#forget();
    connected?.leave();
  }

  #forget(): void {
    this.#client = null;
    this.#connected = null;
  }

  #passOver(client: Client, error: ServerError): void {
    if (this.#connected === client) this.#forget();
    this.#first += 1;
    client.destroy(error.message);
  }

  async #connect(): Promise<Client> {
    const { servers } = this.#address;
    const from = this.#first;
    const failures: unknown[] = [];
    for (let tried = 0; tried < servers.length; tried += 1) {
      const at = (from + tried) % servers.length;
      try {
        const client = await this.#connectTo(at);
        this.#first = at;
        return client;
      } catch (error) {
        failures.push(error);
      }
    }
    // What one server refuses for good another may take that is away now.
    if (!failures.some((error) => error instanceof ReplyLostError)) throw failures[0];
    throw new ReplyLostError(failures.map(messageOf).join("; "));
  }

  async #connectTo(at: number): Promise<Client> {
    const { servers } = this.#address;
    const server = servers[at] as (typeof servers)[number];
    // A server that accepts and does not answer leaves time for the others.
    const client = await connectTo(this.#address, server, this.#options.connectTimeoutMs / servers.length);
    try {
      if (client.facts.isReadOnly) throw new ReplyLostError(`${addressOf(server, DEFAULT_PORT)} is read-only`);
      await this.#lookOver(client);
    } catch (error) {
      client.destroy("it cannot be used");
      throw error instanceof ServerError ? errorOf(error, client.server) : error;
    }
    return client;
  }
}
