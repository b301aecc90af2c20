// Freezing and thawing over HTTP, and what every protocol of the server says of a frozen lock, on both stores.
import { describe, expect, test } from "vitest";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { basic, hashOf } from "./credentials.js";
import { plant } from "./planted.js";
import { type Answer, startServer } from "./serving.js";

failOnLeaks();

const MEANT = { "fleet-lock-protocol": "true" };
const GROUPS = { workers: 2 };

interface FreezeJson {
  readonly id: string;
}

const kindOf = ({ status, json }: Answer): readonly unknown[] => [status, (json as { readonly title: string }).title];

describe.each(STORES)("on %s", (kind) => {
  test("a freeze is made, seen by the command line, and thawed; the history has both", async () => {
    const { ask, node } = await startServer(await openFleet(kind));
    const made = await ask("POST", "/v1/freezes", { locks: ["app/*"], group: "web", reason: "the sale", for: "2 h" });
    expect(made.status, made.text).toBe(201);
    const freeze = made.json as FreezeJson;
    expect(freeze).toMatchObject({ locks: ["app/*"], node: null, group: "web", reason: "the sale", by: "ops@server" });
    expect((await ask("GET", "/v1/freezes")).json).toEqual({ freezes: [freeze] });
    expect(JSON.parse((await node.run("freezes", "--json")).stdout)).toEqual({ freezes: [freeze] });
    expect((await ask("DELETE", `/v1/freezes/${freeze.id}`)).json).toEqual(freeze);
    expect(kindOf(await ask("DELETE", `/v1/freezes/${freeze.id}`))).toEqual([404, "nothing-there"]);
    expect((await ask("GET", "/v1/freezes")).json).toEqual({ freezes: [] });
    expect((await ask("GET", "/v1/history")).json).toMatchObject({ history: [{ event: "thawed" }, { event: "frozen" }] });
  });

  test("a frozen lock is 423 with the reason for leases, hosts, Locker's and FleetLock's clients, until it is thawed", async () => {
    const { ask } = await startServer(await openFleet(kind), "server", { settings: { groups: GROUPS } });
    const freeze = (await ask("POST", "/v1/freezes", { reason: "the sale" })).json as FreezeJson;
    const lease = () => ask("POST", "/v1/leases", { lock: "db" });
    const refused = await lease();
    expect(kindOf(refused)).toEqual([423, "frozen"]);
    expect(refused.json).toMatchObject({ lock: "db", freezes: [freeze], detail: expect.stringContaining("the sale") as string });
    expect(kindOf(await ask("POST", "/v1/host-locks", { host: "dc01" }))).toEqual([423, "frozen"]);
    const pool = () => ask("PUT", "/lock/pool", { key: "k" });
    expect(await pool()).toMatchObject({ status: 423, json: { error: expect.stringContaining("the sale") as string } });
    const reboot = () => ask("POST", "/v1/pre-reboot", { client_params: { id: "m1", group: "workers" } }, MEANT);
    expect(await reboot()).toMatchObject({
      status: 423,
      json: { kind: "frozen", value: expect.stringContaining("the sale") as string },
    });
    expect((await ask("POST", "/v1/leases", { lock: "db", despiteFreeze: true })).status).toBe(400);
    expect((await ask("POST", "/v1/leases", { lock: "urgent", despiteFreeze: true, reason: "OPS-1" })).status).toBe(201);
    await ask("DELETE", `/v1/freezes/${freeze.id}`);
    for (const answer of [await lease(), await pool(), await reboot()]) expect([200, 201]).toContain(answer.status);
  });

  test("a freeze of a node or a group binds the clients that say what they are", async () => {
    const { ask } = await startServer(await openFleet(kind), "server", { settings: { groups: { workers: 2, other: 2 } } });
    await ask("POST", "/v1/freezes", { group: "workers", reason: "why" });
    await ask("POST", "/v1/freezes", { node: "m2", reason: "why" });
    const reboot = async (id: string, group: string) =>
      (await ask("POST", "/v1/pre-reboot", { client_params: { id, group } }, MEANT)).status;
    expect([await reboot("m1", "workers"), await reboot("m1", "other"), await reboot("m2", "other")]).toEqual([423, 200, 423]);
    expect((await ask("POST", "/v1/host-locks", { host: "m2" })).status).toBe(423);
    expect((await ask("POST", "/v1/host-locks", { host: "m3" })).status).toBe(201);
    expect((await ask("POST", "/v1/leases", { lock: "db" })).status).toBe(201);
  });

  test("a request that waits in line goes on with the thaw", async () => {
    const fleet = await openFleet(kind);
    const { ask } = await startServer(fleet);
    const freeze = (await ask("POST", "/v1/freezes", { locks: ["db"], reason: "why" })).json as FreezeJson;
    const waiting = ask("POST", "/v1/leases", { lock: "db", wait: "5 min" });
    await until(async () => (await fleet.queue("db")).length === 1, "the request to stand in line");
    await ask("DELETE", `/v1/freezes/${freeze.id}`);
    expect((await waiting).status).toBe(201);
  });

  test("freezing and thawing take the right to clear all that the patterns can match", async () => {
    const access = {
      app: { password: hashOf("secret"), may: ["read", "lock", "clear"], locks: ["app/*"] },
      dev: { password: hashOf("secret"), may: ["read", "lock"], locks: ["app/*"] },
      ops: { password: hashOf("secret"), may: ["read", "lock", "clear"] },
    };
    const { ask } = await startServer(await openFleet(kind), "server", { settings: { access } });
    const as = (name: string) => basic(name, "secret");
    const freezeAs = async (name: string, locks: readonly string[]) =>
      ask("POST", "/v1/freezes", { locks, reason: "why" }, as(name));
    expect((await freezeAs("dev", ["app/x"])).status).toBe(403);
    for (const locks of [[], ["*"], ["app/x", "db"], ["app*"]]) expect((await freezeAs("app", locks)).status).toBe(403);
    const own = (await freezeAs("app", ["app/x*"])).json as FreezeJson;
    const whole = (await freezeAs("ops", [])).json as FreezeJson;
    expect((await ask("DELETE", `/v1/freezes/${whole.id}`, undefined, as("app"))).status).toBe(403);
    expect((await ask("DELETE", `/v1/freezes/${own.id}`, undefined, as("dev"))).status).toBe(403);
    expect((await ask("POST", "/v1/leases", { lock: "app/x", despiteFreeze: true, reason: "why" }, as("dev"))).status).toBe(403);
    expect((await ask("POST", "/v1/leases", { lock: "app/x", despiteFreeze: true, reason: "why" }, as("app"))).status).toBe(201);
    expect((await ask("DELETE", `/v1/freezes/${own.id}`, undefined, as("app"))).status).toBe(200);
    expect((await ask("DELETE", `/v1/freezes/${whole.id}`, undefined, as("ops"))).status).toBe(200);
  });

  test.each([
    [{}, 400],
    [{ reason: " " }, 400],
    [{ reason: "why", locks: [""] }, 400],
    [{ reason: "why", for: "soon" }, 400],
    [{ reason: "why", for: 0 }, 400],
    [{ reason: "why", id: "x" }, 400],
    [{ reason: "why", node: "" }, 400],
  ])("%j is refused, and nothing is frozen", async (body, status) => {
    const { ask } = await startServer(await openFleet(kind));
    expect((await ask("POST", "/v1/freezes", body)).status).toBe(status);
    expect((await ask("GET", "/v1/freezes")).json).toEqual({ freezes: [] });
  });

  test("freezes that cannot be read are no thaw", async () => {
    const fleet = await openFleet(kind);
    const { ask } = await startServer(fleet);
    await plant(fleet, "freezes", "garbage");
    expect((await ask("POST", "/v1/leases", { lock: "db" })).status).toBe(500);
    expect(await fleet.queue("db")).toEqual([]);
    expect((await ask("GET", "/v1/freezes")).json).toEqual({ freezes: [], freezesUnreadable: true });
  });
});
