// What a URL of the form zookeeper://[user:password@]host[:port][,host[:port]…][/root] means. Whether one is right is
// said in ../urls.ts, before anything is opened.

export interface ZooKeeperAddress {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** The znode under which everything is kept, without a slash at its end. */
  readonly root: string;
  /** `user:password`, decoded. */
  readonly credentials: string | null;
}

// Where the URL names no root, and no port.
const DEFAULT_ROOT = "/holdline";
const DEFAULT_PORT = 2181;

/** Reads a ZooKeeper URL that has been found right. */
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

/** The name of an ensemble, without secrets: fencing tokens are the ensemble's, whatever the root. */
export function storeNameOf({ servers }: ZooKeeperAddress): string {
  const named = servers.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
  return `zookeeper://${named.sort().join(",")}`;
}
