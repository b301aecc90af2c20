// The API of Holdline's own under /v1, on both stores, with the built program: what it gives is what the command line gives.
import { describe, expect, test } from "vitest";
import { hashSecret } from "../../src/server/passwords.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { within } from "../support/wait.js";
import type { Answer } from "./serving.js";
import { startServer } from "./serving.js";

failOnLeaks();

interface Lease {
  readonly id: string;
  readonly locks: readonly string[];
  readonly expiresAt: string | null;
  readonly fencingToken: number;
}

function leaseIn(answer: Answer): Lease {
  expect(answer.status, answer.text).toBe(201);
  return answer.json as Lease;
}

function expectProblem(answer: Answer, status: number): void {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
}

describe.each(STORES)("on %s", (kind) => {
  test("a lease is taken, looked at, renewed, given data and released by its id", async () => {
    const { ask, node } = await startServer(await openFleet(kind));
    const taken = await ask("POST", "/v1/leases", {
      lock: "app/db",
      ttl: "30 min",
      reason: "why",
      caller: "OPS-1",
      data: { a: 1 },
    });
    const lease = leaseIn(taken);
    expect(taken.headers.get("location")).toBe(`/v1/leases/${lease.id}`);
    expect(lease).toMatchObject({ locks: ["app/db"], reason: "why", caller: "OPS-1", principal: "ops@server", data: { a: 1 } });
    expect((await ask("GET", `/v1/leases/${lease.id}`)).json).toEqual(lease);
    expect((await ask("GET", "/v1/locks")).json).toEqual({
      ...(JSON.parse((await node.run("locks", "--json")).stdout) as object),
      freezes: [],
    });
    expect((await ask("GET", "/v1/locks/app%2Fdb")).json).toMatchObject({
      lock: "app/db",
      holders: [{ id: lease.id }],
      waiting: [],
    });
    expect((await ask("GET", `/v1/claims/${lease.id}`)).json).toMatchObject({ claims: [{ lock: "app/db", id: lease.id }] });

    expect((await ask("POST", `/v1/leases/${lease.id}/renew`, { ttl: null })).json).toMatchObject({
      id: lease.id,
      expiresAt: null,
    });
    const change = { merge: { b: { c: 2 } }, set: { "b.d": 3 } };
    expect((await ask("POST", `/v1/leases/${lease.id}/data`, change)).json).toEqual({ data: { a: 1, b: { c: 2, d: 3 } } });
    expect((await ask("POST", `/v1/leases/${lease.id}/data`, { replace: 1 })).json).toEqual({ data: 1 });

    expect((await ask("DELETE", `/v1/leases/${lease.id}?reason=deployed`)).json).toEqual({ outcome: "released" });
    expect((await ask("DELETE", `/v1/leases/${lease.id}`)).json).toEqual({ outcome: "gone" });
    for (const [method, path, status] of [
      ["POST", "renew", 410],
      ["POST", "data", 410],
      ["GET", "", 404],
    ] as const) {
      const gone = await ask(
        method,
        `/v1/leases/${lease.id}${path && `/${path}`}`,
        path === "data" ? change : path ? {} : undefined,
      );
      expectProblem(gone, status);
    }
    expect((await ask("GET", `/v1/claims/${lease.id}`)).status).toBe(404);
    expect((await ask("GET", "/v1/locks/app%2Fdb")).json).toEqual({ lock: "app/db", holders: [], waiting: [] });
    const history = await ask("GET", `/v1/history?lock=app%2Fdb&id=${lease.id}&limit=5&since=1%20day&event=released`);
    expect(history.json).toEqual(JSON.parse((await node.run("history", "--json")).stdout));
    expect(history.json).toMatchObject({ history: [{ event: "released", by: "ops@server", reason: "deployed" }] });
    expect((await ask("GET", "/v1/history?by=nobody")).json).toEqual({ history: [] });
  });

  test("a lease whose time is over is gone for whoever renews it", async () => {
    const { ask } = await startServer(await openFleet(kind));
    const lease = leaseIn(await ask("POST", "/v1/leases", { lock: "a", ttl: "1 ms" }));
    expect((await ask("POST", `/v1/leases/${lease.id}/renew`, { ttl: 60 })).status).toBe(410);
    expect((await ask("DELETE", `/v1/leases/${lease.id}`)).json).toEqual({ outcome: "gone" });
  });

  test("a document has a tag that changes with it, and is not sent to who has it", async () => {
    const { ask } = await startServer(await openFleet(kind));
    const { id } = leaseIn(await ask("POST", "/v1/leases", { lock: "a" }));
    for (const path of ["/v1/locks", "/v1/locks/a", `/v1/leases/${id}`, `/v1/claims/${id}`, "/v1/history", "/v1/actions"]) {
      const tag = (await ask("GET", path)).headers.get("etag") ?? "";
      expect(tag, path).toMatch(/^"[\w-]{43}"$/);
      const again = await ask("GET", path, undefined, { "If-None-Match": `"other", W/${tag}` });
      expect([again.status, again.text, again.headers.get("etag")], path).toEqual([304, "", tag]);
    }
    const before = (await ask("GET", "/v1/locks")).headers.get("etag") ?? "";
    await ask("POST", `/v1/leases/${id}/data`, { set: { x: 1 } });
    expect((await ask("GET", "/v1/locks", undefined, { "If-None-Match": before })).status).toBe(200);
  });

  test("who finds a lock held is told by whom, and may wait in line for it while the request is open", async () => {
    const fleet = await openFleet(kind);
    const { ask } = await startServer(fleet);
    const first = leaseIn(await ask("POST", "/v1/leases", { lock: "a", caller: "first" }));
    const held = await ask("POST", "/v1/leases", { lock: "a" });
    expectProblem(held, 423);
    expect(held.json).toMatchObject({ title: "held", lock: "a", detail: "a is held by first", holders: [{ id: first.id }] });
    expect((await ask("POST", "/v1/leases", { lock: "a", wait: "50 ms" })).status).toBe(423);
    expect(await fleet.queue("a")).toHaveLength(1);

    const waiting = ask("POST", "/v1/leases", { lock: "a", wait: "10 min", caller: "second" });
    const [, inLine] = await fleet.untilQueue("a", 2);
    // "gone" would be untrue as soon as it is given the lock.
    for (const [method, path] of [
      ["DELETE", ""],
      ["POST", "/renew"],
    ] as const)
      expectProblem(await ask(method, `/v1/leases/${inLine?.id ?? ""}${path}`, method === "POST" ? {} : undefined), 409);
    await ask("DELETE", `/v1/leases/${first.id}`);
    const second = leaseIn(await within(waiting, "the one who waits to be given the lock"));
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    expect((await fleet.queue("a")).map(({ id }) => id)).toEqual([second.id]);
  });

  test("a client that goes away leaves nothing in line, and a server that shuts down neither", async () => {
    const fleet = await openFleet(kind);
    const { ask, url, cli } = await startServer(fleet);
    leaseIn(await ask("POST", "/v1/leases", { lock: "a" }));
    const leaving = new AbortController();
    const body = JSON.stringify({ lock: "a", wait: "10 min" });
    const left = fetch(`${url}/v1/leases`, { method: "POST", body, signal: leaving.signal }).catch((error: unknown) => error);
    await fleet.untilQueue("a", 2);
    leaving.abort();
    await left;
    await fleet.untilQueue("a", 1);

    const waiting = ask("POST", "/v1/leases", { lock: "a", wait: "10 min" });
    await fleet.untilQueue("a", 2);
    cli.kill("SIGTERM");
    const ended = await within(waiting, "the long poll to end");
    expect([ended.status, ended.headers.get("retry-after")]).toEqual([503, "5"]);
    expect((await within(cli.ended, "the server to end")).code).toBe(0);
    await fleet.untilQueue("a", 1);
  });

  test("a host is locked with those that it depends on, and cleared in all their queues", async () => {
    const fleet = await openFleet(kind);
    const settings = { dependencies: { hv01: ["dc01"], san01: ["hv01"] } };
    const { ask } = await startServer(fleet, "server", { settings });
    const locked = await ask("POST", "/v1/host-locks", { host: "DC01.", type: "host", caller: "OPS-1", description: "new disk" });
    expect(locked.json).toMatchObject({ hosts: ["dc01", "hv01", "san01"], type: "host", expiresAt: null, reason: "new disk" });
    const { id } = leaseIn(locked);
    expect((await ask("GET", "/v1/hosts/SAN01")).json).toMatchObject({
      host: "san01",
      locked: true,
      types: ["host"],
      holders: [{ id }],
    });
    const file = { file: "\\\\hv01\\share\\x", wait: 0 };
    expect((await ask("POST", "/v1/host-locks", file)).json).toMatchObject({ status: 423, lock: "host/hv01" });
    expect((await ask("POST", "/v1/host-locks", { host: "web", dependencies: false })).status).toBe(201);

    const clear = await ask("POST", `/v1/claims/${id}/clear`, { lock: "host/hv01", reason: "gone home" });
    expect((clear.json as { cleared: { lock: string }[] }).cleared.map(({ lock }) => lock).sort()).toEqual(
      ["dc01", "hv01", "san01"].map((host) => `host/${host}`),
    );
    expect((await ask("GET", "/v1/history?lock=host%2Fdc01")).json).toMatchObject({
      history: [{ event: "cleared", by: "ops@server", reason: "gone home", lease: { caller: "OPS-1" } }],
    });
    expect((await ask("GET", "/v1/hosts/san01")).json).toMatchObject({ locked: false, holders: [] });
    expect((await ask("POST", `/v1/claims/${id}/clear`, { lock: "host/hv01", reason: "again" })).status).toBe(404);
  });

  test("the actions of agents are listed, and one that runs is cleared by force alone", async () => {
    const fleet = await openFleet(kind);
    const { ask } = await startServer(fleet);
    const go = fleet.signalFile();
    const agent = fleet.node("web-01", { restart: { lock: "restart/nginx", shell: fleet.waitingShell(go.path) } });
    const run = agent.runAction("restart");
    await fleet.untilLine("start web-01");
    const { actions } = (await ask("GET", "/v1/actions")).json as { readonly actions: readonly { readonly claim: string }[] };
    expect(actions).toMatchObject([{ action: "restart", node: "web-01", lock: "restart/nginx", condition: "running" }]);
    const id = actions[0]?.claim ?? "";
    expect((await ask("DELETE", `/v1/leases/${id}`)).status).toBe(403);
    const clear = { lock: "restart/nginx", reason: "stuck" };
    expect((await ask("POST", `/v1/claims/${id}/clear`, clear)).json).toMatchObject({ status: 409, title: "alive", claim: { id } });
    expect((await ask("POST", `/v1/claims/${id}/clear`, { ...clear, force: true })).json).toMatchObject({ cleared: [{ id }] });
    go.give();
    await run;
    expect((await ask("GET", "/v1/actions")).json).toEqual({ actions: [] });
  });

  test("each caller sees and ends what it may, in its own name", async () => {
    const fleet = await openFleet(kind);
    const callers = {
      ann: { may: ["read", "lock"], locks: ["app/*"] },
      bob: { may: ["read", "lock", "clear"], locks: ["*"] },
      eve: { may: ["lock"], locks: ["*"] },
    };
    const access = Object.fromEntries(
      await Promise.all(
        Object.entries(callers).map(async ([name, rights]) => [name, { ...rights, token: await hashSecret(`${name}'s`) }]),
      ),
    ) as Record<string, unknown>;
    const { ask } = await startServer(fleet, "server", { settings: { access } });
    const as = (name: string, method: string, path: string, body?: unknown) =>
      ask(method, path, body, { Authorization: `Bearer ${name}'s` });
    const ann = leaseIn(await as("ann", "POST", "/v1/leases", { lock: "app/a" }));
    const bob = leaseIn(await as("bob", "POST", "/v1/leases", { lock: "db" }));
    expect((await as("ann", "POST", "/v1/leases", { lock: "db" })).status).toBe(403);
    expect((await as("ann", "GET", "/v1/locks")).json).toMatchObject({ locks: [{ lock: "app/a" }] });
    for (const path of ["/v1/locks/db", "/v1/history?lock=db", "/v1/hosts/dc01"])
      expect((await as("ann", "GET", path)).status).toBe(403);
    for (const path of [`/v1/claims/${bob.id}`, `/v1/leases/${bob.id}`]) expect((await as("ann", "GET", path)).status).toBe(404);
    for (const path of ["/v1/locks", "/v1/actions", "/v1/history", "/v1/events"])
      expect((await as("eve", "GET", path)).status).toBe(403);
    expect((await as("eve", "POST", "/v1/leases", { lock: "db" })).json).toMatchObject({
      status: 423,
      detail: "db is held",
      holders: [],
    });

    const clear = { lock: "app/a", reason: "away" };
    expect((await as("ann", "POST", `/v1/claims/${ann.id}/clear`, clear)).status).toBe(403);
    // Who may lock ends what is its own; what is another's ends who may clear.
    expect((await as("eve", "DELETE", `/v1/leases/${ann.id}`)).status).toBe(403);
    expect((await as("eve", "POST", `/v1/leases/${ann.id}/renew`, {})).status).toBe(403);
    expect((await as("eve", "POST", "/v1/leases", { lock: "app/a", id: ann.id })).status).toBe(409);
    expect((await as("bob", "DELETE", `/v1/leases/${ann.id}?reason=away`)).json).toEqual({ outcome: "released" });
    await as("bob", "DELETE", `/v1/leases/${bob.id}`);
    expect((await as("bob", "GET", "/v1/history")).json).toMatchObject({ history: [{ lock: "db" }, { lock: "app/a" }] });
    // The newest are not ann's to see, and one more is asked for than there would be.
    expect((await as("ann", "GET", "/v1/history?limit=1")).json).toMatchObject({
      history: [{ lock: "app/a", by: "bob", reason: "away", owner: { principal: "ann" } }],
    });
    expect((await ask("GET", "/v1/locks")).status).toBe(401);

    // By Locker's door as well, where the requestor is a name that anybody may give.
    const counted = { key: "k", requestor: "george" };
    expect((await as("ann", "PUT", "/lock/app%2Fp", counted)).status).toBe(200);
    expect((await as("eve", "DELETE", "/lock/app%2Fp", counted)).status).toBe(403);
    expect((await as("ann", "DELETE", "/lock/app%2Fp", counted)).status).toBe(200);
  });
});

test("callers who may not see a lock do not learn of it by what is refused", async () => {
  const callers = {
    ann: { may: ["read", "lock"], locks: ["*"] },
    eve: { may: ["lock"], locks: ["other", "host/dc01", "reboot/a"] },
    sam: { may: ["clear", "lock"], locks: ["secret/*", "other"] },
  };
  const access = Object.fromEntries(
    await Promise.all(
      Object.entries(callers).map(async ([name, rights]) => [name, { ...rights, token: await hashSecret(`${name}'s`) }]),
    ),
  ) as Record<string, unknown>;
  const fleet = await openFleet("sqlite");
  const settings = { access, dependencies: { "secret-hv": ["dc01"] }, groups: { secret: 1, a: 1 } };
  const { ask } = await startServer(fleet, "server", { settings });
  const as = (name: string, method: string, path: string, body?: unknown, headers = {}) =>
    ask(method, path, body, { Authorization: `Bearer ${name}'s`, ...headers });
  const { id } = leaseIn(await as("ann", "POST", "/v1/leases", { lock: "secret/x", reason: "quiet" }));
  const fleetLock = { client_params: { id: "m", group: "a" } };
  const refusals = [
    await as("eve", "DELETE", `/v1/leases/${id}`),
    await as("eve", "POST", `/v1/leases/${id}/renew`, {}),
    await as("eve", "POST", `/v1/leases/${id}/data`, { set: { a: 1 } }),
    await as("eve", "POST", `/v1/claims/${id}/clear`, { lock: "other", reason: "why" }),
    await as("eve", "POST", "/v1/leases", { lock: "other", id }),
    await as("eve", "POST", "/v1/host-locks", { host: "dc01" }),
    // Who may clear and not see ends it, and is shown nothing of it.
    await as("sam", "POST", `/v1/leases/${id}/renew`, {}),
    await as("sam", "POST", `/v1/leases/${id}/data`, { set: { a: 1 } }),
  ];
  expect(refusals.map(({ status }) => status)).toEqual([403, 403, 403, 403, 409, 403, 403, 403]);
  for (const { json } of refusals) expect(JSON.stringify(json)).not.toMatch(/secret|ann|quiet/);
  const group = { client_params: { ...fleetLock.client_params, group: "b" } };
  const unknown = await as("sam", "POST", "/v1/pre-reboot", group, { "fleet-lock-protocol": "true" });
  expect(JSON.stringify(unknown.json)).not.toMatch(/secret/);
  const cleared = await as("sam", "POST", `/v1/claims/${id}/clear`, { lock: "secret/x", reason: "why" });
  expect([cleared.status, cleared.json]).toEqual([200, { cleared: [] }]);
  expect((await as("ann", "GET", "/v1/history")).json).toMatchObject({ history: [{ claim: id, event: "cleared", by: "sam" }] });
});

const WRONG = [
  ["POST", "/v1/leases", {}, "required property 'lock'"],
  ["POST", "/v1/leases", "{", "the body is no JSON"],
  ["POST", "/v1/leases", { lock: "a//b" }, "two in a row"],
  ["POST", "/v1/leases", { lock: "a", tll: "1 s" }, 'no member "tll"'],
  ["POST", "/v1/leases", { lock: "a", ttl: "soon" }, "ttl: must be a number of seconds"],
  ["POST", "/v1/leases", { lock: "a", ttl: 0 }, "ttl: must be more than 0"],
  ["POST", "/v1/leases", { lock: "a", wait: "1 h" }, "wait: must be at most 10 min"],
  ["POST", "/v1/leases", { lock: "a", wait: null }, "body/wait must be"],
  ["POST", "/v1/leases", { lock: "a", slots: 0 }, "body/slots must be"],
  ["POST", "/v1/leases", { lock: "a", id: "me" }, "body/id must match pattern"],
  ["POST", "/v1/leases", { lock: "a", reason: "\u0007" }, "reason: must be text without control characters"],
  ["POST", "/v1/leases", { lock: "a", data: { constructor: 1 } }, 'data: must not have a key "constructor"'],
  ["POST", "/v1/leases", { lock: "a", data: "x".repeat(65_536) }, "data: has more than 65536 bytes"],
  ["POST", "/v1/leases/x/data", {}, "no change given"],
  ["POST", "/v1/leases/x/data", { set: { "a..b": 1 } }, "names no key of the data"],
  ["POST", "/v1/host-locks", {}, "no host given"],
  ["POST", "/v1/host-locks", { host: "a b" }, "must be without blanks"],
  ["POST", "/v1/host-locks", { file: "/etc/x" }, "on no host that could be told"],
  ["POST", "/v1/host-locks", { host: "a", file: "other:/x" }, "is on other, and the host is a"],
  ["POST", "/v1/host-locks", { host: "a", type: "file" }, "needs a file"],
  ["POST", "/v1/claims/x/clear", { lock: "a", reason: " " }, "reason: must say why"],
  ["POST", "/v1/claims/x/clear", { lock: "a" }, "required property 'reason'"],
  ["POST", "/v1/claims/x/clear", { lock: "a", reason: "why" }, "is no id of a claim"],
  ["GET", "/v1/claims/x", undefined, "is no id of a claim"],
  ["GET", "/v1/leases/x", undefined, "is no id of a claim"],
  ["DELETE", "/v1/leases/a", undefined, "is no id of a claim"],
  ["POST", "/v1/leases/x/renew", {}, "is no id of a claim"],
  ["POST", "/v1/leases/x/data", { set: { a: 1 } }, "is no id of a claim"],
  ["GET", "/v1/history?id=x", undefined, "id: must be the id of a claim"],
  ["GET", "/v1/history?limit=0", undefined, "limit: must be a whole number"],
  ["GET", "/v1/history?event=lost", undefined, "querystring/event must be equal to one of"],
  ["GET", "/v1/history?since=then", undefined, "since: must be"],
  ["GET", "/v1/history?lock=a&lock=b", undefined, "querystring/lock must be string"],
  ["GET", "/v1/hosts/a%20b", undefined, "must be without blanks"],
] as const;

test("a request that is not right is told what is wrong with it, and takes nothing", async () => {
  const { ask } = await startServer(await openFleet("sqlite"));
  for (const [method, path, body, words] of WRONG) {
    const answer = await ask(method, path, body);
    expectProblem(answer, 400);
    expect(answer.json).toMatchObject({ type: "about:blank", title: "usage", status: 400 });
    expect((answer.json as { detail: string }).detail).toContain(words);
  }
  expect((await ask("GET", "/v1/locks")).json).toEqual({ locks: [], freezes: [] });
});
