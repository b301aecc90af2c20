// A plain ZooKeeper client for tests: to look at what Holdline has stored and to put there what others might. It knows
// nothing of Holdline.
import { once } from "node:events";
import zookeeper, { type Acl, type Client } from "node-zookeeper-client";
import { noteClosed, noteOpen } from "./leaks.js";
import { within } from "./wait.js";
import type { ServerAddress } from "./zookeeper-server.js";

const MODES = {
  persistent: zookeeper.CreateMode.PERSISTENT,
  ephemeral: zookeeper.CreateMode.EPHEMERAL,
  "persistent-sequential": zookeeper.CreateMode.PERSISTENT_SEQUENTIAL,
  "ephemeral-sequential": zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL,
} as const;

export interface PlainClient {
  /** Creates a node, with its parents; gives its path. */
  create(path: string, data?: string, mode?: keyof typeof MODES): Promise<string>;
  read(path: string): Promise<string>;
  write(path: string, data: string | Buffer): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Sorted; empty where there is no such node. */
  children(path: string): Promise<readonly string[]>;
  remove(path: string): Promise<void>;
  /** Who may do what with a node: `digest ops:… 31`, in the server's own words. */
  acl(path: string): Promise<readonly string[]>;
  /** Leaves everybody only these permissions on a node, as ZooKeeper adds them up: 1 read, 2 write, 4 create, 8 delete, 16 admin. */
  restrict(path: string, permissions: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects to a server; resolves when there is a session.
 * @param credentials `user:password` for the digest scheme
 */
export async function openPlainClient(server: ServerAddress, credentials: string | null = null): Promise<PlainClient> {
  const client = zookeeper.createClient(`${server.host}:${server.port}`, { sessionTimeout: 10_000, spinDelay: 50 });
  if (credentials !== null) client.addAuthInfo("digest", Buffer.from(credentials));
  const connected = once(client, "connected");
  client.connect();
  await within(connected, `a plain client's connection to ${server.host}:${server.port}`);
  noteOpen(client, "a plain ZooKeeper client");
  return {
    create: async (path, data = "", mode = "persistent") => {
      const parent = path.slice(0, path.lastIndexOf("/"));
      if (parent !== "") await call<string>((callback) => client.mkdirp(parent, callback));
      return call((callback) => client.create(path, Buffer.from(data), MODES[mode], callback));
    },
    read: async (path) => (await call<Buffer | undefined>((callback) => client.getData(path, callback)))?.toString() ?? "",
    write: async (path, data) =>
      void (await call((callback) => client.setData(path, typeof data === "string" ? Buffer.from(data) : data, callback))),
    exists: async (path) => Boolean(await call<object | null>((callback) => client.exists(path, callback))),
    children: async (path) => {
      const stat = await call<object | null>((callback) => client.exists(path, callback));
      return stat ? (await call<string[]>((callback) => client.getChildren(path, callback))).sort() : [];
    },
    remove: async (path) => void (await call((callback) => client.remove(path, callback))),
    acl: async (path) =>
      (await call<readonly Acl[]>((callback) => client.getACL(path, callback))).map(
        ({ id, permission }) => `${id.scheme} ${id.id} ${permission}`,
      ),
    restrict: async (path, permission) => {
      const acl = [new zookeeper.ACL(permission, new zookeeper.Id("world", "anyone"))];
      await call<object>((callback) => client.setACL(path, acl, -1, callback));
    },
    close: () => closeClient(client),
  };
}

async function closeClient(client: Client): Promise<void> {
  const closed = once(client, "disconnected");
  client.close();
  await within(closed, "a plain client to close");
  noteClosed(client);
}

function call<T>(ask: (callback: (error: Error | null, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => ask((error, result) => (error === null ? resolve(result) : reject(error))));
}
