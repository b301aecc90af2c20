// Conformance: what can be read. Queues with all their fields, the names of locks, the history, the clock, and that every
// question can be aborted.
import { describe, expect, test } from "vitest";
import type { ClaimRecord } from "../locks/claim.js";
import type { Ending } from "../locks/history.js";
import { LONGEST_NAME_BYTES, lockNameProblem } from "../locks/names.js";
import {
  claimIn,
  draftFor,
  idsIn,
  leaseOn,
  only,
  ownerAt,
  recordFor,
  RELEASED,
  settledOf,
  takeDurably,
  timesOf,
} from "./drafts.js";
import type { Stage } from "./stage.js";

// Each looks like something that a store might write itself, or needs care in some encoding.
const AWKWARD_NAMES = [
  "restart/nginx",
  "restart",
  "restart/nginx/deep/er",
  "50%",
  "a%2Fb",
  "a%2fb",
  "a/b",
  "%",
  "ünï/cödé ☃ 🔒",
  "with space",
  "new\nline\ttab",
  "quote'\"`;--",
  "back\\slash",
  "?query#fragment",
  "..dots",
  "a.b..c",
  "locks",
  "locks/locks",
  "history",
  "alive",
  "clock",
  "claims",
  "zookeeper",
  "_c_3f1e8f0a-6a52-4b6e-9d57-1c1f0a6d3c11-lock-0000000001",
  "a/_c_3f1e8f0a-6a52-4b6e-9d57-1c1f0a6d3c11-1-lock-0000000001",
  "lock-0000000000",
  "a/lock-0000000007",
  "_h_0000000003",
  "restart/_h_0000000003",
  "x__lock__0000000004",
  "0000000001",
  "_",
  "%5F",
  "-",
  "NULL",
  "\u0001\u007f\u0085\ufeff",
  "e\u0301",
  "é",
  "x".repeat(LONGEST_NAME_BYTES),
  "☃".repeat(LONGEST_NAME_BYTES / 3),
  `${"%/".repeat(127)}%`,
];

const FAILURE = { exitCode: 3, signal: null, message: "exit code 3", output: "räck 1 %\n", at: 1_700_000_000_000 };

const DATA = { ticket: "OPS-123", nested: [1, 2.5, -0.125, null, true, { deep: "ünï ☃ 🔒 \n\u0000" }], empty: {} };

export function describeRecords(stage: Stage): void {
  describe("a lock's queue", () => {
    test("is empty for a lock that nobody has ever claimed", async () => {
      expect(await (await stage.open()).queue("never/claimed")).toEqual([]);
    });

    test("shows everything of a claim that waits", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const before = (await timesOf(other)).earliest;
      const draft = draftFor("a", { key: "räck 1/%", slots: 7, reason: "why ☃", data: DATA, owner: ownerAt("web-09") });
      const joined = only(await one.join(draft));
      const after = (await timesOf(other)).latest;
      const claim = await claimIn(other, "a");
      const { key, slots, owner, reason, data } = draft;
      const record: ClaimRecord = { key, slots, owner, reason, data, lease: null, made: null, expiresAt: null, failure: null };
      const known = {
        id: draft.id,
        lock: "a",
        ref: joined.ref,
        revision: joined.revision,
        durable: false,
        alive: true,
        fencingToken: null,
      };
      expect(claim).toEqual({ ...record, ...known, since: claim.since });
      expect(claim.since).toBeGreaterThanOrEqual(before - 1);
      expect(claim.since).toBeLessThanOrEqual(after + 1);
    });

    test("shows everything of a claim that is held", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const draft = draftFor("a", { key: "rack-1", slots: Number.POSITIVE_INFINITY, data: DATA });
      const joined = await one.join(draft);
      const before = (await timesOf(other)).earliest;
      const record = recordFor(draft, { expiresAt: 1_700_000_123_456, reason: "lease", failure: null });
      const settled = await one.settle(draft, joined, record);
      const after = (await timesOf(other)).latest;
      const claim = await claimIn(other, "a");
      const known = {
        id: draft.id,
        lock: "a",
        ref: only(joined).ref,
        durable: true,
        alive: true,
        fencingToken: settled.fencingToken,
      };
      expect(claim).toEqual({ ...record, ...known, revision: settled.entries[0]?.revision, since: claim.since });
      expect(claim.since).toBeGreaterThanOrEqual(before - 1);
      expect(claim.since).toBeLessThanOrEqual(after + 1);
    });

    test("is in the order of joining, whoever joined and settled", async () => {
      const sessions = [await stage.open(), await stage.open(), await stage.open()];
      const ids: string[] = [];
      for (let index = 0; index < 12; index += 1) {
        const draft = draftFor("a");
        const joined = await sessions[index % 3]!.join(draft);
        if (index % 2 === 0) await sessions[index % 3]!.settle(draft, joined, recordFor(draft));
        ids.push(draft.id);
      }
      for (const coordinator of sessions) expect(await idsIn(coordinator, "a")).toEqual(ids);
      expect((await sessions[0]!.queue("a", undefined, 3)).map(({ id }) => id)).toEqual(ids.slice(0, 3));
      expect(await sessions[0]!.queue("a", undefined, 100)).toHaveLength(12);
    });

    test("takes garbage for an exclusive claim of somebody else", async () => {
      const coordinator = await stage.open();
      const first = draftFor("a", { key: "rack-1", slots: Number.POSITIVE_INFINITY });
      await coordinator.join(first);
      await stage.store.plantGarbageClaim("a");
      const behind = only(await coordinator.join(draftFor("a", { key: "rack-1", slots: Number.POSITIVE_INFINITY })));
      expect(behind.ahead.slice(1)).toEqual([expect.objectContaining({ key: null, slots: 1 })]);
      const [, garbage] = await coordinator.queue("a");
      expect(garbage).toMatchObject({ lock: "a", ref: behind.ahead[1]?.ref, key: null, slots: 1, failure: null });
      expect(garbage?.owner.process).toBe(null);
      expect(await coordinator.list()).toEqual(["a"]);
    });
  });

  describe("names of locks", () => {
    test("may be any that are allowed, each a lock of its own", async () => {
      expect(AWKWARD_NAMES.filter((name) => lockNameProblem(name) !== null)).toEqual([]);
      const [one, other] = [await stage.open(), await stage.open()];
      const ids = new Map<string, string>();
      for (const name of AWKWARD_NAMES) {
        const { draft } = await takeDurably(one, name);
        ids.set(name, draft.id);
      }
      for (const name of AWKWARD_NAMES) {
        expect(await claimIn(other, name), JSON.stringify(name)).toMatchObject({ lock: name, id: ids.get(name), alive: true });
      }
      expect(await other.list()).toEqual([...AWKWARD_NAMES].sort());
      for (const name of AWKWARD_NAMES) {
        expect(await other.leave(ids.get(name) as string, [await claimIn(other, name)], RELEASED)).toBe("done");
        expect((await other.history(name, 10)).map(({ lock, claim }) => [lock, claim])).toEqual([[name, ids.get(name)]]);
      }
      expect(await other.list()).toEqual([]);
      const recorded = (await other.history(null, 1_000)).map(({ lock }) => lock);
      expect(recorded.sort()).toEqual([...AWKWARD_NAMES].sort());
    });

    test("are listed sorted, and only where there are claims", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      expect(await one.list()).toEqual([]);
      for (const name of ["b", "a/c", "a", "b/a"]) await one.join(draftFor(name));
      const gone = await other.join(draftFor(["a/b", "z"]));
      expect(await one.list()).toEqual(["a", "a/b", "a/c", "b", "b/a", "z"]);
      await other.withdraw(gone.positions);
      expect(await other.list()).toEqual(["a", "a/c", "b", "b/a"]);
      await one.close();
      expect(await other.list()).toEqual([]);
    });
  });

  describe("the history", () => {
    test("tells of each ended claim, newest first, with everything about it", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const endings: Ending[] = [
        { event: "released", by: "deploy@web-01", reason: null },
        { event: "cleared", by: "admin ☃", reason: 'stuck: 100 % \n"sure"' },
        { event: "expired", by: "system", reason: "" },
        { event: "recovered", by: "x", reason: null },
        { event: "failed", by: "y", reason: "exit code 3", failure: FAILURE },
      ];
      const expected = [];
      for (const [index, ending] of endings.entries()) {
        const { draft, settled } = await takeDurably(one, "a", {
          owner: ownerAt(`web-${index}`),
          reason: index === 1 ? null : `why ☃ ${index}`,
          data: index === 0 ? DATA : index,
          lease: index === 2 ? leaseOn(["a"], { type: "file", path: "/srv/x" }) : null,
        });
        const { since } = await claimIn(other, "a");
        const before = (await timesOf(other)).earliest;
        expect(await other.leave(draft.id, settled.entries, ending)).toBe("done");
        const after = (await timesOf(other)).latest;
        const { id: claim, owner, data, reason: description, lease } = draft;
        expected.unshift({
          record: { lock: "a", claim, owner, data, description, lease, claimedAt: since, isKept: false, failure: null, ...ending },
          before,
          after,
        });
      }
      const history = await one.history("a", 10);
      expect(history).toEqual(expected.map(({ record }, index) => ({ ...record, endedAt: history[index]?.endedAt })));
      for (const [index, { before, after }] of expected.entries()) {
        expect(history[index]!.endedAt).toBeGreaterThanOrEqual(before - 1);
        expect(history[index]!.endedAt).toBeLessThanOrEqual(after + 1);
      }
      expect((await one.history("a", 2)).map(({ claim }) => claim)).toEqual(expected.slice(0, 2).map(({ record }) => record.claim));
      expect(await one.history("b", 10)).toEqual([]);
    });

    test("tells of a failure that keeps its claim when it happens, and of the claim's end as well", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, ["a", "b"], { reason: "why" });
      const { since } = await claimIn(other, "a");
      const before = (await timesOf(other)).earliest;
      const keeping = { event: "failed", by: "ann@web-01", reason: "exit code 3" } as const;
      const kept = settledOf(await one.update(draft.id, settled, recordFor(draft, { failure: FAILURE }), undefined, keeping));
      const after = (await timesOf(other)).latest;
      const { id: claim, owner, data, reason: description, lease } = draft;
      const told = { claim, owner, data, description, lease, claimedAt: since, ...keeping, isKept: true, failure: FAILURE };
      const history = await other.history("a", 10);
      expect(history).toEqual([{ lock: "a", ...told, endedAt: history[0]?.endedAt }]);
      expect(history[0]?.endedAt).toBeGreaterThanOrEqual(before - 1);
      expect(history[0]?.endedAt).toBeLessThanOrEqual(after + 1);
      expect(await other.history("b", 10)).toMatchObject([{ lock: "b", ...told }]);
      expect(await claimIn(other, "a")).toMatchObject({ id: draft.id, failure: FAILURE });
      const cleared: Ending = { event: "cleared", by: "bob", reason: "repaired" };
      expect(await other.leave(draft.id, kept.entries, cleared)).toBe("done");
      expect(await other.history("a", 10)).toMatchObject([
        { claim, ...cleared, isKept: false, failure: FAILURE },
        { claim, event: "failed" },
      ]);
    });

    test("tells nothing of a failure that could not be written to the claim", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      settledOf(await other.update(draft.id, settled, recordFor(draft, { reason: "changed" })));
      const keeping = { event: "failed", by: "ann", reason: null } as const;
      expect(await one.update(draft.id, settled, recordFor(draft, { failure: FAILURE }), undefined, keeping)).toBe("changed");
      expect(await one.history("a", 10)).toEqual([]);
    });

    test("of all locks together is newest first as well", async () => {
      const coordinator = await stage.open();
      const claims: string[] = [];
      for (const lock of ["a", "b/c", "a", "b", "a"]) {
        const { draft, settled } = await takeDurably(coordinator, lock);
        await coordinator.leave(draft.id, settled.entries, RELEASED);
        claims.unshift(draft.id);
        // Times of the store have the grain of a millisecond.
        const ended = (await coordinator.sync()).ms;
        while ((await coordinator.sync()).ms <= ended) continue;
      }
      expect((await coordinator.history(null, 10)).map(({ claim }) => claim)).toEqual(claims);
      expect((await coordinator.history(null, 3)).map(({ claim }) => claim)).toEqual(claims.slice(0, 3));
      expect((await coordinator.history("a", 10)).map(({ claim }) => claim)).toEqual([claims[0], claims[2], claims[4]]);
    });

    test("keeps as many records of each lock as it is told to, the newest", async () => {
      const coordinator = await stage.open({ historyKeep: 3 });
      const claims: string[] = [];
      for (let index = 0; index < 7; index += 1) {
        const { draft, settled } = await takeDurably(coordinator, index === 0 ? "b" : "a");
        await coordinator.leave(draft.id, settled.entries, RELEASED);
        claims.unshift(draft.id);
      }
      expect((await coordinator.history("a", 100)).map(({ claim }) => claim)).toEqual(claims.slice(0, 3));
      expect(await coordinator.history(null, 100)).toHaveLength(4);
    });

    test("survives garbage in it", async () => {
      const coordinator = await stage.open({ historyKeep: 5 });
      const first = await takeDurably(coordinator, "a");
      await coordinator.leave(first.draft.id, first.settled.entries, RELEASED);
      await stage.store.plantGarbageHistory("a");
      const second = await takeDurably(coordinator, "a");
      expect(await coordinator.leave(second.draft.id, second.settled.entries, RELEASED)).toBe("done");
      const claims = [second.draft.id, first.draft.id];
      expect((await coordinator.history("a", 10)).map(({ claim }) => claim)).toEqual(claims);
      expect((await coordinator.history(null, 10)).map(({ claim }) => claim)).toEqual(claims);
    });
  });

  describe("the store's clock", () => {
    test("never goes back, and is the same for all", async () => {
      const sessions = [await stage.open(), await stage.open()];
      let last = 0;
      for (let index = 0; index < 40; index += 1) {
        const { ms, errorMs } = await sessions[index % 2]!.sync();
        // As far as both can know it.
        expect(ms + errorMs).toBeGreaterThanOrEqual(last);
        last = ms - errorMs;
      }
      expect(Math.abs(last - Date.now())).toBeLessThan(60_000);
    });
  });

  describe("every question", () => {
    test("rejects with the signal's reason when it is aborted", async () => {
      const coordinator = await stage.open();
      const { draft, joined, settled } = await takeDurably(coordinator, "a");
      const mine = only(await coordinator.join(draftFor("a")));
      const reason = new Error("no time");
      const signal = AbortSignal.abort(reason);
      const fresh = draftFor("b");
      const waiting = await coordinator.join(fresh);
      const asked = [
        coordinator.position(mine, signal),
        coordinator.settle(fresh, waiting, recordFor(fresh), signal),
        coordinator.adopt(draft.id, settled.entries, recordFor(draft), signal),
        coordinator.update(draft.id, settled, recordFor(draft), signal),
        coordinator.leave(draft.id, settled.entries, RELEASED, signal),
        coordinator.departed(joined, "a", [mine.ref], signal),
        coordinator.queue("a", signal),
        coordinator.list(signal),
        coordinator.find(draft.id, signal),
        coordinator.watch(() => undefined, signal),
        coordinator.history(null, 10, signal),
        coordinator.sync(signal),
      ];
      for (const answer of await Promise.allSettled(asked)) expect(answer).toEqual({ status: "rejected", reason });
      // What was refused beforehand has not happened.
      expect(await claimIn(coordinator, "b")).toMatchObject({ id: fresh.id, durable: false });
      expect((await coordinator.queue("a"))[0]).toMatchObject({ id: draft.id, revision: settled.entries[0]?.revision });
    });
  });
}
