// What the URL of a Redis or Valkey store says: which servers or Sentinels to ask, how, and which keys there are the store's.
import { passwordFrom, type SecurityFiles } from "../../secure-connection.js";
import { addressOf, parseStoreUrl, type ServerName } from "../../store-url.js";

/** A server with its port. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisUrl {
  /** Servers of which one is the primary, or Sentinels that know it. */
  readonly servers: readonly ServerAddress[];
  /** By which name the Sentinels know the primary; `null` where the servers are asked themselves. */
  readonly sentinelName: string | null;
  readonly isSecure: boolean;
  readonly files: SecurityFiles;
  readonly user: string | null;
  readonly database: number;
  /** All keys begin with it in braces, so that a cluster keeps them together. */
  readonly prefix: string;
  /** Whether claims may become durable although the server may lose what it has acknowledged. */
  readonly mayLose: boolean;
  /** The store's name, without secrets. */
  readonly name: string;
  /**
   * Reads the password's file anew, where there is one.
   * @throws HoldlineError `configuration` when it cannot be read
   */
  password(): string | null;
}

export const DEFAULT_PREFIX = "holdline";
const SERVER_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** @param url one that src/coordinators/schemes/redis.ts has found right */
export function parseRedisUrl(url: string): RedisUrl {
  const { scheme, user, password, servers, path, params } = parseStoreUrl(url);
  const isSentinel = scheme.endsWith("+sentinel");
  const defaultPort = isSentinel ? SENTINEL_PORT : SERVER_PORT;
  const place = decodeURIComponent(path.slice(1));
  const database = Number(isSentinel ? (params.get("db") ?? 0) : place);
  const prefix = params.get("prefix") ?? DEFAULT_PREFIX;
  const passwordFile = params.get("password_file");
  return {
    servers: servers.map((server) => addressIn(server, defaultPort)),
    sentinelName: isSentinel ? place : null,
    isSecure: scheme.startsWith("rediss"),
    files: { ca: params.get("ca"), cert: params.get("cert"), key: params.get("key") },
    user: user === "" ? null : user,
    database,
    prefix,
    mayLose: params.get("durability") === "may-lose",
    name: `${scheme}://${servers.map((server) => addressOf(server, defaultPort)).join(",")}/${isSentinel ? `${place}/` : ""}${database}/${prefix}`,
    password: () => (passwordFile === undefined ? password : passwordFrom(passwordFile)),
  };
}

/** `host:port`, an IPv6 address in brackets. */
export function nameOf({ host, port }: ServerAddress): string {
  return addressOf({ host, port }, port);
}

function addressIn({ host, port }: ServerName, defaultPort: number): ServerAddress {
  return { host, port: port ?? defaultPort };
}
