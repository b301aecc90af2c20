// Parses URLs of the form zookeeper://[user:password@]host[:port][,host[:port]…][/root]. ../urls.ts has checked them before.

export interface ZooKeeperAddress {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** The znode under which everything is kept, without a slash at its end. */
  readonly root: string;
  /** `user:password`, decoded. */
  readonly credentials: string | null;
}

// For a URL without a root, and without a port.
const DEFAULT_ROOT = "/holdline";
const DEFAULT_PORT = 2181;

/** @param url a URL that ../urls.ts has found valid */
export function parseZooKeeperUrl(url: string): ZooKeeperAddress {
  const [, credentials, hosts = "", path = ""] = /^zookeeper:\/\/(?:([^@/]*)@)?([^/]*)(\/.*)?$/.exec(url) ?? [];
  return {
    servers: hosts.split(",").map((server) => {
      const [, address, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(server) ?? [];
      return { host: address ?? name ?? "", port: port === undefined ? DEFAULT_PORT : Number(port) };
    }),
    root: path.replace(/\/+$/, "") || DEFAULT_ROOT,
    credentials: credentials === undefined ? null : decodeURIComponent(credentials),
  };
}

/** The ensemble's name, without secrets. All roots of an ensemble share its fencing tokens, so the root is not part of it. */
export function storeNameOf({ servers }: ZooKeeperAddress): string {
  const named = servers.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
  return `zookeeper://${named.sort().join(",")}`;
}
