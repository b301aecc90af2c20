// FleetLock as Zincati speaks it, on both stores, with the built program.
import { describe, expect, test } from "vitest";
import { type Fleet, openFleet, openProxy, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { askRaw } from "./raw.js";
import { type Answer, type Serving, type ServingOptions, startServer } from "./serving.js";

failOnLeaks();

const MEANT = { "fleet-lock-protocol": "true" };
const GROUPS = { default: 1, workers: 2, "a.b-C": 1 };

function serve(fleet: Fleet, name = "server", { settings, ...options }: ServingOptions = {}): Promise<Serving> {
  return startServer(fleet, name, { ...options, settings: { groups: GROUPS, ...settings } });
}

function paramsOf(id: string, group = "default") {
  return { client_params: { id, group } };
}

function reserve({ ask }: Serving, id: string, group?: string): Promise<Answer> {
  return ask("POST", "/v1/pre-reboot", paramsOf(id, group), MEANT);
}

function giveBack({ ask }: Serving, id: string, group?: string): Promise<Answer> {
  return ask("POST", "/v1/steady-state", paramsOf(id, group), MEANT);
}

const errorOf = ({ status, json }: Answer): readonly unknown[] => [status, (json as { kind: string }).kind];
const FULL = [423, "failed_lock_semaphore_full"];

/** Who has a slot, by the store. */
async function machines(fleet: Fleet, group = "default"): Promise<readonly (string | null | undefined)[]> {
  return (await fleet.queue(`reboot/${group}`)).map(({ lease }) => lease?.caller);
}

describe.each(STORES)("on %s", (kind) => {
  test("a machine reserves a slot as often as it likes, and has one; others wait until it is back", async () => {
    const fleet = await openFleet(kind);
    const server = await serve(fleet);
    for (let time = 0; time < 3; time += 1) expect((await reserve(server, "m1")).status).toBe(200);
    expect(await machines(fleet)).toEqual(["m1"]);
    const refused = await reserve(server, "m2");
    expect([refused.status, refused.json]).toEqual([
      423,
      { kind: "failed_lock_semaphore_full", value: "reboot/default has one slot, and is held by m1" },
    ]);
    // What another machine gives back is its own alone, and it has nothing.
    expect((await giveBack(server, "m2")).status).toBe(200);
    expect((await giveBack(server, "M1")).status).toBe(200);
    expect(await machines(fleet)).toEqual(["m1"]);
    for (let time = 0; time < 2; time += 1) expect((await giveBack(server, "m1")).status).toBe(200);
    expect(await machines(fleet)).toEqual([]);
    expect((await reserve(server, "m2")).status).toBe(200);
    expect(await machines(fleet)).toEqual(["m2"]);
  });

  test("a client whose address ends in a slash is understood", async () => {
    const server = await serve(await openFleet(kind));
    expect((await server.ask("POST", "//v1/pre-reboot", paramsOf("m1"), MEANT)).status).toBe(200);
    expect((await server.ask("POST", "///v1/steady-state", paramsOf("m1"), MEANT)).status).toBe(200);
  });

  test("each group has slots of its own, as the configuration says", async () => {
    const fleet = await openFleet(kind);
    const server = await serve(fleet);
    for (const id of ["m1", "m2"]) expect((await reserve(server, id, "workers")).status).toBe(200);
    const refused = await reserve(server, "m3", "workers");
    expect((refused.json as { value: string }).value).toBe("reboot/workers has 2 slots, and is held by m1, m2");
    expect((await reserve(server, "m3")).status).toBe(200);
    expect((await reserve(server, "m 4/ü\"'", "a.b-C")).status).toBe(200);
    expect(await machines(fleet, "a.b-C")).toEqual(["m 4/ü\"'"]);
    expect((await giveBack(server, "m1", "workers")).status).toBe(200);
    expect((await reserve(server, "m3", "workers")).status).toBe(200);
    expect(await machines(fleet, "workers")).toEqual(["m2", "m3"]);
    expect(await machines(fleet)).toEqual(["m3"]);
  });

  test("a request that is not FleetLock's is refused with a kind and a value, and changes nothing", async () => {
    const fleet = await openFleet(kind);
    const server = await serve(fleet);
    await reserve(server, "m1");
    const wrong: readonly (readonly [unknown, Readonly<Record<string, string>>, string])[] = [
      [paramsOf("m2"), {}, "usage"],
      [paramsOf("m2"), { "fleet-lock-protocol": "false" }, "usage"],
      [paramsOf("m2"), { "fleet-lock-protocol": "" }, "usage"],
      ...["", "{", "null", "[]", "{}", '{"client_params":null}', '{"client_params":[]}'].map(
        (body) => [body, MEANT, "usage"] as const,
      ),
      ...[
        { id: "m2" },
        { group: "default" },
        { id: "", group: "default" },
        { id: 5, group: "default" },
        { id: "\0", group: "default" },
      ].map((params) => [{ client_params: params }, MEANT, "usage"] as const),
      ...["", "a b", "a/b", "é", "default\n", "..", 5].map(
        (group) => [{ client_params: { id: "m2", group } }, MEANT, "usage"] as const,
      ),
      [paramsOf("m2", "unheard-of"), MEANT, "unknown_group"],
    ];
    for (const path of ["/v1/pre-reboot", "/v1/steady-state"])
      for (const [body, headers, kindOfError] of wrong) {
        const { status, json } = await server.ask("POST", path, body, headers);
        const error = { kind: kindOfError, value: expect.stringMatching(/./) as string };
        expect([status, json], `${path} ${JSON.stringify(body)}`).toEqual([400, error]);
      }
    expect(await machines(fleet)).toEqual(["m1"]);
    expect(await machines(fleet, "unheard-of")).toEqual([]);
    // As in the protocol's own example, where curl says that it sends a form.
    const form = ["POST /v1/steady-state HTTP/1.1", "fleet-lock-protocol: true", "Content-Type: application/x-www-form-urlencoded"];
    expect(await askRaw(server.url, form, JSON.stringify(paramsOf("m1")))).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(await machines(fleet)).toEqual([]);
  });

  test("two servers never give more slots than there are", async () => {
    const fleet = await openFleet(kind);
    const servers = await Promise.all([serve(fleet, "one"), serve(fleet, "two")]);
    const ids = Array.from({ length: 8 }, (_, index) => `m${index}`);
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(ids.map((id, index) => reserve(servers[(index + round) % 2] as Serving, id, "workers")));
      const granted = ids.filter((_, index) => answers[index]?.status === 200);
      expect(granted).toHaveLength(2);
      for (const answer of answers) if (answer.status !== 200) expect(errorOf(answer)).toEqual(FULL);
      expect([...(await machines(fleet, "workers"))].sort()).toEqual(granted);
      const back = await Promise.all(ids.map((id, index) => giveBack(servers[index % 2] as Serving, id, "workers")));
      expect(back.every(({ status }) => status === 200)).toBe(true);
      expect(await machines(fleet, "workers")).toEqual([]);
    }
  });

  test.each(["default", "workers"])("a machine that asks two servers at once has one slot of the group %s", async (group) => {
    const fleet = await openFleet(kind);
    const [one, two] = await Promise.all([serve(fleet, "one"), serve(fleet, "two")]);
    for (let round = 0; round < 40; round += 1) {
      const answers = await Promise.all([one, two, one, two].map((server) => reserve(server, "m1", group)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(await machines(fleet, group)).toEqual(["m1"]);
      const back = await Promise.all([one, two].map((server) => giveBack(server, "m1", group)));
      expect(back.map(({ status }) => status)).toEqual([200, 200]);
      expect(await machines(fleet, group)).toEqual([]);
    }
  });

  test("the command line sees who has a slot, keeps machines from rebooting, and frees the slot of one that is lost", async () => {
    const fleet = await openFleet(kind);
    const server = await serve(fleet);
    const admin = fleet.node("admin", {});
    await reserve(server, "m1");
    const seen = JSON.parse((await admin.run("locks", "reboot/default", "--json")).stdout) as { locks: { holders: object[] }[] };
    expect(seen.locks[0]?.holders).toMatchObject([
      { key: null, slots: 1, lease: { caller: "m1" }, reason: "reboot", expiresAt: null },
    ]);
    expect((await admin.run("clear", "reboot/default", "--reason", "it burned down")).code).toBe(0);
    expect((await admin.run("acquire", "reboot/default", "--ttl", "1 h", "--reason", "not now")).code).toBe(0);
    expect(errorOf(await reserve(server, "m1"))).toEqual(FULL);
    const { history } = JSON.parse((await admin.run("history", "--json")).stdout) as { history: object[] };
    expect(history).toMatchObject([{ lock: "reboot/default", event: "cleared", by: "ops@admin", reason: "it burned down" }]);
  });

  test("a server that is killed leaves the slots with those who have them", async () => {
    const fleet = await openFleet(kind);
    const [one, two] = await Promise.all([serve(fleet, "one"), serve(fleet, "two")]);
    expect((await reserve(one, "m1")).status).toBe(200);
    one.cli.kill("SIGKILL");
    await one.cli.ended;
    expect(errorOf(await reserve(two, "m2"))).toEqual(FULL);
    expect((await reserve(two, "m1")).status).toBe(200);
    expect((await giveBack(two, "m1")).status).toBe(200);
    expect((await reserve(two, "m2")).status).toBe(200);
  });
});

test("callers without the right are refused in FleetLock's form", async () => {
  const fleet = await openFleet("sqlite");
  const { stdout } = await fleet.node("hashes", {}, { input: "secret" }).run("serve", "--hash");
  const access = { nodes: { token: stdout.trim(), may: ["lock"], locks: ["reboot/workers"] } };
  const { ask } = await serve(fleet, "server", { settings: { access } });
  for (const path of ["/v1/pre-reboot", "/v1/steady-state"]) {
    const unknown = await ask("POST", path, paramsOf("m1"), MEANT);
    expect([unknown.status, unknown.json]).toEqual([
      401,
      { kind: "not-allowed", value: expect.stringMatching(/credentials/) as string },
    ]);
    const headers = { ...MEANT, Authorization: "Bearer secret" };
    const forbidden = await ask("POST", path, paramsOf("m1"), headers);
    expect([forbidden.status, forbidden.json]).toEqual([
      403,
      { kind: "not-allowed", value: expect.stringMatching(/nodes may not/) as string },
    ]);
    expect((await ask("POST", path, paramsOf("m1", "workers"), headers)).status).toBe(200);
    if (path === "/v1/steady-state") continue;
    // Who may lock and not look is not told who has the slots.
    await ask("POST", path, paramsOf("m2", "workers"), headers);
    const full = await ask("POST", path, paramsOf("m3", "workers"), headers);
    expect([full.status, full.json]).toEqual([423, { kind: FULL[1], value: "reboot/workers has 2 slots, and is full" }]);
    await ask("POST", "/v1/steady-state", paramsOf("m2", "workers"), headers);
  }
  expect(await machines(fleet)).toEqual([]);
});

test("where no groups are configured none is known", async () => {
  const server = await startServer(await openFleet("sqlite"));
  const { status, json } = await reserve(server, "m1");
  expect([status, json]).toEqual([400, { kind: "unknown_group", value: 'there is no group "default": no groups are configured' }]);
});

test("with a frozen ZooKeeper no machine hears that it may reboot, nor that others do", async () => {
  const fleet = await openFleet("zookeeper");
  const proxy = await openProxy();
  const server = await serve(fleet, "server", { coordinator: fleet.urlThrough(proxy), settings: { connect_timeout: "2 s" } });
  expect((await reserve(server, "m1")).status).toBe(200);
  proxy.freeze();
  for (const answer of await Promise.all([reserve(server, "m1"), reserve(server, "m2"), giveBack(server, "m1")])) {
    expect(errorOf(answer)).toEqual([503, expect.stringMatching(/^(?:unreachable|session-lost)$/)]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  proxy.thaw();
  await until(async () => (await reserve(server, "m1")).status === 200, "the store to answer");
  expect(await machines(fleet)).toEqual(["m1"]);
});
