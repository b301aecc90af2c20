// Conformance: claims of people. They depend on no process, anybody who knows their id may write to them and end them, and end by
// the store's clock; what holders.ts makes of that is shown here over each store.
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Coordinator, Settled } from "../locks/coordinator.js";
import type { HistoryRecord } from "../locks/history.js";
import { endExpired, readHolders, readPresentHolders } from "../line/holders.js";
import { takeTurn } from "../line/turn.js";
import { until, within } from "./until.js";
import {
  claimIn,
  draftFor,
  idsIn,
  justPast,
  leaseOn,
  only,
  ownerAt,
  recordFor,
  RELEASED,
  settledOf,
  type Taken,
} from "./drafts.js";
import type { Abilities, Stage } from "./stage.js";

const HOUR_MS = 3_600_000;
const PERSON = { ...ownerAt("laptop-7"), action: null, process: null };

/** A lease on some locks, until `expiresAt` by the store's clock. */
async function lend(coordinator: Coordinator, locks: readonly string[], expiresAt: number | null = null): Promise<Taken> {
  const draft = draftFor(locks, { owner: PERSON, reason: "by hand", lease: leaseOn(locks, { caller: "OPS-7" }) });
  const joined = await coordinator.join(draft);
  return { draft, joined, settled: await coordinator.settle(draft, joined, recordFor(draft, { expiresAt })) };
}

/** Lets something happen right before a method of a coordinator's is called, once. */
function interposed(coordinator: Coordinator, method: keyof Coordinator, deed: () => Promise<unknown>): Coordinator {
  let isDone = false;
  return new Proxy(coordinator, {
    get: (target, name) => {
      const bound = (target[name as keyof Coordinator] as (...args: unknown[]) => Promise<unknown>).bind(target);
      return async (...args: unknown[]) => {
        if (name === method && !isDone) {
          isDone = true;
          await deed();
        }
        return bound(...args);
      };
    },
  });
}

const endings = (records: readonly HistoryRecord[]) => records.map(({ lock, claim, event, by }) => ({ lock, claim, event, by }));

export function describeLeases(stage: Stage, subject: Abilities): void {
  describe("a lease", () => {
    test("outlives the session in which it was made, and counts as alive without any", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await lend(one, ["a", "b/c"]);
      await one.close();
      for (const lock of draft.locks) {
        const known = { id: draft.id, durable: true, alive: true, fencingToken: settled.fencingToken, lease: draft.lease };
        expect(await claimIn(other, lock)).toMatchObject({ ...known, owner: PERSON, reason: "by hand" });
      }
    });

    test("outlives a process that is killed", async () => {
      const coordinator = await stage.open();
      const process = await stage.contender({ locks: ["a"], until: "settled", isLease: true });
      const { claim } = await process.event("settled");
      const witness = await stage.contender({ locks: ["b"], until: "settled" });
      await witness.event("settled");
      await process.kill();
      await witness.kill();
      const gone = { what: "both processes to be known to be gone", deadlineMs: subject.goneWithinMs };
      await until(async () => !(await claimIn(coordinator, "b")).alive, gone);
      expect(await claimIn(coordinator, "a")).toMatchObject({ id: claim, durable: true, alive: true });
    });

    test("is seen to be one while it waits", async () => {
      const coordinator = await stage.open();
      const lease = leaseOn(["a"], { type: "file", path: "//server/share/x", caller: "backup" });
      const draft = draftFor("a", { lease });
      await coordinator.join(draft);
      expect(await claimIn(coordinator, "a")).toMatchObject({ id: draft.id, durable: false, lease });
    });

    test("can be renewed by everyone who knows its id: same token, next revision, only as it was read", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await lend(one, ["a", "b"], 1_700_000_000_000);
      await one.close();
      const read: Settled = {
        entries: [await claimIn(other, "a"), await claimIn(other, "b")],
        fencingToken: settled.fencingToken,
      };
      const renewed = settledOf(await other.update(draft.id, read, recordFor(draft, { expiresAt: 1_900_000_000_000 })));
      expect(renewed.fencingToken).toBe(settled.fencingToken);
      for (const [index, lock] of draft.locks.entries()) {
        const claim = await claimIn(other, lock);
        expect(claim).toMatchObject({ expiresAt: 1_900_000_000_000, alive: true, fencingToken: settled.fencingToken });
        expect(claim.revision).toBe(renewed.entries[index]?.revision);
        expect(claim.revision).toBeGreaterThan(read.entries[index]!.revision);
      }
      expect(await other.update(draft.id, read, recordFor(draft, { expiresAt: null }))).toBe("changed");
      expect((await claimIn(other, "a")).expiresAt).toBe(1_900_000_000_000);
    });

    test("on several locks can be ended by everyone who knows its id, in all of them, with a record for each", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft } = await lend(one, ["b", "a", "c/d"]);
      await one.close();
      const entries = await other.find(draft.id);
      expect(await other.leave(draft.id, entries, { ...RELEASED, by: "colleague" })).toBe("done");
      expect(await other.list()).toEqual([]);
      const records = await other.history(null, 10);
      expect(records.map(({ lock }) => lock).sort()).toEqual(["a", "b", "c/d"]);
      const told = {
        claim: draft.id,
        event: "released",
        by: "colleague",
        reason: null,
        description: "by hand",
        lease: draft.lease,
      };
      for (const record of records) expect(record).toMatchObject({ ...told, owner: PERSON });
      expect(await other.leave(draft.id, entries, RELEASED)).toBe("gone");
    });

    test.each(["changed", "ended"])("on several locks is not ended in part, when one entry was %s meanwhile", async (how) => {
      const [one, other] = [await stage.open(), await stage.open()];
      for (const index of [0, 1]) {
        const { draft, settled } = await lend(one, ["a", "b"]);
        const entry = settled.entries[index]!;
        const part = { entries: [entry], fencingToken: settled.fencingToken };
        if (how === "changed") settledOf(await other.update(draft.id, part, recordFor(draft, { reason: "changed" })));
        else expect(await other.leave(draft.id, [entry], { ...RELEASED, by: "admin" })).toBe("done");
        const before = (await other.history(null, 10)).length;
        // Both by the process that has made it and by one that has not.
        for (const coordinator of [one, other])
          expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("changed");
        const left = await other.find(draft.id);
        expect(left.map(({ lock }) => lock)).toEqual(how === "changed" ? ["a", "b"] : [["b"], ["a"]][index]);
        expect(await other.history(null, 10)).toHaveLength(before);
        expect(await other.leave(draft.id, left, RELEASED)).toBe("done");
      }
    });

    test("on several locks, wanted from opposite ends at once 200 times, never ends in a deadlock", async () => {
      const rounds = 200;
      let holders = 0;
      const contend = async (coordinator: Coordinator, locks: readonly string[]): Promise<void> => {
        for (let round = 0; round < rounds; round += 1) {
          const draft = draftFor(locks, { owner: PERSON, lease: leaseOn(locks) });
          const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
          if (turn.outcome !== "granted") throw new Error("not granted");
          holders += 1;
          const { entries } = await coordinator.settle(draft, turn.joined, recordFor(draft));
          expect(holders).toBe(1);
          holders -= 1;
          expect(await coordinator.leave(draft.id, entries, RELEASED)).toBe("done");
        }
      };
      const [one, other] = [await stage.open(), await stage.open()];
      const both = Promise.all([contend(one, ["dc01", "dc02", "hv01"]), contend(other, ["hv01", "dc02", "dc01"])]);
      await within(both, "both to have had all their turns", 55_000);
      expect(await one.list()).toEqual([]);
    });
  });

  describe("a lease whose time is over", () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    test("is ended by the first who meets it, in all its locks, and recorded once", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const expiresAt = (await one.sync()).ms - HOUR_MS;
      const { draft } = await lend(one, ["a", "b"], expiresAt);
      const waiting = await other.join(draftFor("b"));
      const met = await Promise.all([readPresentHolders(one, "a"), readPresentHolders(other, "a")]);
      expect(met).toEqual([[], []]);
      expect(await other.find(draft.id)).toEqual([]);
      const records = await one.history(null, 10);
      // Nobody ended it: its time was over, some time before anybody noticed.
      expect(records.map(({ endedAt }) => endedAt)).toEqual([expiresAt, expiresAt]);
      expect(endings(records).sort((left, right) => (left.lock < right.lock ? -1 : 1))).toEqual(
        ["a", "b"].map((lock) => ({ lock, claim: draft.id, event: "expired", by: null })),
      );
      expect((await readHolders(one, "b")).map(({ ref }) => ref)).toEqual([only(waiting).ref]);
    });

    test("does not end with others whose time is not", async () => {
      const coordinator = await stage.open();
      const sharing = { key: "readers", slots: Number.POSITIVE_INFINITY, owner: PERSON, lease: leaseOn(["a"]) };
      const now = (await coordinator.sync()).ms;
      const drafts = [await justPast(coordinator), now + HOUR_MS, null, now - HOUR_MS].map((expiresAt) => ({
        expiresAt,
        draft: draftFor("a", sharing),
      }));
      for (const { draft, expiresAt } of drafts) {
        await coordinator.settle(draft, await coordinator.join(draft), recordFor(draft, { expiresAt }));
      }
      const kept = [drafts[1]!.draft.id, drafts[2]!.draft.id];
      expect((await readPresentHolders(coordinator, "a")).map(({ id }) => id)).toEqual(kept);
      expect(await idsIn(coordinator, "a")).toEqual(kept);
      expect(await coordinator.history("a", 10)).toHaveLength(2);
    });

    test("stays when it is renewed before it is ended, at whatever moment", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      for (const method of ["queue", "sync", "leave"] as const) {
        const { draft, settled } = await lend(one, ["a", "b"], await justPast(one));
        const renew = async () => {
          const expiresAt = (await one.sync()).ms + HOUR_MS;
          settledOf(await one.update(draft.id, settled, recordFor(draft, { expiresAt })));
        };
        const met = await readPresentHolders(interposed(other, method, renew), "a");
        expect(
          met.map(({ id }) => id),
          method,
        ).toEqual([draft.id]);
        const entries = await other.find(draft.id);
        expect(
          entries.map(({ lock }) => lock),
          method,
        ).toEqual(["a", "b"]);
        // Out of the way of the next round.
        expect(await other.leave(draft.id, entries, RELEASED)).toBe("done");
        expect((await other.history(null, 10)).map(({ event }) => event)).not.toContain("expired");
      }
    });

    test("is judged by the store's clock, whatever the node's says", async () => {
      const coordinator = await stage.open();
      const present = await lend(coordinator, ["present"], (await coordinator.sync()).ms + HOUR_MS);
      const over = await lend(coordinator, ["over"], await justPast(coordinator));
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * HOUR_MS });
      expect(await readPresentHolders(coordinator, "present")).toMatchObject([{ id: present.draft.id }]);
      // A node with a wrong clock is judged by the store's clock as well.
      const late = await stage.open();
      expect(await endExpired(late, [await claimIn(late, "present")])).toBe(0);
      vi.setSystemTime(Date.now() - 4 * HOUR_MS);
      expect(await readPresentHolders(coordinator, "over")).toEqual([]);
      expect(await coordinator.find(over.draft.id)).toEqual([]);
      expect(await readPresentHolders(await stage.open(), "present")).toMatchObject([{ id: present.draft.id }]);
    });
  });
}
