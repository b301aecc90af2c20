import { NONE_GONE } from "../support/perspectives.js";
import { describe, expect, test } from "vitest";
import { createClock } from "../../src/line/clock.js";
import { DurableClaim } from "../../src/actions/durable-claim.js";
import { waitInLine } from "../../src/line/waiting.js";
import { applyChanges } from "../../src/leases/data.js";
import type { HeldLease, LeaseRequest } from "../../src/leases/request.js";
import { acquireLease } from "../../src/leases/acquiring.js";
import { changeData, isLeaseHeld, fetchData, releaseById, releaseLease, renewLease } from "../../src/leases/lease.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { readHolders, readPresentHolders } from "../../src/line/holders.js";
import { draftFor, recordFor, RELEASED, takeDurably } from "../coordinators/conformance/store.js";
import { until } from "../support/wait.js";
import { leasesOn, openStage, requestFor, START, type Stage } from "./stage.js";

const BY = { by: "bob@admin-02" };
// What the principal who has made it may do, others may do by force.
const BY_FORCE = { ...BY, force: true };

/** A lease of 4 s on `db`, taken at the start. */
async function leased(stage: Stage, changes: Partial<LeaseRequest> = {}): Promise<{ coordinator: Coordinator; lease: HeldLease }> {
  const coordinator = await stage.open();
  const acquired = await acquireLease(requestFor("db", changes), leasesOn(coordinator));
  if (acquired.outcome !== "acquired") throw new Error("the lock was held");
  return { coordinator, lease: acquired.lease };
}

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof HoldlineError ? `${error.code}: ${error.message}` : String(error);
}

describe("a lease", () => {
  test("is a durable claim of nobody's process, until its time is over", async () => {
    const { coordinator, lease } = await leased(openStage(), { reason: "schema 42", data: { a: 1 } });
    expect(lease).toMatchObject({ locks: ["db"], expiresAt: START + 4_000 });
    expect(await coordinator.queue("db")).toMatchObject([
      {
        id: lease.id,
        durable: true,
        alive: true,
        fencingToken: lease.fencingToken,
        owner: { node: "admin-01", principal: "ann@admin-01", action: null, process: null },
        lease: { type: "lease", caller: null, path: null, locks: ["db"] },
        expiresAt: START + 4_000,
        reason: "schema 42",
        data: { a: 1 },
        made: null,
      },
    ]);
  });

  test("outlives the session of the process that took it", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    await coordinator.close();
    expect(await isLeaseHeld(await stage.open(), "db", lease.id)).toBe(true);
  });

  test("lasts whole milliseconds, and never too few", async () => {
    const { lease } = await leased(openStage(), { ttlMs: 0.25 });
    expect(lease.expiresAt).toBe(START + 1);
  });

  test("that is renewed counts from then, and is over at the very millisecond", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    stage.now = START + 2_000;
    const renewed = await renewLease(coordinator, "db", lease.id, { ttlMs: 4_000, ...BY_FORCE });
    expect(renewed).toMatchObject({ outcome: "renewed", lease: { ...lease, expiresAt: START + 6_000 } });
    const [claim] = await coordinator.queue("db");
    expect(renewed.outcome === "renewed" && renewed.claim, "what it tells of the claim is what there is").toEqual(claim);
    stage.now = START + 5_999;
    expect(await isLeaseHeld(coordinator, "db", lease.id)).toBe(true);
    stage.now = START + 6_000;
    expect(await isLeaseHeld(coordinator, "db", lease.id)).toBe(false);
    expect(await coordinator.history("db", 10)).toMatchObject([{ claim: lease.id, event: "expired", by: null }]);
  });

  test("whose time is over is not brought back by renewing it, and is gone then", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    stage.now = START + 4_000;
    expect(await renewLease(coordinator, "db", lease.id, { ttlMs: 4_000, ...BY_FORCE })).toEqual({ outcome: "expired" });
    expect(await coordinator.queue("db")).toEqual([]);
    expect(await coordinator.history("db", 10)).toMatchObject([{ event: "expired" }]);
  });

  test("whose time runs out while it is being renewed is not brought back either", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    stage.now = START + 3_999;
    let looks = 0;
    // The first look at the clock finds it in time; the second is the one from which the new time would be counted.
    stage.before = ({ operation }) => {
      if (operation === "sync" && (looks += 1) === 2) stage.now = START + 4_000;
    };
    expect(await renewLease(coordinator, "db", lease.id, { ttlMs: 4_000, ...BY_FORCE })).toEqual({ outcome: "expired" });
    expect(looks).toBeGreaterThan(1);
    expect(await coordinator.history("db", 10)).toMatchObject([{ event: "expired" }]);
  });

  test("that somebody renews while another finds it expired stays", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    const other = await stage.open();
    stage.now = START + 4_000;
    stage.before = ({ operation }) => {
      if (operation !== "leave") return undefined;
      stage.before = () => undefined;
      return coordinator.queue("db").then(([claim]) => {
        if (claim === undefined) throw new Error("the lease is gone");
        return coordinator.update(lease.id, { entries: [claim], fencingToken: lease.fencingToken }, { ...claim, expiresAt: null });
      });
    };
    expect(await readPresentHolders(other, "db")).toMatchObject([{ id: lease.id, expiresAt: null }]);
    expect(await other.history("db", 10)).toEqual([]);
  });

  test("of another principal is renewed and ended by force alone", async () => {
    const { coordinator, lease } = await leased(openStage());
    const before = await coordinator.queue("db");
    expect(await codeOf(releaseLease(coordinator, "db", lease.id, { ...BY, reason: null }))).toMatch(
      /^not-allowed: .* belongs to ann@admin-01/,
    );
    expect(await codeOf(releaseById(coordinator, lease.id, { ...BY, reason: null }))).toMatch(
      /^not-allowed: .* belongs to ann@admin-01/,
    );
    expect(await codeOf(renewLease(coordinator, "db", lease.id, { ...BY, ttlMs: 1 }))).toMatch(
      /^not-allowed: .* belongs to ann@admin-01/,
    );
    expect(await coordinator.queue("db")).toEqual(before);
    expect(await coordinator.history("db", 10)).toEqual([]);
  });

  test("can be ended by its id, once and again", async () => {
    const { coordinator, lease } = await leased(openStage());
    expect(await releaseLease(coordinator, "db", lease.id, { ...BY_FORCE, reason: null })).toBe("released");
    expect(await releaseLease(coordinator, "db", lease.id, { ...BY_FORCE, reason: null })).toBe("gone");
    expect(await renewLease(coordinator, "db", lease.id, { ttlMs: 1, ...BY_FORCE })).toEqual({ outcome: "expired" });
    expect(await coordinator.history("db", 10)).toMatchObject([{ event: "released", by: "bob@admin-02" }]);
  });

  test("is the only thing that can be released or renewed", async () => {
    const stage = openStage();
    const coordinator = await stage.open();
    const { draft } = await takeDurably(coordinator, "db");
    const waiting = draftFor("web", { owner: { ...draft.owner, action: null } });
    await coordinator.join(waiting);
    const refused = /^not-allowed: the claim \S+ on db is no lease: it belongs to the action restart-nginx on web-01$/;
    expect(await codeOf(releaseLease(coordinator, "db", draft.id, { ...BY_FORCE, reason: null }))).toMatch(refused);
    expect(await codeOf(renewLease(coordinator, "db", draft.id, { ttlMs: 1, ...BY_FORCE }))).toMatch(refused);
    expect(await codeOf(releaseLease(coordinator, "web", waiting.id, { ...BY_FORCE, reason: null }))).toMatch(
      /a process on web-01$/,
    );
    expect(await codeOf(renewLease(coordinator, "web", waiting.id, { ttlMs: 1, ...BY_FORCE }))).toMatch(
      /^not-allowed: .* is ephemeral/,
    );
    expect(await coordinator.queue("db")).toHaveLength(1);
    expect(await coordinator.queue("web")).toHaveLength(1);
  });
});

describe("a lock that is held", () => {
  test("comes with its holders, and nothing is left in line", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage);
    const held = await acquireLease(requestFor("db"), leasesOn(await stage.open()));
    expect(held).toMatchObject({ outcome: "held", lock: "db", holders: [{ id: lease.id }] });
    expect(await coordinator.queue("db")).toHaveLength(1);
  });

  test("comes with its holders after a wait in vain, too", async () => {
    const stage = openStage();
    const { lease } = await leased(stage);
    const coordinator = await stage.open();
    const held = await acquireLease(requestFor("db", { waitMs: 30 }), leasesOn(coordinator));
    expect(held).toMatchObject({ outcome: "held", holders: [{ id: lease.id }] });
    expect(await coordinator.queue("db")).toHaveLength(1);
  });

  test("by an expired lease is free for the next claim, waiting or not", async () => {
    for (const waitMs of [0, null]) {
      const stage = openStage();
      const { lease } = await leased(stage);
      stage.now = START + 4_000;
      const coordinator = await stage.open();
      const acquired = await acquireLease(requestFor("db", { waitMs }), leasesOn(coordinator));
      expect(acquired).toMatchObject({ outcome: "acquired", lease: { expiresAt: START + 8_000 } });
      expect(await coordinator.history("db", 10)).toMatchObject([{ claim: lease.id, event: "expired", by: null }]);
    }
  });

  test("passes on to who waits once the lease is over: an action as well as a person", async () => {
    const stage = openStage();
    await leased(stage);
    const coordinator = await stage.open();
    const draft = draftFor("db");
    const line = waitInLine(coordinator, draft, {
      clock: createClock(),
      acquire: { timeoutMs: null, sleepTimeMs: 5 },
      progress: { waiting: () => undefined, step: () => undefined },
      perspective: NONE_GONE,
      stop: new AbortController().signal,
    });
    await until(async () => (await coordinator.queue("db")).length === 2, "the action to wait");
    stage.now = START + 4_000;
    expect(await line).toMatchObject({ outcome: "granted" });
    expect(await coordinator.history("db", 10)).toMatchObject([{ event: "expired", by: null }]);
  });

  test("says nothing of waiting to who does not wait", async () => {
    const stage = openStage();
    await leased(stage);
    let said = 0;
    const progress = { waiting: () => void (said += 1), step: () => undefined };
    const coordinator = await stage.open();
    await acquireLease(requestFor("db"), leasesOn(coordinator, { progress }));
    expect(said).toBe(0);
    await acquireLease(requestFor("db", { waitMs: 20 }), leasesOn(coordinator, { progress }));
    expect(said).toBeGreaterThan(0);
  });

  test("leaves nobody in line who is interrupted", async () => {
    const stage = openStage();
    await leased(stage);
    const coordinator = await stage.open();
    const stop = new AbortController();
    const waiting = acquireLease(requestFor("db", { waitMs: null }), leasesOn(coordinator, { signal: stop.signal }));
    await until(async () => (await coordinator.queue("db")).length === 2, "the second to wait");
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    expect(await coordinator.queue("db")).toHaveLength(1);
  });

  test("is not said to be lost by who was taken out of its line", async () => {
    const stage = openStage();
    await leased(stage);
    const coordinator = await stage.open();
    const waiting = acquireLease(requestFor("db", { waitMs: null }), leasesOn(coordinator));
    const [, own] = await until(async () => {
      const queue = await coordinator.queue("db");
      return queue.length === 2 ? queue : null;
    }, "the second to wait");
    await (await stage.open()).withdraw([own as NonNullable<typeof own>]);
    expect(await codeOf(waiting)).toMatch(/^conflict: /);
  });

  test("has all its holders, however many share it", async () => {
    const stage = openStage();
    const coordinator = await stage.open();
    const many = { key: "smoke", slots: Number.POSITIVE_INFINITY };
    const ids: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      const acquired = await acquireLease(requestFor("db", many), leasesOn(coordinator));
      if (acquired.outcome === "acquired") ids.push(acquired.lease.id);
    }
    expect((await readHolders(coordinator, "db")).map(({ id }) => id)).toEqual(ids);
    expect(await isLeaseHeld(coordinator, "db", ids[19] as string)).toBe(true);
    const held = await acquireLease(requestFor("db", { key: "deploy" }), leasesOn(coordinator));
    expect(held.outcome === "held" && held.holders).toHaveLength(20);
  });
});

describe("the data of a claim", () => {
  test("is changed with what another has written meanwhile", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage, { data: { count: 0 } });
    const other = await stage.open();
    const change = (key: string) => (data: unknown) => applyChanges(data, [{ kind: "set", path: [key], value: 1 }]);
    const outcomes = await Promise.all([
      changeData(coordinator, "db", lease.id, change("a")),
      changeData(other, "db", lease.id, change("b")),
      renewLease(other, "db", lease.id, { ttlMs: 9_000, ...BY_FORCE }),
    ]);
    expect(outcomes).not.toContain("gone");
    const [claim] = await coordinator.queue("db");
    expect(claim).toMatchObject({ data: { count: 0, a: 1, b: 1 }, expiresAt: START + 9_000, fencingToken: lease.fencingToken });
    expect(await fetchData(coordinator, "db", lease.id)).toEqual({ data: { count: 0, a: 1, b: 1 } });
  });

  test("of a lease that is over is gone", async () => {
    const stage = openStage();
    const { coordinator, lease } = await leased(stage, { data: 1 });
    stage.now = START + 4_000;
    expect(await changeData(coordinator, "db", lease.id, () => 2)).toBe("gone");
    expect(await fetchData(coordinator, "db", lease.id)).toBe("gone");
    expect(await coordinator.history("db", 10)).toMatchObject([{ event: "expired", data: 1 }]);
  });

  test("of an ephemeral claim can be read and not be changed", async () => {
    const coordinator = await openStage().open();
    const draft = draftFor("db", { data: { a: 1 } });
    await coordinator.join(draft);
    expect(await fetchData(coordinator, "db", draft.id)).toEqual({ data: { a: 1 } });
    expect(await codeOf(changeData(coordinator, "db", draft.id, () => 2))).toMatch(/^not-allowed: .* is ephemeral/);
  });

  test.each(["released", "failed"] as const)("of a running action is kept when that has %s", async (end) => {
    const stage = openStage();
    const coordinator = await stage.open();
    const draft = draftFor("db", { data: { ticket: 1 } });
    const joined = await coordinator.join(draft);
    const settled = await coordinator.settle(draft, joined, recordFor(draft));
    const taken = { id: draft.id, lock: "db", settled, record: recordFor(draft) };
    const held = new DurableClaim(coordinator, taken, { clock: createClock(), releaseTimeoutMs: 5_000 });
    const other = await stage.open();
    const data = (present: unknown) => applyChanges(present, [{ kind: "set", path: ["status"], value: "READY" }]);
    expect(await changeData(other, "db", draft.id, data)).toEqual({ data: { ticket: 1, status: "READY" } });
    if (end === "released") {
      expect(await held.release(RELEASED)).toEqual({ outcome: "done" });
      expect(await other.queue("db")).toEqual([]);
      expect(await other.history("db", 10)).toMatchObject([{ event: "released", data: { ticket: 1, status: "READY" } }]);
    } else {
      const failure = { exitCode: 1, signal: null, message: "exit code 1", output: "" };
      const moment = { bootId: null, ticks: null, wallMs: 0 };
      expect(await held.fail(failure, moment, "ann")).toEqual({ outcome: "done" });
      expect(await other.queue("db")).toMatchObject([{ failure, data: { ticket: 1, status: "READY" } }]);
    }
  });
});
