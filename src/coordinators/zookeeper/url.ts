// Coordinator URLs of the form zookeeper://[user:password@]host[:port][,host[:port]…][/root]. It imports no client.
import { HoldlineError } from "../../locks/errors.js";

export interface ZooKeeperAddress {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** The znode under which everything is kept, without a slash at its end. */
  readonly root: string;
  /** `user:password`, decoded. */
  readonly credentials: string | null;
}

/** The root where the URL names none. */
export const DEFAULT_ROOT = "/holdline";
const DEFAULT_PORT = 2181;
const FORM = "zookeeper://[user:password@]host:2181[,host:2181…][/root]";

/**
 * Reads a ZooKeeper URL.
 * @throws HoldlineError `configuration` that says what is wrong and never quotes the credentials
 */
export function parseZooKeeperUrl(url: string): ZooKeeperAddress {
  const parts = /^zookeeper:\/\/(?:([^@/]*)@)?([^/?#@]*)(\/[^?#]*)?$/.exec(url);
  if (parts === null) throw wrong("is not of the right form");
  const [, credentials, hosts = "", path = ""] = parts;
  const servers = hosts.split(",").map(parseServer);
  const root = path.replace(/\/+$/, "") || DEFAULT_ROOT;
  if (root.slice(1).split("/").some((segment) => segment === "" || segment === "." || segment === "..")) {
    throw wrong('has an empty segment, "." or ".." in its path');
  }
  if (credentials === undefined) return { servers, root, credentials: null };
  if (!/^[^:]+:.+$/.test(credentials)) throw wrong('has credentials that are not "user:password"');
  try {
    return { servers, root, credentials: decodeURIComponent(credentials) };
  } catch {
    throw wrong("has credentials with a broken percent-encoding");
  }
}

function parseServer(text: string): { host: string; port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d+))?$/.exec(text);
  if (parts === null) throw wrong(text === "" ? "names no server" : `has a server that is not host:port: ${JSON.stringify(text)}`);
  const port = parts[3] === undefined ? DEFAULT_PORT : Number(parts[3]);
  if (port < 1 || port > 65_535) throw wrong(`has a port that is not from 1 to 65535: ${port}`);
  return { host: (parts[1] ?? parts[2]) as string, port };
}

function wrong(what: string): HoldlineError {
  return new HoldlineError("configuration", `the ZooKeeper URL ${what}`, { hint: `it looks like ${FORM}` });
}
