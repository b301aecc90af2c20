// One connection to one server: made within a time, with settings of its own that no configuration of the server changes, and asked one
// text of statements after another. A failure of the connection is a lost reply; a failure of the server is a `ServerError`, after which
// nothing is left of the text's transaction. link.ts says which server, and when to make another one.
import { connect as connectSocket } from "node:net";
import type { Connection, ConnectionOptions, QueryError } from "mysql2";
import { HoldlineError, messageOf } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { passwordFrom, secureOptions, tlsTroubleOf } from "../../secure-connection.js";
import { addressOf, type ServerName } from "../../store-url.js";
import { errorOf, ServerError } from "./errors.js";
import { numberIn, ROLL_BACK, type Row } from "./sql.js";
import { DEFAULT_PORT, type MysqlAddress } from "./url.js";

/** What a server says of itself. */
export interface ServerFacts {
  /** Such as `10.11.6-MariaDB-0+deb12u1`. */
  readonly version: string;
  /** It takes no writes: a replica, or a server before or after its time as primary. */
  readonly isReadOnly: boolean;
  /** The longest text of statements, in bytes. */
  readonly maxPacket: number;
  /** Whether a confirmed commit is on its disk, in every log that it would be recovered from. */
  readonly isDurable: boolean;
}

// A transaction runs in the server from its beginning to its end, and takes milliseconds: whoever waits longer than that for a lock waits
// for somebody else's. Renewals of sessions have to get through meanwhile.
const LOCK_WAIT_S = 2;

// A client that reads nothing for so long loses its connection, and with it what the server keeps for it.
const UNREAD_S = 10;

// For how long a server has time to hang up, once it was told good-bye.
const GOOD_BYE_MS = 500;

/**
 * Without these a server's configuration, or its `init_connect`, could cut values off, hide rows, or see less than has been committed.
 * READ COMMITTED, since the commits' own row already puts them in order: no gaps are locked then, and no snapshot can be out of date.
 * Comments with an M are for MariaDB alone. The last is about Galera: reads wait until what was committed elsewhere is there.
 */
const SETTINGS = [
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1, completion_type = 0,",
  `sql_select_limit = 18446744073709551615, sql_safe_updates = 0, sql_big_selects = 1, innodb_lock_wait_timeout = ${LOCK_WAIT_S},`,
  `net_write_timeout = ${UNREAD_S} /*M! , max_statement_time = 0, wsrep_sync_wait = 1 */;`,
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;",
  "SELECT @@version, @@read_only, @@innodb_read_only, @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog",
].join(" ");

/**
 * Connects to a server.
 * @throws ReplyLostError when it is not reached in time
 * @throws HoldlineError when it refuses for what no repetition mends: the user, the certificate, the database
 */
export async function connectTo(address: MysqlAddress, server: ServerName, timeoutMs: number): Promise<Client> {
  // Bundled or not, only the default is the same.
  const { createConnection } = (await import("mysql2")).default;
  const name = addressOf(server, DEFAULT_PORT);
  const connection = createConnection(connectionOptions(address, server));
  try {
    await handshake(connection, timeoutMs);
  } catch (error) {
    connection.destroy();
    throw refusalOf(error, name, address);
  }
  return openClient(connection, name);
}

async function openClient(connection: Connection, name: string): Promise<Client> {
  const client = new Client(connection, name);
  try {
    const [[row = []] = []] = await client.query(SETTINGS);
    const [version, readOnly, innodbReadOnly, maxPacket, flush, hasBinlog, syncBinlog] = row;
    client.facts = {
      version: String(version),
      isReadOnly: isOn(readOnly) || isOn(innodbReadOnly),
      maxPacket: Number(maxPacket),
      isDurable: Number(flush) === 1 && (!isOn(hasBinlog) || Number(syncBinlog) === 1),
    };
    return client;
  } catch (error) {
    client.destroy("it was not set up");
    throw error instanceof ServerError ? errorOf(error, name) : error;
  }
}

function isOn(value: unknown): boolean {
  return !["0", "OFF"].includes(String(value));
}

function connectionOptions(address: MysqlAddress, { host, port }: ServerName): ConnectionOptions {
  const { user, database, passwordFile, security } = address;
  const password = passwordFile === null ? address.password : passwordFrom(passwordFile);
  return {
    host,
    port: port ?? DEFAULT_PORT,
    user,
    database,
    ...(password === null ? {} : { password }),
    multipleStatements: true,
    rowsAsArray: true,
    charset: "UTF8MB4_BIN",
    // No server may ask for files of this machine, and none has to tell of its session's state.
    flags: ["-LOCAL_FILES", "-SESSION_TRACK"],
    connectAttributes: { program_name: "holdline" },
    stream: () => openSocket(host, port ?? DEFAULT_PORT),
    ...(security === null
      ? { authPlugins: { caching_sha2_password: refuseWithoutTls, sha256_password: refuseWithoutTls } }
      : // The server's name is checked, which this client does not do by itself.
        { ssl: { ...secureOptions(security, host), verifyIdentity: true } as NonNullable<ConnectionOptions["ssl"]> }),
  };
}

function openSocket(host: string, port: number): ReturnType<typeof connectSocket> {
  const socket = connectSocket(port, host);
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  // Where TLS begins on a socket, node takes the name to check from here, and sets it for names but not for addresses.
  return Object.assign(socket, { _host: host });
}

/** Without TLS the password would be encrypted with whatever key the other side shows. */
const refuseWithoutTls = () => () => Promise.reject(new Error("the user's password is by SHA-256"));

function handshake(connection: Connection, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ReplyLostError(`no answer within ${timeoutMs} ms`)), timeoutMs);
    // Errors that come later are seen by the client, once there is one.
    connection.on("error", reject);
    connection.once("connect", () => {
      clearTimeout(timer);
      connection.off("error", reject);
      resolve();
    });
    connection.once("error", () => clearTimeout(timer));
  });
}

function refusalOf(error: unknown, server: string, { user, database, security }: MysqlAddress): Error {
  if (error instanceof HoldlineError) return error;
  const { errno = 0, code = "" } = error as QueryError;
  const trouble = tlsTroubleOf(error, security ?? undefined);
  if (trouble !== null)
    return new HoldlineError(trouble.code, `the server ${server} ${trouble.message}`, { hint: trouble.hint, cause: error });
  if (code === "HANDSHAKE_NO_SSL_SUPPORT")
    return new HoldlineError("configuration", `the server ${server} has no TLS`, {
      hint: "give it a certificate (ssl_cert, ssl_key), or leave TLS out of the URL",
    });
  if (code === "AUTH_SWITCH_PLUGIN_ERROR")
    return new HoldlineError("configuration", `the server ${server} asks for a password by SHA-256, which is sent over TLS only`, {
      hint: "add ?tls=on, or ?ca=FILE, to the URL",
    });
  if ([1044, 1045, 1698].includes(errno))
    return new HoldlineError("not-allowed", `the server ${server} does not let the user ${user} into the database ${database}`, {
      hint: "look at the user's name, its password, the host that it may come from, and whether it has to use TLS or to show a certificate",
    });
  return errno > 0 && code.startsWith("ER_")
    ? errorOf(new ServerError(errno, messageOf(error)), server)
    : new ReplyLostError(`${server}: ${messageOf(error)}`);
}

//   open → destroyed, by the server, the network or this side
export class Client {
  readonly #connection: Connection;
  /** `host:port`. */
  readonly server: string;
  facts: ServerFacts = { version: "", isReadOnly: false, maxPacket: Number.POSITIVE_INFINITY, isDurable: false };
  /** Why it is destroyed. */
  #end: ReplyLostError | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #onEnd = new Set<(error: ReplyLostError) => void>();

  constructor(connection: Connection, server: string) {
    this.#connection = connection;
    this.server = server;
    connection.on("error", (error) => this.destroy(messageOf(error)));
    connection.on("end", () => this.destroy("the server has closed the connection"));
  }

  get isDestroyed(): boolean {
    return this.#end !== null;
  }

  /**
   * Sends a text of one or several statements, once those before it have been answered.
   * @returns the rows of each statement that has a result
   * @throws ServerError after which the transaction that the text had begun is rolled back
   * @throws ReplyLostError when the connection ends before the reply, or the text has failed behind its COMMIT
   */
  query(text: string): Promise<readonly (readonly Row[])[]> {
    const answer = this.#tail.then(() => this.#send(text));
    this.#tail = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the connection at once: whoever waits for a reply is told that it is lost. */
  destroy(why: string): void {
    if (this.#end !== null) return;
    this.#end = new ReplyLostError(`${this.server}: ${why}`);
    this.#connection.destroy();
    for (const tell of this.#onEnd) tell(this.#end);
    this.#onEnd.clear();
  }

  /** Ends the connection, with a good-bye where nothing is under way, so that the server does not note it as aborted. */
  leave(): void {
    if (this.#onEnd.size > 0) this.destroy("the connection was closed");
    if (this.#end !== null) return;
    this.#end = new ReplyLostError(`${this.server}: the connection was closed`);
    this.#connection.end();
    // A server that is frozen does not hang up, and would keep this process.
    setTimeout(() => this.#connection.destroy(), GOOD_BYE_MS).unref();
  }

  async #send(text: string): Promise<readonly (readonly Row[])[]> {
    try {
      return await this.#sendAlone(text);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (await this.#rollBack()) throw new ReplyLostError(`${this.server}: it has committed, and then said: ${error.message}`);
      throw error;
    }
  }

  /** What comes next would run in the transaction that has stopped in the middle, or even commit it. @returns whether it was committed before */
  async #rollBack(): Promise<boolean> {
    try {
      const [[[committed] = []] = []] = await this.#sendAlone(ROLL_BACK);
      return numberIn(committed) === 1;
    } catch (error) {
      this.destroy("it could not be rolled back");
      throw error instanceof ServerError ? new ReplyLostError(`${this.server}: ${error.message}`) : error;
    }
  }

  #sendAlone(text: string): Promise<readonly (readonly Row[])[]> {
    return new Promise((resolve, reject) => {
      if (this.#end !== null) {
        reject(this.#end);
        return;
      }
      this.#onEnd.add(reject);
      this.#connection.query(text, (error, results, fields) => {
        this.#onEnd.delete(reject);
        if (error === null) resolve(rowsIn(results, fields));
        else if (error.fatal !== true && (error.errno ?? 0) > 0) reject(new ServerError(error.errno as number, error.message));
        else {
          this.destroy(messageOf(error));
          reject(new ReplyLostError(`${this.server}: ${messageOf(error)}`));
        }
      });
    });
  }
}

/** The rows of one statement stand for themselves, those of several in a list, between what there is to say of statements without rows. */
function rowsIn(results: unknown, fields: unknown): readonly (readonly Row[])[] {
  const isOne = Array.isArray(fields) && fields.length > 0 && fields[0] !== undefined && !Array.isArray(fields[0]);
  const all = isOne || !Array.isArray(results) ? [results] : (results as readonly unknown[]);
  return all.filter((result) => Array.isArray(result)) as readonly (readonly Row[])[];
}
