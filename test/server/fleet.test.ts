// Nodes, rollouts and freezes over HTTP: as they are in the stores, and only what a caller may see of them.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { documentOfNode, encodeNode } from "../../src/fleet/node.js";
import { FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import type { Fleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { until } from "../support/wait.js";
import { basic, hashOf } from "./credentials.js";
import { nodeWith, plant, plantFreezes, plantNode } from "./planted.js";
import { startServer } from "./serving.js";
import type { Serving } from "./serving.js";

failOnLeaks();

interface Nodes {
  readonly nodes: readonly { readonly node: string; readonly actions: Readonly<Record<string, object>> }[];
}

const HOUR = 3_600_000;
const WRITE_AND_ADMIN = 2 + 16;

async function nodesOf({ ask }: Serving, query = "", headers = {}): Promise<Nodes["nodes"]> {
  return ((await ask("GET", `/v1/nodes${query}`, undefined, headers)).json as Nodes).nodes;
}

async function freezesOf({ ask }: Serving, headers = {}): Promise<unknown> {
  return ((await ask("GET", "/v1/locks", undefined, headers)).json as { readonly freezes: unknown }).freezes;
}

describe.each(STORES)("on %s", (kind) => {
  test("nodes are told as their documents say at the moment of asking, also those that change and go", async () => {
    const fleet = await openFleet(kind);
    await plantNode(fleet, { node: "web-01", group: "web", actions: { restart: { outcome: "failed", message: "exit code 1" } } });
    const server = await startServer(fleet);
    for (let round = 0; round < 5; round += 1) {
      await plantNode(fleet, { node: "web-02", group: "web", version: `0.2.${round}` });
      expect(await nodesOf(server)).toMatchObject([
        { node: "web-01", group: "web", actions: { restart: { outcome: "failed", message: "exit code 1", pendingSince: null } } },
        { node: "web-02", version: `0.2.${round}` },
      ]);
      await plant(fleet, documentOfNode("web-02"), null);
      expect((await nodesOf(server)).map(({ node }) => node)).toEqual(["web-01"]);
    }
    await plantNode(fleet, { node: "db-01", group: "db" });
    expect((await nodesOf(server, "?group=db")).map(({ node }) => node)).toEqual(["db-01"]);
    expect(await nodesOf(server, "?group=none")).toEqual([]);
  });

  test("what is no document of the node's own is not told", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    await plant(fleet, documentOfNode("web-01"), "no JSON");
    await plant(fleet, documentOfNode("web-02"), encodeNode(nodeWith({ node: "web-03" })));
    expect(await nodesOf(server)).toEqual([]);
    await plantNode(fleet, { node: "web-01" });
    expect((await nodesOf(server)).map(({ node }) => node)).toEqual(["web-01"]);
    await plant(fleet, documentOfNode("web-01"), "no JSON");
    expect(await nodesOf(server)).toEqual([]);
  });

  test("freezes are told with the locks until they are thawed or over; what cannot be read is never no freeze", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    expect(await freezesOf(server)).toEqual([]);
    const kept = { locks: ["db/*"], reason: "sale", by: "ann" };
    const long = Date.now() + HOUR;
    await plantFreezes(fleet, [kept, { group: "web", until: long }]);
    expect(await freezesOf(server)).toMatchObject([
      { locks: ["db/*"], node: null, group: null, reason: "sale", by: "ann", until: null },
      { locks: ["*"], group: "web", until: new Date(long).toISOString() },
    ]);
    const over = Date.now() + 1_500;
    await plantFreezes(fleet, [kept, { group: "web", until: over }]);
    await until(async () => ((await freezesOf(server)) as unknown[]).length === 1, "the freeze's time to be over");
    expect(Date.now()).toBeGreaterThanOrEqual(over - 100);
    await plant(fleet, FREEZES_DOCUMENT, "no JSON");
    expect((await server.ask("GET", "/v1/locks")).json).toEqual({ locks: [], freezes: [], freezesUnreadable: true });
    await plant(fleet, FREEZES_DOCUMENT, null);
    expect((await server.ask("GET", "/v1/locks")).json).toEqual({ locks: [], freezes: [] });
  });
});

test("a rollout is told by documents and claims, of one group, since a time or since the newest wave", async () => {
  const fleet = await openFleet("sqlite");
  const now = Date.now();
  const wishedAt = now - 600_000;
  const done = { outcome: "ran", at: now - 500_000, wishedAt, ranMs: 1_000 };
  await plantNode(fleet, { node: "web-01", group: "web", actions: { restart: done } });
  const gone = { outcome: "failed", message: "exit code 3", at: now - 400_000, wishedAt, ranMs: 500 };
  await plantNode(fleet, { node: "web-02", group: "web", actions: { restart: gone } });
  const outside = { outcome: "outside-window", message: "until 02:00", wishedAt, pendingSince: wishedAt, ranMs: null, at: now };
  await plantNode(fleet, { node: "web-03", group: "web", actions: { restart: outside } });
  await plantNode(fleet, { node: "web-04", group: "web" });
  const server = await startServer(fleet);
  const rollout = async (query = "") => (await server.ask("GET", `/v1/rollouts/restart${query}`)).json;
  expect(await rollout()).toMatchObject({
    ...{ action: "restart", group: "web", nodes: 4, done: 1, failed: 1, pending: 1, notYet: 1, running: 0, waiting: 0 },
    each: [
      { node: "web-01", state: "done" },
      { node: "web-02", state: "failed", message: "exit code 3" },
      { node: "web-03", state: "pending", message: "until 02:00" },
      { node: "web-04", state: "notYet" },
    ],
  });
  expect(await rollout("?since=1%20s")).toMatchObject({ done: 0 });
  const go = fleet.signalFile();
  const agent = fleet.node("web-04", { restart: { shell: fleet.waitingShell(go.path) } }, { settings: { group: "web" } });
  const run = agent.runAction("restart");
  await fleet.untilLine("start web-04");
  expect(await rollout()).toMatchObject({ running: 1, notYet: 0 });
  go.give();
  expect((await run).code).toBe(0);

  expect(await rollout("?group=none")).toMatchObject({ status: 404, detail: 'nothing is known of "restart" in the group "none"' });
  await plantNode(fleet, { node: "db-01", group: "db", actions: { restart: done } });
  expect(await rollout()).toMatchObject({ status: 400, detail: 'several groups have "restart"' });
  expect(await rollout("?group=db")).toMatchObject({ group: "db", nodes: 1, done: 1 });
  expect(await rollout("?since=soon")).toMatchObject({ status: 400 });
  expect((await server.ask("GET", "/v1/rollouts/constructor")).json).toMatchObject({ status: 404 });
});

test("changes of nodes and freezes are told as events", async () => {
  const fleet = await openFleet("sqlite");
  const server = await startServer(fleet);
  const told = await follow(server);
  await plantNode(fleet, { node: "web-01" });
  await until(() => told().includes('event: nodes\ndata: {"nodes":["web-01"]}'), "the node to be told");
  await plantFreezes(fleet, [{ reason: "sale" }]);
  await until(() => /event: freezes\ndata: \{"freezes":\[\{.*"reason":"sale"/.test(told()), "the freeze to be told");
  await plantFreezes(fleet, []);
  await until(() => told().includes('event: freezes\ndata: {"freezes":[]}'), "its end to be told");
});

/** Reads a stream of events. @returns what has come so far */
async function follow({ url }: Serving, headers = {}): Promise<() => string> {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const response = await fetch(`${url}/v1/events`, { headers, signal: ending.signal });
  let text = "";
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>)
      text += decoder.decode(piece, { stream: true });
  };
  read().catch(() => undefined);
  await until(() => text.includes("event: locks"), "the stream to begin");
  return () => text;
}

describe("callers", () => {
  const access = {
    app: { password: hashOf("x"), may: ["read", "clear"], locks: ["app/*"] },
    root: { password: hashOf("x") },
    blind: { password: hashOf("x"), may: ["lock", "clear"] },
  };

  async function limited(): Promise<{ fleet: Fleet; server: Serving }> {
    const fleet = await openFleet("sqlite");
    const actions = { web: { lock: "app/web" }, secret: { lock: "db/secret", outcome: "failed", message: "hush" } };
    await plantNode(fleet, { node: "web-01", actions });
    await plantFreezes(fleet, [
      { locks: ["db/*"], reason: "hush" },
      { locks: ["*"], reason: "for all" },
      { locks: ["db/*", "app/w*"], reason: "for some" },
    ]);
    return { fleet, server: await startServer(fleet, "server", { settings: { access } }) };
  }

  test("learn nothing of locks that they may not read from nodes, rollouts and freezes", async () => {
    const { server, fleet } = await limited();
    const app = basic("app", "x");
    expect(await nodesOf(server, "", app)).toMatchObject([{ node: "web-01", actions: { web: {} } }]);
    expect(await freezesOf(server, app)).toMatchObject([
      { locks: ["*"], reason: "for all" },
      { locks: ["app/w*"], reason: "for some" },
    ]);
    expect((await server.ask("GET", "/v1/rollouts/web", undefined, app)).json).toMatchObject({ done: 1 });
    const told = await follow(server, app);
    await plantFreezes(fleet, [{ locks: ["db/x"], reason: "hush" }]);
    await until(() => told().includes('event: freezes\ndata: {"freezes":[]}'), "the change to be told");
    const answers = await Promise.all(
      ["/v1/nodes", "/v1/locks", "/v1/rollouts/web", "/v1/rollouts/secret"].map((path) => server.ask("GET", path, undefined, app)),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 404]);
    // The name that the caller itself asked for is no news.
    for (const { text } of answers.slice(0, 3)) expect(text).not.toMatch(/secret|hush|db/);
    expect(told()).not.toMatch(/secret|hush|db\//);
    // Who may read everything sees it, and the same node's document is not the other's.
    expect(await nodesOf(server, "", basic("root", "x"))).toMatchObject([{ actions: { web: {}, secret: { message: "hush" } } }]);
    expect(await nodesOf(server, "", app)).toMatchObject([{ actions: { web: {} } }]);
  });

  test("forget a node whose actions they may all clear, and no other", async () => {
    const { server, fleet } = await limited();
    await plantNode(fleet, { node: "web-02", actions: { web: { lock: "app/web" } } });
    const refused = await server.ask("DELETE", "/v1/nodes/web-01", undefined, basic("app", "x"));
    expect(refused.json).toMatchObject({ status: 403, title: "not-allowed" });
    expect(refused.text).not.toMatch(/secret/);
    const forgotten = await server.ask("DELETE", "/v1/nodes/web-02", undefined, basic("app", "x"));
    expect(forgotten.json).toMatchObject({ forgotten: { node: "web-02", actions: { web: { lock: "app/web" } } } });
    expect((await server.ask("DELETE", "/v1/nodes/web-02", undefined, basic("app", "x"))).status).toBe(404);
    expect((await nodesOf(server, "", basic("root", "x"))).map(({ node }) => node)).toEqual(["web-01"]);
    // Who may not read learns of none of its actions.
    const blind = await server.ask("DELETE", "/v1/nodes/web-01", undefined, basic("blind", "x"));
    expect(blind.json).toMatchObject({ forgotten: { node: "web-01", actions: {} } });
    expect(blind.text).not.toMatch(/secret|hush/);
    expect(await nodesOf(server, "", basic("root", "x"))).toEqual([]);
  });

  test("who may not thaw a freeze do not learn from the refusal what else it is about", async () => {
    const { server } = await limited();
    const [, some] = (await freezesOf(server, basic("app", "x"))) as { readonly id: string }[];
    const refused = await server.ask("DELETE", `/v1/freezes/${some?.id}`, undefined, basic("app", "x"));
    expect(refused.json).toMatchObject({ status: 403, title: "not-allowed" });
    expect(refused.text).not.toMatch(/db/);
  });

  test("without the right to read are told nothing at all", async () => {
    const { server } = await limited();
    for (const path of ["/v1/nodes", "/v1/rollouts/web"])
      expect([path, (await server.ask("GET", path, undefined, basic("blind", "x"))).status]).toEqual([path, 403]);
  });
});

test("10,000 nodes are told in under a second", { timeout: 120_000 }, async () => {
  const fleet = await openFleet("sqlite");
  const coordinator = await fleet.coordinator();
  const actions = { restart: { message: "exit code 1: nginx said no" }, patch: {}, reboot: { pendingSince: Date.now() - HOUR } };
  for (let index = 0; index < 10_000; index += 1) {
    const node = nodeWith({ node: `web-${String(index).padStart(5, "0")}`, group: `group-${index % 20}`, actions });
    await coordinator.writeDocument(documentOfNode(node.node), encodeNode(node), 0);
  }
  const server = await startServer(fleet);
  const timed = async (path: string, headers = {}) => {
    const begun = performance.now();
    const answer = await server.ask("GET", path, undefined, headers);
    expect(answer.status).toBe(200);
    return { path, ms: Math.round(performance.now() - begun), bytes: answer.text.length };
  };
  const times = [];
  for (const path of ["/v1/nodes", "/v1/nodes", "/v1/nodes?group=group-3", "/v1/rollouts/restart?group=group-3", "/metrics"])
    times.push(await timed(path));
  expect(await nodesOf(server)).toHaveLength(10_000);
  // One node that changes is one document that is read.
  const before = await readsOf(server);
  await plantNode(fleet, { node: "web-00042", version: "9.9.9" });
  expect(await nodesOf(server)).toContainEqual(expect.objectContaining({ node: "web-00042", version: "9.9.9" }));
  expect(await readsOf(server)).toEqual({ document: before.document + 1, documents: before.documents });
  console.log(`10,000 nodes, in ms: ${JSON.stringify(times)}`);
});

/** How often the server has asked the store for documents. */
async function readsOf({ ask }: Serving): Promise<{ readonly document: number; readonly documents: number }> {
  const { text } = await ask("GET", "/metrics");
  const countOf = (operation: string): number => {
    const start = `holdline_store_round_trip_seconds_count{operation="${operation}"} `;
    return Number(
      text
        .split("\n")
        .find((line) => line.startsWith(start))
        ?.slice(start.length) ?? 0,
    );
  };
  return { document: countOf("document"), documents: countOf("documents") };
}

test("documents that the server may not read hide nothing else: of the freezes it says that they cannot be read", async () => {
  const fleet = await openFleet("zookeeper");
  for (const node of ["web-01", "web-02", "web-03"]) await plantNode(fleet, { node });
  await plantFreezes(fleet, [{}]);
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  const documents = `${new URL(fleet.url).pathname}/documents`;
  for (const name of ["nodes%2Fweb-02", "freezes"]) await client.restrict(`${documents}/${name}`, WRITE_AND_ADMIN);
  const server = await startServer(fleet);
  expect((await server.ask("GET", "/v1/locks")).json).toEqual({ locks: [], freezes: [], freezesUnreadable: true });
  expect((await nodesOf(server)).map(({ node }) => node)).toEqual(["web-01", "web-03"]);
});
