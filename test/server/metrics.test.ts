// What Prometheus is told, and that the dashboard and the alerts in config/ ask for nothing else.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import type { Fleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { plant, plantFreezes, plantNode } from "./planted.js";
import { startServer } from "./serving.js";
import type { Serving } from "./serving.js";

failOnLeaks();

const CONFIG = resolve(import.meta.dirname, "../../config");

/** The value of a series, as it is written: `name{label="value"}`; `null` where there is none. */
function valueOf(text: string, series: string): number | null {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

const metricsOf = async ({ ask }: Serving, headers = {}): Promise<string> => {
  const { status, text } = await ask("GET", "/metrics", undefined, headers);
  expect(status).toBe(200);
  return text;
};

/** Waits for a series to have a value. */
const untilValue = (serving: Serving, series: string, value: number) =>
  until(async () => valueOf(await metricsOf(serving), series) === value, `${series} to be ${value}`);

/** Has an action fail and keep its lock. */
async function failOn(fleet: Fleet, lock: string): Promise<void> {
  const node = fleet.node("web-07", { broken: { command: ["false"], lock } });
  expect((await node.run("run", "broken")).code).toBe(4);
}

describe.each(STORES)("on %s", (kind) => {
  test("locks are told as they are: who holds, who waits, what has failed and for how long", async () => {
    const fleet = await openFleet(kind);
    const serving = await startServer(fleet);
    const { ask } = serving;
    await failOn(fleet, 'restart/"nginx"\\');
    expect((await ask("PUT", "/lock/pool", { key: "k" })).status).toBe(200);
    expect((await ask("PUT", "/lock/pool", { key: "k" })).status).toBe(200);
    const waiter = fleet.node("web-08", {}).start("exec", "pool", "--", "true");
    await untilValue(serving, 'holdline_waiters{lock="pool"}', 1);
    await untilValue(serving, 'holdline_claims{lock="pool",condition="leased"}', 2);
    await untilValue(serving, 'holdline_claims{lock="pool",condition="waiting"}', 1);
    const lock = 'lock="restart/\\"nginx\\"\\\\"';
    await untilValue(serving, `holdline_claims{${lock},condition="failed"}`, 1);
    await untilValue(serving, `holdline_waiters{${lock}}`, 0);
    const age = async () => valueOf(await metricsOf(serving), `holdline_failed_holder_seconds{${lock},node="web-07"}`);
    const first = await age();
    expect(first).toBeGreaterThanOrEqual(0);
    // It grows by itself, without a change in the store.
    await until(async () => ((await age()) ?? 0) > (first ?? 0), "the age to grow");
    await until(
      async () => (valueOf(await metricsOf(serving), 'holdline_oldest_waiter_seconds{lock="pool"}') ?? 0) > 0,
      "the waiter's time to be told",
    );
    expect((await ask("DELETE", "/lock/pool", { key: "k" })).status).toBe(200);
    expect(await within(waiter.ended, "the waiter to run")).toMatchObject({ code: 0 });
    await until(async () => valueOf(await metricsOf(serving), 'holdline_waiters{lock="pool"}') === null, "the lock to be left out");
    const text = await metricsOf(serving);
    expect(valueOf(text, "holdline_locks")).toBe(1);
    // Both that had the pool have left it, and so has who waited, if it was not too quick to be seen.
    expect(valueOf(text, "holdline_hold_seconds_count")).toBeGreaterThanOrEqual(2);
    expect(valueOf(text, "holdline_wait_seconds_count")).toBeGreaterThanOrEqual(3);
  });

  test("waiting and holding are observed from when they began, by the store's clock", async () => {
    const fleet = await openFleet(kind);
    const holder = await fleet.node("web-01", {}).run("acquire", "l", "--ttl", "1 h");
    expect(holder.code).toBe(0);
    const go = fleet.signalFile();
    const next = fleet.node("web-02", { slow: { shell: fleet.waitingShell(go.path), lock: "l" } }).start("run", "slow");
    await fleet.untilQueue("l", 2);
    // It was in line before the server looked, and the lease was there.
    const serving = await startServer(fleet);
    await until(
      async () => (valueOf(await metricsOf(serving), 'holdline_oldest_waiter_seconds{lock="l"}') ?? 0) >= 1,
      "somebody to have waited for a second",
    );
    expect((await fleet.node("web-01", {}).run("release", "l", holder.stdout.trim())).code).toBe(0);
    await untilValue(serving, "holdline_wait_seconds_count", 1);
    await untilValue(serving, "holdline_hold_seconds_count", 1);
    const text = await metricsOf(serving);
    expect(valueOf(text, "holdline_wait_seconds_sum")).toBeGreaterThanOrEqual(1);
    expect(valueOf(text, "holdline_hold_seconds_sum")).toBeGreaterThanOrEqual(1);
    go.give();
    expect(await within(next.ended, "the action to end")).toMatchObject({ code: 0 });
    await untilValue(serving, "holdline_hold_seconds_count", 2);
  });

  test("the store's round trips are timed", async () => {
    const serving = await startServer(await openFleet(kind));
    expect((await serving.ask("PUT", "/lock/a", { key: "k" })).status).toBe(200);
    const text = await metricsOf(serving);
    for (const operation of ["join", "settle", "sync", "list"])
      expect([operation, valueOf(text, `holdline_store_round_trip_seconds_count{operation="${operation}"}`)]).toEqual([
        operation,
        expect.any(Number),
      ]);
  });
});

describe("series", () => {
  test("of requests are as many as there are routes, whatever is asked for", async () => {
    const serving = await startServer(await openFleet("sqlite"));
    for (const path of ["/a", "/b?c=d", "/locks?x", "/lock/p1", "/lock/p2"]) await serving.ask("GET", path);
    for (const pool of ["p1", "p2"]) await serving.ask("PUT", `/lock/${pool}`, { key: "k" });
    const text = await metricsOf(serving);
    expect(valueOf(text, 'holdline_http_requests_total{route="none",method="GET",status="404"}')).toBe(4);
    expect(valueOf(text, 'holdline_http_requests_total{route="/lock/:pool",method="PUT",status="200"}')).toBe(2);
    expect(valueOf(text, 'holdline_http_request_duration_seconds_count{route="/lock/:pool",method="PUT"}')).toBe(2);
    expect(valueOf(text, 'holdline_http_open_requests{route="/metrics"}')).toBe(1);
    expect(text.split("\n").filter((line) => line.startsWith("holdline_http") && line.includes("p1"))).toEqual([]);
  });

  test("of locks are bounded, and those that need somebody are not left out", async () => {
    const fleet = await openFleet("sqlite");
    await failOn(fleet, "zz/last");
    const node = fleet.node("many", {});
    const coordinator = await fleet.coordinator();
    const draft = (index: number) => ({
      id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      locks: [`l${index}`],
      owner: { node: node.name, principal: "p", action: null, process: null },
      key: null,
      slots: 1,
    });
    for (let index = 0; index < 1_100; index += 1) await coordinator.join(draft(index) as never);
    const serving = await startServer(fleet);
    const text = await metricsOf(serving);
    expect(valueOf(text, "holdline_locks")).toBe(1_101);
    expect(valueOf(text, "holdline_locks_left_out")).toBe(101);
    expect(text.match(/^holdline_waiters\{/gm)).toHaveLength(1_000);
    expect(valueOf(text, 'holdline_claims{lock="zz/last",condition="failed"}')).toBe(1);
  });

  test("of locks are only those that the caller may see", async () => {
    const fleet = await openFleet("sqlite");
    const made = await fleet.node("maker", {}, { input: "t0ken" }).run("serve", "--hash");
    const token = made.stdout.trim();
    const settings = {
      access: { eye: { token, locks: "app/*" }, blind: { password: token, may: "lock" } },
    };
    const serving = await startServer(fleet, "server", { settings });
    for (const lock of ["app/web", "db"]) expect((await fleet.node("n", {}).run("acquire", lock)).code).toBe(0);
    await until(
      async () => valueOf(await metricsOf(serving, { Authorization: "Bearer t0ken" }), 'holdline_waiters{lock="app/web"}') === 0,
      "the lock to be told",
    );
    const text = await metricsOf(serving, { Authorization: "Bearer t0ken" });
    expect(valueOf(text, "holdline_locks")).toBe(1);
    expect(text).not.toContain('lock="db"');
    const Authorization = `Basic ${Buffer.from("blind:t0ken").toString("base64")}`;
    expect((await serving.ask("GET", "/metrics", undefined, { Authorization })).status).toBe(403);
  });
});

test("nodes are told by group and state, rollouts by how far they are, and what is pending and frozen", async () => {
  const fleet = await openFleet("sqlite");
  const wishedAt = Date.now() - 600_000;
  await plantNode(fleet, { node: "web-01", group: "web", actions: { restart: { wishedAt } } });
  await plantNode(fleet, { node: "web-02", group: "web", actions: { restart: { wishedAt, outcome: "failed" }, patch: {} } });
  const pending = { wishedAt, outcome: "timed-out", pendingSince: wishedAt, ranMs: null };
  await plantNode(fleet, { node: "web-03", group: "web", actions: { restart: pending } });
  await plantNode(fleet, { node: "db-01", group: 'd"b' });
  await plantFreezes(fleet, [{ locks: ["restart"] }, { locks: ["x"], until: Date.now() - 1 }]);
  const serving = await startServer(fleet);
  const text = await metricsOf(serving);
  const nodes = (state: string) => valueOf(text, `holdline_nodes{group="web",state="${state}"}`);
  expect(["failed", "running", "waiting", "pending", "done", "idle"].map(nodes)).toEqual([1, 0, 0, 1, 1, 0]);
  expect(valueOf(text, 'holdline_nodes{group="d\\"b",state="idle"}')).toBe(1);
  const restart = (state: string) => valueOf(text, `holdline_rollout_nodes{group="web",action="restart",state="${state}"}`);
  expect(["done", "running", "waiting", "failed", "pending", "notYet"].map(restart)).toEqual([1, 0, 0, 1, 1, 0]);
  expect(valueOf(text, 'holdline_oldest_pending_seconds{group="web"}')).toBeGreaterThanOrEqual(600);
  expect(valueOf(text, 'holdline_oldest_pending_seconds{group="d\\"b"}')).toBe(0);
  expect(valueOf(text, "holdline_freezes")).toBe(1);
  expect(valueOf(text, "holdline_freezes_unreadable")).toBe(0);
  await plant(fleet, FREEZES_DOCUMENT, "no JSON");
  await untilValue(serving, "holdline_freezes_unreadable", 1);
});

test("series of groups and rollouts are bounded, whatever the documents say", async () => {
  const fleet = await openFleet("sqlite");
  for (let index = 0; index < 210; index += 1)
    await plantNode(fleet, {
      node: `n-${index}`,
      group: `group-${index}-${"x".repeat(900)}`,
      actions: { [`action-${index}`]: {} },
    });
  const text = await metricsOf(await startServer(fleet));
  expect(valueOf(text, "holdline_groups_left_out")).toBe(10);
  expect(valueOf(text, "holdline_rollouts_left_out")).toBe(110);
  expect(text.match(/^holdline_nodes\{/gm)).toHaveLength(200 * 6);
  expect(text.match(/^holdline_rollout_nodes\{/gm)).toHaveLength(100 * 6);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(700);
});

describe("the samples in config/", () => {
  /** The metrics that are named in a text of PromQL. */
  const namesIn = (query: string): string[] => query.match(/\b(?:holdline|process|nodejs)_[a-z_]+/g) ?? [];

  async function exported(): Promise<Set<string>> {
    const fleet = await openFleet("sqlite");
    const serving = await startServer(fleet);
    await failOn(fleet, "l");
    await plantNode(fleet, { node: "web-01", actions: { restart: {} } });
    await untilValue(serving, 'holdline_nodes{group="default",state="done"}', 1);
    await untilValue(serving, 'holdline_claims{lock="l",condition="failed"}', 1);
    const names = [...(await metricsOf(serving)).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    return new Set(
      names.flatMap(([, name = "", type]) => (type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
    );
  }

  interface Rule {
    readonly alert: string;
    readonly expr: string;
    readonly annotations?: { readonly summary: string };
  }

  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly datasource?: object;
    readonly targets?: readonly { readonly expr: string }[];
    readonly gridPos: object;
  }

  test("the dashboard and the alerts ask for what the server tells", async () => {
    const dashboard = JSON.parse(readFileSync(join(CONFIG, "grafana-dashboard.json"), "utf8")) as {
      readonly panels: readonly Panel[];
    };
    const alerts = parse(readFileSync(join(CONFIG, "prometheus-alerts.yml"), "utf8")) as {
      readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
    };
    const rules = alerts.groups.flatMap((group) => group.rules);
    const queries = [
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...rules.map(({ expr }) => expr),
    ];
    expect(queries.length).toBeGreaterThan(10);
    const known = await exported();
    expect([...new Set(queries.flatMap(namesIn))].filter((name) => !known.has(name))).toEqual([]);
    for (const query of queries) expect([query, namesIn(query).length > 0 || query.includes("up{")]).toEqual([query, true]);
    for (const { alert, expr, annotations } of rules)
      expect([typeof alert, typeof expr, typeof annotations?.summary]).toEqual(["string", "string", "string"]);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const toxic = rules.find(({ alert }) => alert === "HoldlineToxicLock");
    expect(toxic?.expr).toBe("max by (lock, node) (holdline_failed_holder_seconds) > 15 * 60");
  });
});

test("docs/server.md has a line on each metric of Holdline's own", async () => {
  const serving = await startServer(await openFleet("sqlite"));
  const told = [...(await metricsOf(serving)).matchAll(/^# TYPE (holdline_\S+)/gm)].map(([, name]) => name);
  const page = readFileSync(resolve(import.meta.dirname, "../../docs/server.md"), "utf8");
  const written = [...page.matchAll(/^\| `(holdline_[a-z_]+)` \|/gm)].map(([, name]) => name);
  expect(written.toSorted()).toEqual(told.toSorted());
});
