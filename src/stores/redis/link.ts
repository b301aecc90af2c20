// One connection to a primary, from its handshake to its end. What is sent on it is sent once: a connection that ends takes all that
// was not answered with it, and nobody sends it again but the engine.
import type { RedisClientOptions } from "@redis/client";
import { HoldlineError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { secureOptions } from "../../secure-connection.js";
import { FACTS_SECTIONS, factsIn, type ServerFacts } from "./facts.js";
import type { Script } from "./lua.js";
import { nameOf, type RedisUrl, type ServerAddress } from "./url.js";
import { brokenOff, codeOf, refusal } from "./words.js";

/** Loaded when the first connection is made. A bundle knows the names of this older kind of module only through its default. */
const loadClient = async () => (await import("@redis/client")).default;

type Module = Awaited<ReturnType<typeof loadClient>>;
type Client = ReturnType<Module["createClient"]>;

/** How a connection is opened. */
export interface LinkOptions {
  /** After so long without an answer it is given up. */
  readonly patienceMs: number;
  /** Whether to say who we are. */
  readonly isNamed: boolean;
  /** Gives it up when it is aborted. */
  readonly signal: AbortSignal;
}

//   connecting → open → gone
export class Link {
  readonly server: string;
  readonly #module: Module;
  readonly #client: Client;
  #end: Error | null = null;
  #movedTo: ServerAddress | null = null;
  readonly #onGone = new Set<(why: Error) => void>();

  private constructor(module: Module, client: Client, server: string) {
    this.#module = module;
    this.#client = client;
    this.server = server;
    client.on("error", (error: Error) => this.#ended(error));
  }

  /**
   * @param database which one to use
   * @throws ReplyLostError and HoldlineError, as all of a link's methods
   */
  static async open(address: ServerAddress, url: RedisUrl, database: number, options: LinkOptions): Promise<Link> {
    const { patienceMs, signal } = options;
    const module = await loadClient();
    const client = module.createClient(optionsFor(address, url, database, options));
    const link = new Link(module, client, nameOf(address));
    // One that hangs in its handshake keeps nobody from asking the next server.
    // A server without TLS waits for the end of what it takes for a command.
    const silent = `no answer within ${patienceMs} ms${url.isSecure ? "; does it speak TLS at this port?" : ""}`;
    const timer = setTimeout(() => link.drop(silent), patienceMs);
    const giveUp = (): void => link.drop("the connection was given up");
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const gone = new Promise<never>((_, reject) => link.onGone((why) => reject(why)));
    gone.catch(() => undefined);
    const connected = client.connect().then(
      () => {
        // Dropped while it was on its way: the client notices only now.
        if (link.#end !== null) client.destroy();
      },
      (error: Error) => link.#ended(error),
    );
    try {
      await Promise.race([connected, gone]);
    } catch (error) {
      throw link.#told(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
    return link;
  }

  get isGone(): boolean {
    return this.#end !== null;
  }

  /** Where this root's keys are by now, when the server has said that they are another's: servers of a cluster do. */
  get movedTo(): ServerAddress | null {
    return this.#movedTo;
  }

  /** Has `run` called when the connection has ended; at once where it has. */
  onGone(run: (why: Error) => void): void {
    if (this.#end !== null) run(this.#end);
    else this.#onGone.add(run);
  }

  /** Sends a command, once. */
  async send(words: readonly string[]): Promise<unknown> {
    try {
      return await this.#client.sendCommand([...words]);
    } catch (error) {
      throw this.#told(error);
    }
  }

  /** Runs a script in one round trip, or in two where the server does not know it yet, and so has done nothing. */
  async run(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    try {
      return await this.#client.sendCommand(["EVALSHA", script.sha, "1", key, ...args]);
    } catch (error) {
      if (!this.#isReply(error) || codeOf(error) !== "NOSCRIPT") throw this.#told(error);
      return this.send(["EVAL", script.text, "1", key, ...args]);
    }
  }

  async facts(): Promise<ServerFacts> {
    const [info, syncs] = await Promise.all([this.send(["INFO", ...FACTS_SECTIONS]), this.#syncs()]);
    return factsIn(String(info), syncs);
  }

  async subscribe(channel: string, onMessage: (message: string) => void): Promise<void> {
    try {
      await this.#client.subscribe(channel, onMessage);
    } catch (error) {
      throw this.#told(error);
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    try {
      await this.#client.unsubscribe(channel);
    } catch (error) {
      throw this.#told(error);
    }
  }

  /** Ends it at once. What was sent may have happened. */
  drop(why: string): void {
    this.#ended(new Error(why));
  }

  #ended(error: Error): void {
    if (this.#end !== null) return;
    this.#end = error;
    this.#client.destroy();
    for (const run of this.#onGone) run(error);
  }

  /** Not everybody may ask for a server's configuration. */
  async #syncs(): Promise<string | null> {
    try {
      // A map from names to values, in this version of the protocol.
      const reply: unknown = await this.#client.sendCommand(["CONFIG", "GET", "appendfsync"]);
      return (reply as Readonly<Record<string, string>>)["appendfsync"] ?? null;
    } catch (error) {
      if (this.#isReply(error)) return null;
      throw this.#told(error);
    }
  }

  #isReply(error: unknown): error is Error {
    return error instanceof this.#module.ErrorReply;
  }

  #told(error: unknown): Error {
    if (error instanceof HoldlineError || error instanceof ReplyLostError) return error;
    const told = this.#isReply(error) ? refusal(error, this.server) : brokenOff(this.#end ?? error, this.server);
    // A server that is no primary any more, or not this root's, is of no use.
    if (this.#isReply(error) && USELESS.has(codeOf(error))) {
      this.#movedTo = movedIn(error.message);
      this.drop(told.message);
    }
    return told;
  }
}

const USELESS = new Set(["READONLY", "MASTERDOWN", "MOVED", "ASK", "CLUSTERDOWN"]);

/** `MOVED 3999 127.0.0.1:6381`; without a host where the server does not know its own name. */
function movedIn(message: string): ServerAddress | null {
  const [, host, port] = /^MOVED \d+ (.+):(\d+)$/.exec(message) ?? [];
  return host === undefined ? null : { host, port: Number(port) };
}

function optionsFor(
  address: ServerAddress,
  url: RedisUrl,
  database: number,
  { patienceMs, isNamed }: LinkOptions,
): RedisClientOptions {
  const { host, port } = address;
  const socket = {
    host,
    port,
    connectTimeout: patienceMs,
    // The client would send again what it has not had an answer to: whoever needs another connection makes one.
    reconnectStrategy: false as const,
  };
  const password = isNamed ? url.password() : null;
  return {
    socket: url.isSecure ? { ...socket, ...secureOptions(url.files, host), tls: true } : socket,
    ...(isNamed && url.user !== null ? { username: url.user } : {}),
    ...(password === null ? {} : { password }),
    database,
    RESP: 3,
    disableOfflineQueue: true,
    // One command less that a user with few rights would be refused.
    disableClientInfo: true,
    maintNotifications: "disabled",
  };
}
