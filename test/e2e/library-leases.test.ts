// Leases and locks on hosts as other programs take them: the built library, on real stores.
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { DEFAULT_TTL_MS } from "../../src/config/locks.js";
import type * as Library from "../../src/index.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { openFleet, STORES } from "./fleet.js";

failOnLeaks();

const NOBODYS = "00000000-0000-4000-8000-000000000000";

// What a user imports, with the types that it is published with.
const { href } = pathToFileURL(resolve(import.meta.dirname, "../../dist/index.js"));
const { HoldlineError, hostLock, openHoldline, UnreachableError } = (await import(/* @vite-ignore */ href)) as typeof Library;

const EXAMPLE = resolve(import.meta.dirname, "../../examples/leases.mjs");

async function open(url: string, options: Library.HoldlineOptions = {}): Promise<Library.Holdline> {
  const holdline = await openHoldline(url, { sleepTimeMs: 20, node: "web-07", principal: "ann@web-07", ...options });
  onTestFinished(() => holdline.close());
  return holdline;
}

/** The lease that was got. */
function leaseIn(outcome: Library.AcquireOutcome | Library.LockHostsOutcome): Library.HeldLease {
  if (outcome.outcome !== "acquired") throw new Error(`${outcome.lock} was ${outcome.outcome}`);
  return outcome.lease;
}

const DEPENDENCIES = { hv01: ["dc01", "vmm01"], dc01: ["dc02"], dc02: ["dc01"] };

describe.each(STORES)("on %s", (kind) => {
  test("the example runs", async () => {
    const { url } = await openFleet(kind);
    const { status, stdout, stderr } = spawnSync(process.execPath, [EXAMPLE, url], { encoding: "utf8", timeout: 50_000 });
    expect([status, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 4)).toEqual(["leased: held", "locked: dc01, dc02, hv01", "hv01: host for OPS-124", "unlocked: released"]);
    // Those of one claim ended in one moment.
    expect(lines.slice(4).sort()).toEqual([
      "db-migrate released: schema 42",
      "host/dc01 released: new disks",
      "host/dc02 released: new disks",
      "host/hv01 released: new disks",
    ]);
  });

  test("a lease is acquired, shown, renewed and released; that it is held or over is an answer", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url, { node: "web-08", principal: "bob@web-08" })];
    const lease = leaseIn(await one.acquire("db", { ttlMs: 60_000, reason: "schema 42", data: { step: 1 } }));
    expect(lease).toMatchObject({ locks: ["db"], fencingToken: expect.any(Number) as number });

    const held = await other.acquire("db");
    expect(held).toMatchObject({
      outcome: "held",
      lock: "db",
      holders: [{ id: lease.id, state: "held", condition: "leased", owner: { principal: "ann@web-07" }, reason: "schema 42" }],
    });
    expect(await other.current("db")).toMatchObject([{ id: lease.id, data: { step: 1 }, expiresAt: lease.expiresAt }]);
    expect([await other.isHeld("db", lease.id), await other.isHeld("db", NOBODYS)]).toEqual([true, false]);

    const renewed = await one.renew("db", lease.id, { ttlMs: 120_000 });
    expect(renewed).toMatchObject({ outcome: "renewed", lease: { id: lease.id, fencingToken: lease.fencingToken } });
    if (renewed.outcome === "renewed") expect(renewed.lease.expiresAt).toBeGreaterThan((lease.expiresAt ?? 0) + 50_000);
    expect(await one.renew("db", lease.id, { ttlMs: null })).toMatchObject({ lease: { expiresAt: null } });

    expect(await one.release("db", lease.id, { reason: "done" })).toEqual({ outcome: "released" });
    expect(await one.release("db", lease.id)).toEqual({ outcome: "gone" });
    expect(await one.renew("db", lease.id)).toEqual({ outcome: "expired" });
    expect([await one.current("db"), await one.isHeld("db", lease.id)]).toEqual([[], false]);
    expect(await other.history({ lock: "db" })).toMatchObject([
      { claim: lease.id, event: "released", by: "ann@web-07", reason: "done", description: "schema 42", data: { step: 1 } },
    ]);
  });

  test("a lease whose time is over is gone, wherever it is met", async () => {
    const { url } = await openFleet(kind);
    const holdline = await open(url);
    const lease = leaseIn(await holdline.acquire("db", { ttlMs: 50 }));
    await until(async () => !(await holdline.isHeld("db", lease.id)), "the lease to be over");
    expect(await holdline.renew("db", lease.id)).toEqual({ outcome: "expired" });
    leaseIn(await holdline.acquire("web", { ttlMs: 50 }));
    await until(async () => (await holdline.locks()).length === 0, "locks() to show none");
    leaseIn(await holdline.acquire("app", { ttlMs: 50 }));
    await until(async () => !(await holdline.status("app")).locked, "status() to show none");
    expect((await holdline.history()).map(({ event }) => event)).toEqual(["expired", "expired", "expired"]);
    const next = leaseIn(await holdline.acquire("db"));
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
    expect((next.expiresAt ?? 0) - ((await holdline.current("db"))[0]?.since ?? 0)).toBeLessThanOrEqual(DEFAULT_TTL_MS);
    expect((next.expiresAt ?? 0) - ((await holdline.current("db"))[0]?.since ?? 0)).toBeGreaterThan(DEFAULT_TTL_MS - 10_000);
  });

  test("a lease outlives the program that took it", async () => {
    const { url } = await openFleet(kind);
    const first = await openHoldline(url, { sleepTimeMs: 20 });
    const lease = leaseIn(await first.acquire("db", { ttlMs: null }));
    await first.close();
    const later = await open(url);
    expect(await later.status("db")).toMatchObject({
      lock: "db",
      locked: true,
      types: ["lease"],
      holders: [{ id: lease.id, expiresAt: null, condition: "leased", lease: { type: "lease" } }],
      waiting: [],
    });
    // Another principal's: knowing its id is not enough.
    for (const attempt of [() => later.unlock(lease.id), () => later.release("db", lease.id), () => later.renew("db", lease.id)])
      await expect(attempt()).rejects.toMatchObject({
        code: "not-allowed",
        message: expect.stringContaining("belongs to") as string,
      });
    expect(await later.renew("db", lease.id, { ttlMs: 60_000, force: true })).toMatchObject({ outcome: "renewed" });
    expect(await later.unlock(lease.id, { force: true })).toEqual({ outcome: "released" });
    expect(await later.history()).toMatchObject([{ claim: lease.id, event: "released", by: "ann@web-07" }]);
  });

  test("a wait ends with its turn, with its time, or with its signal, and leaves nothing behind", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url)];
    const lease = leaseIn(await one.acquire("db"));
    expect(await other.acquire("db", { timeoutMs: 50 })).toMatchObject({ outcome: "held", holders: [{ id: lease.id }] });
    expect(await other.status("db")).toMatchObject({ waiting: [] });

    const enough = new AbortController();
    const broken = other.acquire("db", { timeoutMs: Number.POSITIVE_INFINITY, signal: enough.signal });
    broken.catch(() => undefined);
    await until(async () => (await one.status("db")).waiting.length === 1, "the other to wait");
    const reason = new Error("enough");
    enough.abort(reason);
    await expect(within(broken, "the wait to end")).rejects.toBe(reason);
    await expect(other.acquire("db", { signal: enough.signal })).rejects.toBe(reason);
    expect(await other.status("db")).toMatchObject({ holders: [{ id: lease.id }], waiting: [] });

    const waiting = other.acquire("db", { timeoutMs: Number.POSITIVE_INFINITY });
    await until(async () => (await one.status("db")).waiting.length === 1, "the other to wait");
    await one.release("db", lease.id);
    expect(await within(waiting, "its turn")).toMatchObject({ outcome: "acquired" });
  });

  test("leases with one key are held together, as far as slots allow", async () => {
    const holdline = await open((await openFleet(kind)).url);
    const sharing = { key: "smoke", slots: 2 };
    const ids = [leaseIn(await holdline.acquire("lab", sharing)).id, leaseIn(await holdline.acquire("lab", sharing)).id];
    const held = await holdline.acquire("lab", sharing);
    expect(held.outcome === "held" && held.holders.map(({ id }) => id)).toEqual(ids);
    expect((await holdline.current("lab")).map(({ id }) => id)).toEqual(ids);
  });

  test("a host is locked with all that it depends on, under one id", async () => {
    const { url } = await openFleet(kind);
    const holdline = await open(url, { dependencies: DEPENDENCIES });
    const locked = await holdline.lockHosts("DC01", { caller: "OPS-1", description: "new disks" });
    expect(locked).toMatchObject({ outcome: "acquired", hosts: ["dc01", "dc02", "hv01"], lease: { expiresAt: null } });
    const { id } = leaseIn(locked);
    for (const host of ["dc01", "dc02", "hv01"]) {
      expect(await holdline.status(hostLock(host))).toMatchObject({
        locked: true,
        types: ["generic"],
        holders: [{ id, reason: "new disks", lease: { type: "generic", caller: "OPS-1" } }],
      });
    }
    const file = leaseIn(await holdline.lockHosts("dc01", { type: "file", path: "/x", withDependencies: false }));
    expect(await holdline.status("host/dc01")).toMatchObject({ types: ["generic", "file"] });
    expect(await holdline.status("host/dc02")).toMatchObject({ types: ["generic"] });
    expect(await holdline.lockHosts("dc02", { type: "host" })).toMatchObject({ outcome: "held", lock: "host/dc02" });
    expect(await holdline.lockHosts("dc02", { ensureUnlocked: true })).toMatchObject({ outcome: "held" });
    expect(await holdline.unlock(id)).toEqual({ outcome: "released" });
    expect(await holdline.unlock(id)).toEqual({ outcome: "gone" });
    expect((await holdline.locks()).map(({ lock }) => lock)).toEqual(["host/dc01"]);
    expect(await holdline.unlock(file.id)).toEqual({ outcome: "released" });
    const alone = leaseIn(await holdline.lockHosts("dc02", { ensureUnlocked: true, ttlMs: 60_000 }));
    expect(alone.expiresAt).not.toBeNull();
  });

  test("the claim of a process is neither renewed, nor released, nor unlocked", async () => {
    const holdline = await open((await openFleet(kind)).url);
    await holdline.withLock("db", {}, async ({ id }) => {
      expect(await holdline.status("db")).toMatchObject({ locked: true, types: ["process"] });
      for (const attempt of [() => holdline.renew("db", id), () => holdline.release("db", id), () => holdline.unlock(id)]) {
        await expect(attempt()).rejects.toMatchObject({ code: "not-allowed" });
      }
    });
  });

  test("the history keeps as much as it was told to, and gives as much as is asked for", async () => {
    const holdline = await open((await openFleet(kind)).url, { historyKeep: 3 });
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const { id } = leaseIn(await holdline.acquire("db"));
      await holdline.release("db", id);
      ids.unshift(id);
    }
    expect((await holdline.history({ lock: "db" })).map(({ claim }) => claim)).toEqual(ids.slice(0, 3));
    expect((await holdline.history({ limit: 1 })).map(({ claim }) => claim)).toEqual(ids.slice(0, 1));
    expect(await holdline.history({ lock: "another" })).toEqual([]);
  });

  test("what cannot be is refused by a rejection, before anything is touched", async () => {
    const holdline = await open((await openFleet(kind)).url);
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const attempts: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["the lock name", () => holdline.acquire("a//b")],
      ["slots must be", () => holdline.acquire("db", { slots: 0 })],
      ["timeoutMs must be", () => holdline.acquire("db", { timeoutMs: -1 })],
      ["timeoutMs must be", () => holdline.acquire("db", { timeoutMs: Number.NaN })],
      ["ttlMs must be", () => holdline.acquire("db", { ttlMs: 0 })],
      ["ttlMs must be", () => holdline.acquire("db", { ttlMs: "1 s" as unknown as number })],
      ["reason must be well-formed text", () => holdline.acquire("db", { reason: 7 as unknown as string })],
      ["data contains itself", () => holdline.acquire("db", { data: circle })],
      ["data is nothing that JSON can carry", () => holdline.acquire("db", { data: () => 1 })],
      ["data is nothing that JSON can carry", () => holdline.withLock("db", { data: 1n }, () => Promise.resolve())],
      ["data has more than 65536 bytes", () => holdline.acquire("db", { data: "x".repeat(70_000) })],
      ["a host's name must be", () => holdline.lockHosts("a b")],
      ["type must be generic, host, file", () => holdline.lockHosts("a", { type: "lease" as unknown as "host" })],
      ["path is for locks of the type file", () => holdline.lockHosts("a", { path: "/x" })],
      ["ensureUnlocked does not wait", () => holdline.lockHosts("a", { ensureUnlocked: true, timeoutMs: 5 })],
      ["is no id of a claim", () => holdline.unlock("dc01")],
      ["is no id of a claim", () => holdline.release(NOBODYS, "db")],
      ["is no id of a claim", () => holdline.isHeld("db", "another")],
      ["the id of a claim", () => holdline.unlock("")],
      ["the id is empty", () => holdline.release("db", undefined as unknown as string)],
      ["limit must be", () => holdline.history({ limit: 0 })],
    ];
    for (const [words, attempt] of attempts) {
      const error: unknown = await attempt().then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error, words).toBeInstanceOf(HoldlineError);
      expect(error).toMatchObject({ code: "usage", message: expect.stringContaining(words) as string });
    }
    expect(await holdline.locks()).toEqual([]);
  });
});

test.each<[Library.HoldlineOptions, string]>([
  [{ dependencies: { "a b": [] } }, "a host's name must be without blanks"],
  [{ dependencies: { a: "b" as unknown as string[] } }, "dependencies: a must have a list"],
  [{ historyKeep: 0 }, "historyKeep must be a whole number from 1"],
  [{ historyForMs: 0.5 }, "historyForMs must be a whole number from 1"],
  [{ historyTotal: -1 }, "historyTotal must be a whole number from 1"],
])("openHoldline refuses %j", async (options, words) => {
  await expect(openHoldline("sqlite:///nowhere/x.db", options)).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining(words) as string,
  });
});

test("a store that has gone is an error, with the kind that says so", async () => {
  const holdline = await openHoldline((await openFleet("sqlite")).url);
  await holdline.close();
  await expect(holdline.acquire("db")).rejects.toBeInstanceOf(UnreachableError);
});
