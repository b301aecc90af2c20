// The fault proxy itself, between the plain client and the run's ZooKeeper: a fault that does not happen proves nothing.
import { once } from "node:events";
import { connect } from "node:net";
import zookeeper, { type Client } from "node-zookeeper-client";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { type FaultProxy, mentions, openFaultProxy } from "./fault-proxy.js";
import { freshRoot } from "./roots.js";
import { isPending, until, within } from "./wait.js";
import { expireSession, Opcode } from "./zookeeper-frames.js";

let proxy: FaultProxy;
let client: Client;
let states: string[];

beforeEach(async () => {
  proxy = await openFaultProxy(inject("zookeeper"));
  client = zookeeper.createClient(proxy.address, { sessionTimeout: 4_000, spinDelay: 20 });
  states = [];
  client.on("state", (state: { name: string }) => states.push(state.name));
  client.connect();
  await until(() => states.includes("SYNC_CONNECTED"), "a connection");
});

afterEach(async () => {
  proxy.thaw();
  // Closing while it connects makes this client take the handshake for a reply and throw where nobody can catch it.
  await until(() => ["SYNC_CONNECTED", "EXPIRED"].includes(states.at(-1) ?? "") || states.includes("EXPIRED"), "a quiet client");
  if (!states.includes("EXPIRED")) client.close();
  await proxy.close();
});

function create(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.create(path, Buffer.from(""), (error: Error | null, made: string) => (error ? reject(error) : resolve(made)));
  });
}

function exists(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    client.exists(path, (error: Error | null, stat: unknown) => (error ? reject(error) : resolve(Boolean(stat))));
  });
}

describe("the fault proxy", () => {
  test("passes everything on, and knows the session", async () => {
    const root = freshRoot();
    const seen = proxy.seen({ operation: Opcode.create, where: mentions(root) });
    expect(await create(root)).toBe(root);
    expect((await seen).frame.includes(root)).toBe(true);
    expect(proxy.count(Opcode.create)).toBe(1);
    expect(proxy.sessions).toHaveLength(1);
    expect(proxy.sessions[0]?.timeoutMs).toBeGreaterThan(0);
    expect(Buffer.from(client.getSessionId()).readBigInt64BE(0)).toBe(proxy.sessions[0]?.id);
  });

  test("drops a reply: the effect has happened, and the client does not know", async () => {
    const root = freshRoot();
    const dropped = proxy.dropReply(Opcode.create);
    await expect(create(root)).rejects.toThrow(/CONNECTION_LOSS/);
    await dropped;
    await until(() => states.at(-1) === "SYNC_CONNECTED", "the client to be back");
    expect(await exists(root)).toBe(true);
    expect(proxy.sessions).toHaveLength(1);
  });

  test("drops a request: the effect has not happened", async () => {
    const root = freshRoot();
    const dropped = proxy.dropRequest(Opcode.create);
    await expect(create(root)).rejects.toThrow(/CONNECTION_LOSS/);
    await dropped;
    await until(() => states.at(-1) === "SYNC_CONNECTED", "the client to be back");
    expect(await exists(root)).toBe(false);
  });

  test("holds a request until it is released, and what follows it", async () => {
    const root = freshRoot();
    const held = proxy.holdRequest({ operation: Opcode.create, where: mentions(root) });
    const created = create(root);
    const looked = exists(root);
    await held.caught;
    expect(await isPending(created)).toBe(true);
    held.release();
    expect(await created).toBe(root);
    expect(await looked).toBe(true);
    expect(proxy.count(Opcode.create)).toBe(1);
  });

  test("holds a reply: others see the effect meanwhile", async () => {
    const root = freshRoot();
    const held = proxy.holdReply(Opcode.create);
    const created = create(root);
    await held.caught;
    expect(await isPending(created)).toBe(true);
    const other = zookeeper.createClient(`${inject("zookeeper").host}:${inject("zookeeper").port}`);
    other.connect();
    const stat = await new Promise((resolve) => other.exists(root, (_error: unknown, found: unknown) => resolve(found)));
    other.close();
    expect(stat).toBeTruthy();
    held.release();
    expect(await created).toBe(root);
  });

  test("a hold that is released before its request comes holds nothing", async () => {
    proxy.holdRequest(Opcode.create).release();
    expect(proxy.armed).toEqual([]);
    await create(freshRoot());
  });

  test("freezes and thaws without losing a byte", async () => {
    const root = freshRoot();
    proxy.freeze();
    const created = create(root);
    expect(await isPending(created)).toBe(true);
    proxy.thaw();
    expect(await created).toBe(root);
  });

  test("cuts all connections, and the client comes back to its session", async () => {
    await proxy.cut();
    await until(() => states.at(-1) === "SYNC_CONNECTED" && states.includes("DISCONNECTED"), "the client to be back");
    expect(proxy.sessions).toHaveLength(1);
  });

  test("refuses connections, accepts them without an answer, and serves them again", async () => {
    await proxy.welcome("refuse");
    const refused = connect(proxy.port, proxy.host);
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNREFUSED");

    await proxy.welcome("ignore");
    const ignored = connect(proxy.port, proxy.host);
    await once(ignored, "connect");
    await proxy.cut();
    await within(once(ignored.resume(), "close"), "the ignored connection to be cut");

    await proxy.welcome("serve");
    await until(() => states.at(-1) === "SYNC_CONNECTED", "the client to be back");
  });

  test("a session is expired from outside", async () => {
    await expireSession(inject("zookeeper"), proxy.sessions[0] as (typeof proxy.sessions)[0]);
    await until(() => states.includes("EXPIRED"), "the client to learn of it");
  });
});
