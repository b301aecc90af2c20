// Reads URLs of the forms zookeeper://[user:password@]host[:port][,host[:port]…][/root][?sasl=digest-md5][&password_file=FILE] and
// zookeeper+tls://…[?ca=FILE][&cert=FILE&key=FILE]. ../schemes/zookeeper.ts has checked them before.
import { addressOf, parseStoreUrl } from "../../store-url.js";
import type { Access, Server } from "./wire/access.js";

export interface ZooKeeperAddress extends Access {
  readonly servers: readonly Server[];
  /** The znode under which everything is kept, without a slash at its end. */
  readonly root: string;
}

// For a URL without a root, and without a port: ZooKeeper's documentation has these ports in its examples.
const DEFAULT_ROOT = "/holdline";
const DEFAULT_PORT = 2181;
const DEFAULT_TLS_PORT = 2281;

const TLS_SCHEME = "zookeeper+tls";

/** @param url a URL that ../urls.ts has found valid */
export function parseZooKeeperUrl(url: string): ZooKeeperAddress {
  const { scheme, user, password, servers, path, params } = parseStoreUrl(url);
  const isTls = scheme === TLS_SCHEME;
  const file = params.get("password_file");
  return {
    servers: servers.map(({ host, port }) => ({ host, port: port ?? (isTls ? DEFAULT_TLS_PORT : DEFAULT_PORT) })),
    root: path.replace(/\/+$/, "") || DEFAULT_ROOT,
    tls: isTls ? { ca: params.get("ca"), cert: params.get("cert"), key: params.get("key") } : null,
    login:
      user === null
        ? null
        : { mechanism: params.has("sasl") ? "sasl" : "digest", user, password: file === undefined ? (password ?? "") : { file } },
  };
}

/** The ensemble's name, without secrets. All roots of an ensemble share its fencing tokens, so the root is not part of it. */
export function storeNameOf({ servers, tls }: ZooKeeperAddress): string {
  const named = servers.map((server) => addressOf(server, DEFAULT_PORT));
  return `${tls === null ? "zookeeper" : TLS_SCHEME}://${named.sort().join(",")}`;
}
