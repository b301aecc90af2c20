// Conformance: being told of all that changes in a store. Each test follows a store as a display does, which looks again
// only when the store tells it: it never shows a change that it did not hear of.
import { describe, expect, test } from "vitest";
import type { Change, Coordinator, StoreWatch } from "../locks/coordinator.js";
import { until } from "./until.js";
import { claimIn, draftFor, leaseOn, only, recordFor, RELEASED, settledOf, takeDurably } from "./drafts.js";
import type { Abilities, Stage } from "./stage.js";

interface Follower {
  readonly watch: StoreWatch;
  /** How often it was told. */
  calls(): number;
  /** Resolves when what it shows is as it should be. */
  shows(what: string, isRight: (shown: Shown) => boolean, deadlineMs?: number): Promise<void>;
}

interface Shown {
  /** Of each claim: its lock, whether it is durable and alive, and why it was made. */
  readonly claims: readonly { id: string; lock: string; durable: boolean; alive: boolean; reason: string | null }[];
  readonly ended: readonly string[];
}

async function read(coordinator: Coordinator): Promise<Shown> {
  const queues = await Promise.all((await coordinator.list()).map((lock) => coordinator.queue(lock)));
  const claims = queues.flat().map(({ id, lock, durable, alive, reason }) => ({ id, lock, durable, alive, reason }));
  return { claims, ended: (await coordinator.history(null, 100)).map(({ claim }) => claim) };
}

async function follow(coordinator: Coordinator): Promise<Follower> {
  let calls = 0;
  let isReading = false;
  let isDue = false;
  let shown: Shown | null = null;
  const look = async (): Promise<void> => {
    isDue = true;
    if (isReading) return;
    isReading = true;
    while (isDue) {
      isDue = false;
      // Whatever goes wrong, it is not because the store was not told to be looked at.
      shown = await read(coordinator).catch(() => shown);
    }
    isReading = false;
  };
  const watch = await coordinator.watch(() => {
    calls += 1;
    void look();
  });
  await look();
  return {
    watch,
    calls: () => calls,
    shows: async (what, isRight, deadlineMs) => {
      const looked = () => shown !== null && isRight(shown);
      await until(looked, deadlineMs === undefined ? what : { what, deadlineMs });
    },
  };
}

const has = (id: string, state: Partial<Shown["claims"][number]>) => (shown: Shown) =>
  shown.claims.some((claim) => claim.id === id && Object.entries(state).every(([key, value]) => claim[key as "id"] === value));
const hasNot = (id: string) => (shown: Shown) => shown.claims.every((claim) => claim.id !== id);

export function describeWatching(stage: Stage, subject: Abilities): void {
  describe("watching a store", () => {
    test.each(["another session", "one's own"])("tells of every kind of change made in %s", async (whose) => {
      const coordinator = await stage.open();
      const actor = whose === "one's own" ? coordinator : await stage.open();
      const [holder, waiter] = [await stage.open(), await stage.open()];
      const follower = await follow(coordinator);
      const draft = draftFor("a/b");
      const joined = await actor.join(draft);
      await follower.shows("the join", has(draft.id, { lock: "a/b", durable: false }));
      const settled = await actor.settle(draft, joined, recordFor(draft));
      await follower.shows("the settling", has(draft.id, { durable: true, alive: true }));
      const updated = settledOf(await actor.update(draft.id, settled, recordFor(draft, { reason: "updated" })));
      await follower.shows("the update", has(draft.id, { reason: "updated" }));
      const adopted = settledOf(await actor.adopt(draft.id, updated.entries, recordFor(draft, { reason: "adopted" })));
      await follower.shows("the adoption", has(draft.id, { reason: "adopted" }));
      expect(await actor.leave(draft.id, adopted.entries, RELEASED)).toBe("done");
      await follower.shows("the end", (shown) => hasNot(draft.id)(shown) && shown.ended.includes(draft.id));
      const waiting = await actor.join(draftFor("c"));
      await follower.shows("another join", ({ claims }) => claims.some(({ lock }) => lock === "c"));
      await actor.withdraw(waiting.positions);
      await follower.shows("the withdrawal", ({ claims }) => claims.length === 0);
      // Sessions that end: what waits goes, what is held is without its owner.
      const held = await takeDurably(holder, "d");
      await waiter.join(draftFor("e"));
      await follower.shows("both claims", ({ claims }) => claims.length === 2 && claims.every(({ alive }) => alive));
      await waiter.close();
      await follower.shows("the end of the one that waited", ({ claims }) => claims.length === 1);
      await holder.close();
      await follower.shows(
        "the loss of its owner",
        (shown) => shown.claims.length === 1 && has(held.draft.id, { alive: false })(shown),
      );
      follower.watch.close();
    });

    test("tells of a process that was killed, though it could not say so", async () => {
      const coordinator = await stage.open();
      const follower = await follow(coordinator);
      const waiter = await stage.contender({ locks: ["a"], until: "joined" });
      const holder = await stage.contender({ locks: ["b"], until: "settled" });
      const [waiting, held] = [(await waiter.event("joined"))["claim"], (await holder.event("settled"))["claim"]] as string[];
      await follower.shows("the waiter and the holder", (shown) => {
        return has(waiting as string, { durable: false })(shown) && has(held as string, { durable: true, alive: true })(shown);
      });
      await Promise.all([waiter.kill(), holder.kill()]);
      await follower.shows("the end of the waiter's claim", hasNot(waiting as string), subject.goneWithinMs);
      await follower.shows("that the holder is gone", has(held as string, { alive: false }), subject.goneWithinMs);
    });

    test("tells of leases that are made, renewed and ended", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      const follower = await follow(coordinator);
      const { draft, settled } = await takeDurably(other, ["a", "b"], { lease: leaseOn(["a", "b"]) });
      await follower.shows("the lease in both", ({ claims }) => claims.length === 2 && claims.every(({ durable }) => durable));
      const renewed = settledOf(await other.update(draft.id, settled, recordFor(draft, { reason: "renewed" })));
      await follower.shows("the renewal in both", ({ claims }) => claims.every(({ reason }) => reason === "renewed"));
      await other.leave(draft.id, renewed.entries, RELEASED);
      await follower.shows("both ends", ({ claims, ended }) => claims.length === 0 && ended.length === 2);
    });

    test("misses nothing that happens while it begins", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      for (let round = 0; round < 20; round += 1) {
        const draft = draftFor("a");
        const joining = other.join(draft);
        const follower = await follow(coordinator);
        await follower.shows("the join", has(draft.id, {}));
        const { positions: standings } = await joining;
        const withdrawal = other.withdraw(standings);
        follower.watch.close();
        const next = await follow(coordinator);
        await next.shows("the withdrawal", hasNot(draft.id));
        next.watch.close();
        await withdrawal;
      }
    });

    test("has told of every change that was made before it is asked whether it is caught up, and of whose", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      let told: Change[] = [];
      const watch = await coordinator.watch((change) => told.push(change));
      const tellsOf = (lock: string) => told.some((change) => change === null || change.locks.has(lock));
      for (let round = 0; round < 20; round += 1) {
        const lock = `lock ${round}/part`;
        const { draft, settled } = await takeDurably(other, lock);
        await watch.caughtUp();
        expect(tellsOf(lock), `the claim of round ${round}`).toBe(true);
        told = [];
        expect(await other.leave(draft.id, settled.entries, RELEASED)).toBe("done");
        await watch.caughtUp();
        expect(tellsOf(lock), `its end in round ${round}`).toBe(true);
        told = [];
      }
      watch.close();
    });

    test("calls nobody any more whose watch is closed, and goes on for the others", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      const [first, second] = [await follow(coordinator), await follow(coordinator)];
      const one = await takeDurably(other, "a");
      for (const follower of [first, second]) await follower.shows("the first claim", has(one.draft.id, { durable: true }));
      first.watch.close();
      first.watch.close();
      const calls = first.calls();
      const two = await takeDurably(other, "a");
      await second.shows("the second claim", has(two.draft.id, { durable: true }));
      expect(first.calls()).toBe(calls);
      second.watch.close();
      const third = await follow(coordinator);
      const three = await takeDurably(other, "a");
      await third.shows("the third claim", has(three.draft.id, { durable: true }));
      expect([first.calls(), calls < second.calls()]).toEqual([calls, true]);
    });

    test("calls nobody any more after the coordinator was closed", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      const [closed, open] = [await follow(coordinator), await follow(other)];
      await coordinator.close();
      const calls = closed.calls();
      const { draft } = await takeDurably(other, "a");
      await open.shows("the claim", has(draft.id, { durable: true }));
      expect(closed.calls()).toBe(calls);
      closed.watch.close();
      await expect(coordinator.watch(() => undefined)).rejects.toThrow();
    });
  });

  if (subject.hasFaults) describeWatchingLosses(stage);
}

function describeWatchingLosses(stage: Stage): void {
  describe("watching a store over a connection that is lost", () => {
    test("tells of what happens after it", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const follower = await follow(coordinator);
      for (let round = 0; round < 5; round += 1) {
        await faults.cut();
        const { draft, settled } = await takeDurably(other, "a");
        await follower.shows("the claim", has(draft.id, { durable: true }));
        expect(await other.leave(draft.id, settled.entries, RELEASED)).toBe("done");
        await follower.shows("its end", hasNot(draft.id));
      }
    });

    test("tells of what has happened meanwhile", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const follower = await follow(coordinator);
      const first = await takeDurably(other, "a");
      await follower.shows("the first claim", has(first.draft.id, { durable: true }));
      await faults.refuse();
      const second = await takeDurably(other, "a");
      await other.leave(first.draft.id, [(await other.find(first.draft.id))[0]!], RELEASED);
      const calls = follower.calls();
      await faults.serve();
      await follower.shows("the second claim alone", (shown) => shown.claims.length === 1 && has(second.draft.id, {})(shown));
      expect(follower.calls()).toBeGreaterThan(calls);
    });

    test("and with it the session: tells of its end, and of all that comes after", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const mine = await coordinator.join(draftFor("mine"));
      const follower = await follow(coordinator);
      await follower.shows("one's own claim", ({ claims }) => claims.length === 1);
      await faults.expireSession();
      await follower.shows("that it is gone", ({ claims }) => claims.length === 0);
      await until(() => mine.session.lost.aborted, "the session to be known to be lost");
      const { draft, settled } = await takeDurably(other, "a");
      await follower.shows("what others do then", has(draft.id, { durable: true }));
      await other.leave(draft.id, settled.entries, RELEASED);
      await follower.shows("that as well", ({ ended }) => ended.includes(draft.id));
    });

    test("before the watch stands: it stands all the same", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      await faults.refuse();
      const following = follow(coordinator);
      following.catch(() => undefined);
      const { draft } = await takeDurably(other, "a");
      await faults.serve();
      const follower = await following;
      await follower.shows("what has happened before", has(draft.id, { durable: true }));
      const joined = await other.join(draftFor("b"));
      await follower.shows("what happens then", ({ claims }) => claims.some(({ lock }) => lock === "b"));
      expect(only(joined).ahead).toEqual([]);
      expect((await claimIn(coordinator, "b")).alive).toBe(true);
    });
  });
}
