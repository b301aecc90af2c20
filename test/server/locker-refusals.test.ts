// What Locker's clients are told when it is not for them, and when the store does not answer: never that somebody has the lock.
import { describe, expect, test } from "vitest";
import { type Fleet, openFleet, openProxy } from "../e2e/fleet.js";
import type { FaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Answer, startServer } from "./serving.js";

failOnLeaks();

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

async function hashOf(fleet: Fleet, secret: string): Promise<string> {
  const { stdout } = await fleet.node("hashes", {}, { input: secret }).run("serve", "--hash");
  return stdout.trim();
}

test("who must not is told so in Locker's form, and takes nothing", async () => {
  const fleet = await openFleet("sqlite");
  const [looks, locks, clears] = await Promise.all(["looks", "locks", "clears"].map((secret) => hashOf(fleet, secret)));
  const access = {
    looker: { token: looks, may: ["read"], locks: ["app/*"] },
    locker: { token: locks, may: ["lock"], locks: ["app/*"] },
    clearer: { token: clears, may: ["read", "clear"] },
  };
  const { ask } = await startServer(fleet, "server", { settings: { access } });
  const george = { key: "k", requestor: "george" };
  const put = (pool: string, token: string) => ask("PUT", `/lock/${encodeURIComponent(pool)}`, george, bearer(token));

  for (const [method, path] of [
    ["GET", "/locks"],
    ["PUT", "/lock/app%2F1"],
    ["DELETE", "/lock/app%2F1"],
  ] as const)
    for (const headers of [{}, bearer("wrong"), { Authorization: "Basic" }, { Authorization: "Basic !" }]) {
      const answer = await ask(method, path, method === "GET" ? undefined : george, headers);
      expect([answer.status, answer.json]).toEqual([401, { error: expect.stringMatching(/credentials/) as string }]);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
    }
  const forbidden = (answer: Answer) =>
    expect([answer.status, answer.json]).toEqual([403, { error: expect.stringMatching(/may not/) as string }]);
  forbidden(await put("app/1", "looks"));
  forbidden(await put("app/1", "clears"));
  forbidden(await put("other", "locks"));
  // An empty list would say that everything is free.
  forbidden(await ask("GET", "/locks", undefined, bearer("locks")));
  expect((await put("app/1", "locks")).status).toBe(200);
  // Who may lock and not look is not told by whom.
  for (const method of ["PUT", "DELETE"]) {
    const kept = await ask(method, "/lock/app%2F1", { key: "another", requestor: "ann" }, bearer("locks"));
    expect([kept.status, kept.json]).toEqual([423, { error: "app/1 is locked" }]);
  }
  forbidden(await ask("DELETE", "/lock/app%2F1", george, bearer("clears")));
  expect((await fleet.queue("app/1")).map(({ owner, lease }) => [owner.principal, lease?.caller])).toEqual([["locker", "george"]]);
  expect(await fleet.queue("other")).toEqual([]);
  await fleet.node("web-07", {}).run("acquire", "other", "--ttl", "1 h");
  expect((await ask("GET", "/locks", undefined, bearer("looks"))).text).toBe('{"app/1":{"locked_by":{"george":1},"key":"k"}}\n');
  expect((await ask("DELETE", "/lock/app%2F1", george, bearer("locks"))).status).toBe(200);
  const { history } = JSON.parse((await fleet.node("web-07", {}).run("history", "app/1", "--json")).stdout) as {
    history: object[];
  };
  expect(history).toMatchObject([{ event: "released", by: "locker", lease: { caller: "george" } }]);
});

describe.each<[string, (proxy: FaultProxy) => Promise<void>, (proxy: FaultProxy) => Promise<void>]>([
  ["frozen", async (proxy) => proxy.freeze(), async (proxy) => proxy.thaw()],
  [
    "not to be reached",
    async (proxy) => {
      await proxy.welcome("refuse");
      await proxy.cut();
    },
    (proxy) => proxy.welcome("serve"),
  ],
])("with a ZooKeeper that is %s", (_how, breakIt, mendIt) => {
  test("it is said that the store does not answer, and when to ask again; then all is as it was", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const behind = { coordinator: fleet.urlThrough(proxy), settings: { connect_timeout: "2 s" } };
    const [server, other] = await Promise.all([startServer(fleet, "behind", behind), startServer(fleet, "other")]);
    await other.ask("PUT", "/lock/held", { key: "k" });
    await breakIt(proxy);
    const asked = [
      ["GET", "/locks"],
      ["PUT", "/lock/free"],
      ["PUT", "/lock/held"],
      ["DELETE", "/lock/held"],
    ] as const;
    for (const key of ["k", "other"]) {
      const answers = await Promise.all(
        asked.map(([method, path]) => server.ask(method, path, method === "GET" ? undefined : { key })),
      );
      for (const { status, headers, json } of answers) {
        expect([status, json]).toEqual([503, { error: expect.stringMatching(/./) as string }]);
        expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      }
    }
    await mendIt(proxy);
    await until(async () => (await server.ask("GET", "/locks")).status === 200, "the store to answer");
    expect((await other.ask("PUT", "/lock/held", { key: "other" })).status).toBe(423);
    // Nothing stays of what was asked for in vain.
    await until(async () => (await fleet.queue("free")).length === 0, "the free pool to be free");
    expect((await server.ask("GET", "/locks")).text).toBe('{"held":{"locked_by":{"k":1},"key":"k"}}\n');
    expect((await server.ask("DELETE", "/lock/held", { key: "k" })).status).toBe(200);
    expect((await other.ask("GET", "/locks")).text).toBe("{}\n");
  });
});
