// The references on ZooKeeper: node-zookeeper-client alone. It does the least that a lock must do, and guards against nothing.
import { once } from "node:events";
import zookeeper, { type Client } from "node-zookeeper-client";
import type { Member, Peer } from "./peer.js";

declare module "node-zookeeper-client" {
  interface Client {
    exists(path: string, watcher: (event: object) => void, callback: (error: Error | null, stat: object | null) => void): void;
  }
}

const ROOT = "/bare";

/** The textbook's lock: create and list; while others are ahead, watch the nearest and list again; delete. */
export const bare: Peer = {
  name: "bare",
  store: "zookeeper",
  open: (address) =>
    openMember(address, async (client, lock, onWaiting) => {
      const path = await create(client, lock);
      const name = path.slice(path.lastIndexOf("/") + 1);
      for (let first = true; ; first = false) {
        const queue = (await call<string[]>((callback) => client.getChildren(`${ROOT}/${lock}`, callback))).sort();
        const ahead = queue[queue.indexOf(name) - 1];
        if (ahead === undefined) return () => remove(client, path);
        await departure(client, `${ROOT}/${lock}/${ahead}`, first ? onWaiting : undefined);
      }
    }),
};

/** No lock at all: two writes one after the other, the least that taking and releasing an ephemeral one can cost. */
export const twoWrites: Peer = {
  name: "two-writes",
  store: "zookeeper",
  open: (address) =>
    openMember(address, async (client, lock) => {
      const path = await create(client, lock);
      return () => remove(client, path);
    }),
};

/** No lock at all: three writes one after the other, the least that a durable one can cost. */
export const threeWrites: Peer = {
  name: "three-writes",
  store: "zookeeper",
  open: (address) =>
    openMember(address, async (client, lock) => {
      const path = await create(client, lock);
      await call((callback) => client.setData(path, Buffer.from("settled"), callback));
      return () => remove(client, path);
    }),
};

type Acquire = (client: Client, lock: string, onWaiting?: () => void) => Promise<() => Promise<void>>;

async function openMember(address: string, acquire: Acquire): Promise<Member> {
  const client = zookeeper.createClient(address, { sessionTimeout: 30_000, spinDelay: 50 });
  const connected = once(client, "connected");
  client.connect();
  await connected;
  const known = new Set<string>();
  return {
    acquire: async (lock, onWaiting) => {
      if (!known.has(lock)) await call((callback) => client.mkdirp(`${ROOT}/${lock}`, callback));
      known.add(lock);
      return acquire(client, lock, onWaiting);
    },
    close: async () => {
      const closed = once(client, "disconnected");
      client.close();
      await closed;
    },
  };
}

function create(client: Client, lock: string): Promise<string> {
  const data = Buffer.from("bare");
  return call((callback) => client.create(`${ROOT}/${lock}/claim-`, data, zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL, callback));
}

function remove(client: Client, path: string): Promise<void> {
  return call((callback) => client.remove(path, callback));
}

/** Resolves when the node is gone; at once if it is not there. */
function departure(client: Client, path: string, onWaiting: (() => void) | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    client.exists(
      path,
      () => resolve(),
      (error, stat) => {
        if (error !== null) reject(error);
        else if (stat === null || stat === undefined) resolve();
        else onWaiting?.();
      },
    );
  });
}

function call<T>(ask: (callback: (error: Error | null, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => ask((error, result) => (error ? reject(error) : resolve(result))));
}
