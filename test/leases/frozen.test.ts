// Leases and ephemeral claims under a freeze, on a store whose requests are held until something else has happened.
import { describe, expect, test } from "vitest";
import { acquireLease } from "../../src/leases/acquiring.js";
import { freezeLocks, type FreezeRequest, thawLocks } from "../../src/leases/freezing.js";
import { renewLease } from "../../src/leases/lease.js";
import { acquireOnce } from "../../src/leases/once.js";
import type { LeaseContext, LeaseRequest } from "../../src/leases/request.js";
import { createClock } from "../../src/line/clock.js";
import { type EphemeralClaim, type EphemeralEnd, withEphemeralClaim } from "../../src/line/ephemeral-claim.js";
import { SILENT_PROGRESS } from "../../src/line/progress.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { draftFor, ownerAt, RELEASED, takeDurably } from "../coordinators/conformance/store.js";
import { NONE_GONE } from "../support/perspectives.js";
import { freshId } from "../support/roots.js";
import { until } from "../support/wait.js";
import { leasesOn, openStage, requestFor, START, type Stage } from "./stage.js";

const ANN = { owner: ownerAt("desk") };

async function freeze(coordinator: Coordinator, changes: Partial<FreezeRequest> = {}): Promise<string> {
  const request = { id: freshId(), locks: ["*"], node: null, group: null, reason: "sale", forMs: null, ...changes };
  return (await freezeLocks(coordinator, request, ANN)).id;
}

/** Does something once, before the next such request takes effect. */
function beforeNext(stage: Stage, operation: string, act: () => Promise<unknown>): void {
  let isDone = false;
  stage.before = (request) => {
    if (isDone || request.operation !== operation) return undefined;
    isDone = true;
    return act();
  };
}

/** Progress that tells of each step. */
function heard() {
  const steps: string[] = [];
  return { steps, progress: { waiting: () => undefined, step: (message: string) => void steps.push(message) } };
}

describe("a lease", () => {
  const ask = (coordinator: Coordinator, changes: Partial<LeaseRequest> = {}, context: Partial<LeaseContext> = {}) =>
    acquireLease(requestFor("db", changes), leasesOn(coordinator, context));

  test("is not taken under a freeze, and nothing is left in line", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    const id = await freeze(admin);
    expect(await ask(coordinator)).toMatchObject({ outcome: "frozen", lock: "db", freezes: [{ id, reason: "sale" }] });
    expect(await coordinator.queue("db")).toEqual([]);
    expect(await ask(coordinator, { despiteFreeze: true })).toMatchObject({ outcome: "acquired" });
  });

  test("is not taken where the freeze is committed between the look and the settling", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    beforeNext(stage, "settle", () => freeze(admin));
    expect(await ask(coordinator)).toMatchObject({ outcome: "frozen" });
    expect(await coordinator.queue("db")).toEqual([]);
  });

  test("is taken where freezes have come and gone, or bind others, between the look and the settling", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    beforeNext(stage, "settle", async () => {
      await freeze(admin, { locks: ["other"] });
      await thawLocks(admin, await freeze(admin), ANN);
    });
    expect(await ask(coordinator)).toMatchObject({ outcome: "acquired" });
  });

  test("is not waited for by a second request with its id that does not wait, while the first keeps its place under a freeze", async () => {
    const stage = openStage();
    const [coordinator, other, admin] = [await stage.open(), await stage.open(), await stage.open()];
    const request = { ...requestFor("db"), id: freshId() };
    const frozen = await freeze(admin);
    const first = acquireOnce({ ...request, waitMs: null }, leasesOn(coordinator));
    await until(async () => (await admin.queue("db")).length === 1, "the first to stand in line");
    expect(await acquireOnce({ ...request, waitMs: 0 }, leasesOn(other))).toMatchObject({
      outcome: "frozen",
      freezes: [{ id: frozen }],
    });
    expect(await admin.queue("db")).toMatchObject([{ id: request.id }]);
    await thawLocks(admin, frozen, ANN);
    expect(await first).toMatchObject({ outcome: "acquired", lease: { id: request.id } });
    expect(await acquireOnce({ ...request, waitMs: 0 }, leasesOn(other))).toMatchObject({ outcome: "found" });
  });

  test("is waited for in its place while the whole lock is frozen, and taken with the thaw of the last freeze", async () => {
    const stage = openStage();
    const [coordinator, other, admin] = [await stage.open(), await stage.open(), await stage.open()];
    const { draft, settled } = await takeDurably(other, "db");
    const { steps, progress } = heard();
    const asked = ask(coordinator, { waitMs: null }, { progress });
    await until(async () => (await admin.queue("db")).length === 2, "the waiter to stand in line");
    const [first, second] = [await freeze(admin), await freeze(admin, { locks: ["d*"] })];
    await other.leave(draft.id, settled.entries, RELEASED);
    await until(() => steps.some((step) => step.includes("waiting for the thaw")), "the waiter to hear of the freeze");
    const behind = await other.join(draftFor("db"));
    await thawLocks(admin, first, ANN);
    expect((await admin.queue("db")).map(({ durable }) => durable)).toEqual([false, false]);
    await thawLocks(admin, second, ANN);
    const acquired = await asked;
    expect(acquired.outcome).toBe("acquired");
    // In its place: whoever came meanwhile is behind it.
    expect((await other.position(behind.positions[0]!)).ahead).toHaveLength(1);
    expect((await admin.queue("db"))[0]).toMatchObject({ durable: true });
  });

  test("is taken when the freeze is over by the store's clock", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    await freeze(admin, { forMs: 60_000 });
    const { steps, progress } = heard();
    const pauses: { readonly ms: number; readonly wake: () => void }[] = [];
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        pauses.push({ ms, wake: resolve });
        signal?.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const asked = ask(coordinator, { waitMs: null }, { progress, clock: { now: () => 0, sleep } });
    await until(() => steps.length > 0 && pauses.length === 1, "the waiter to pause until the end");
    expect(pauses[0]?.ms).toBe(60_000);
    stage.now = START + 60_000;
    pauses[0]?.wake();
    expect(await asked).toMatchObject({ outcome: "acquired" });
  });

  test.each([{ node: "admin-*" }, { group: "web" }])(
    "is given up at its turn where only %j is frozen, and others go ahead",
    async (who) => {
      const stage = openStage();
      const [coordinator, other, admin] = [await stage.open(), await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(other, "db");
      const subject = { node: "admin-01", group: "web" };
      const asked = ask(coordinator, { waitMs: null }, { subject });
      await until(async () => (await admin.queue("db")).length === 2, "the waiter to stand in line");
      await freeze(admin, who);
      await other.leave(draft.id, settled.entries, RELEASED);
      expect(await asked).toMatchObject({ outcome: "frozen" });
      expect(await ask(coordinator, { waitMs: null }, { subject })).toMatchObject({ outcome: "frozen" });
      expect(await ask(other, {}, { subject: { node: "db-01", group: "db" } })).toMatchObject({ outcome: "acquired" });
    },
  );

  test("of a host is frozen with the host, wherever it is asked for", async () => {
    const stage = openStage();
    const coordinator = await stage.open();
    await freeze(coordinator, { node: "dc01" });
    const on = (host: string) => ask(coordinator, { locks: [`host/${host}`] }, { subject: { node: "", group: "" } });
    expect(await on("dc01")).toMatchObject({ outcome: "frozen" });
    expect(await on("dc02")).toMatchObject({ outcome: "acquired" });
  });

  test("that is held is renewed under a freeze", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    const acquired = await ask(coordinator);
    if (acquired.outcome !== "acquired") throw new Error(acquired.outcome);
    await freeze(admin);
    const renewed = await renewLease(coordinator, "db", acquired.lease.id, { by: "ann@admin-01", ttlMs: 9_000 });
    expect(renewed).toMatchObject({ outcome: "renewed", lease: { expiresAt: START + 9_000 } });
  });

  test("is not taken where the freezes cannot be read, nor left in line where they become so", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    beforeNext(stage, "settle", () => admin.writeDocument("freezes", "garbage", 0));
    await expect(ask(coordinator)).rejects.toMatchObject({ code: "configuration" });
    expect(await coordinator.queue("db")).toEqual([]);
    await expect(ask(coordinator, { waitMs: null })).rejects.toMatchObject({ code: "configuration" });
    expect(await coordinator.queue("db")).toEqual([]);
  });
});

describe("an ephemeral claim", () => {
  const hold = (
    coordinator: Coordinator,
    work: (claim: EphemeralClaim) => Promise<string>,
    { timeoutMs = null as number | null, progress = SILENT_PROGRESS } = {},
  ): Promise<EphemeralEnd<string>> =>
    withEphemeralClaim(
      coordinator,
      { lock: "db", key: null, slots: 1, owner: ownerAt("web-07"), group: "web", reason: null, data: null },
      {
        ...{ clock: createClock(), progress, perspective: NONE_GONE, stop: new AbortController().signal },
        acquire: { sleepTimeMs: 5, timeoutMs },
      },
      work,
    );
  const work = () => Promise.resolve("worked");

  test.each([{}, { node: "web-*" }, { group: "web" }])("is not begun under a freeze of %j", async (who) => {
    const stage = openStage();
    const coordinator = await stage.open();
    const id = await freeze(coordinator, who);
    expect(await hold(coordinator, work)).toMatchObject({ outcome: "frozen", freezes: [{ id }] });
    await thawLocks(coordinator, id, ANN);
    expect(await hold(coordinator, work)).toEqual({ outcome: "done", result: "worked" });
  });

  test("is not begun where the freeze is committed at the grant, and begins in its place with the thaw", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    let id = "";
    // Nothing was frozen when it looked; the freeze comes with the join.
    beforeNext(stage, "join", async () => (id = await freeze(admin)));
    const { steps, progress } = heard();
    let isBegun = false;
    const holding = hold(coordinator, () => ((isBegun = true), work()), { progress });
    await until(() => steps.some((step) => step.includes("waiting for the thaw")), "the waiter to hear of the freeze");
    expect([isBegun, (await admin.queue("db")).length]).toEqual([false, 1]);
    await thawLocks(admin, id, ANN);
    expect(await holding).toEqual({ outcome: "done", result: "worked" });
  });

  test("gives up where its node is frozen at the grant, and where its time is over", async () => {
    const stage = openStage();
    const [coordinator, admin] = [await stage.open(), await stage.open()];
    beforeNext(stage, "join", () => freeze(admin, { node: "web-07" }));
    expect(await hold(coordinator, work)).toMatchObject({ outcome: "frozen" });
    await thawLocks(admin, null, ANN);
    beforeNext(stage, "join", () => freeze(admin));
    expect(await hold(coordinator, work, { timeoutMs: 0 })).toMatchObject({ outcome: "frozen" });
    expect(await admin.queue("db")).toEqual([]);
  });
});
