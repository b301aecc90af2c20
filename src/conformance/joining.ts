// Conformance: standing in line. Joining, what is ahead, who has left, and leaving the line again.
import { describe, expect, test } from "vitest";
import { ClaimLostError, SessionLostError } from "../locks/errors.js";
import { within } from "./until.js";
import { draftFor, entryOf, idsIn, only, recordFor, takeDurably, untilEmpty } from "./drafts.js";
import type { Stage } from "./stage.js";

export function describeJoining(stage: Stage): void {
  describe("joining the line", () => {
    test("claims stand in the order in which they joined, each with those ahead of it", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const first = only(await one.join(draftFor("a")));
      const second = only(await other.join(draftFor("a", { key: "rack-1", slots: Number.POSITIVE_INFINITY })));
      const third = only(await one.join(draftFor("a", { slots: 3 })));
      expect(first).toMatchObject({ lock: "a", ahead: [] });
      expect(second.ahead).toEqual([expect.objectContaining({ ref: first.ref, key: null, slots: 1 })]);
      expect(third.ahead.map(({ ref, slots }) => [ref, slots])).toEqual([
        [first.ref, 1],
        [second.ref, Number.POSITIVE_INFINITY],
      ]);
      expect(new Set([first.ref, second.ref, third.ref]).size).toBe(3);
    });

    test("those ahead with the same key are told from those with another", async () => {
      const coordinator = await stage.open();
      // Whatever form a store gives to keys: the rule compares them with each other and with the draft's.
      for (const key of ["rack-1", "rack-2", null, "", "räck/1 %"]) await coordinator.join(draftFor("a", { key, slots: 9 }));
      for (const key of ["rack-1", "rack-2", null, "", "räck/1 %"]) {
        const joined = only(await coordinator.join(draftFor("a", { key, slots: 9 })));
        const same = joined.ahead.slice(0, 5).map((place) => place.key === key);
        expect(same).toEqual(["rack-1", "rack-2", null, "", "räck/1 %"].map((other) => other === key));
        await coordinator.withdraw([joined]);
      }
    });

    test("a claim tells its session, which is not lost", async () => {
      const coordinator = await stage.open();
      const { session } = await coordinator.join(draftFor("a"));
      expect(session.id).toMatch(/./);
      expect(session.lost.aborted).toBe(false);
      expect(session.graceMs).toBeGreaterThanOrEqual(0);
      expect((await coordinator.join(draftFor("b"))).session.id).toBe(session.id);
      expect((await (await stage.open()).join(draftFor("b"))).session.id).not.toBe(session.id);
    });

    test("a claim on several locks gives a standing for each, in the draft's order", async () => {
      const coordinator = await stage.open();
      const first = await coordinator.join(draftFor("b"));
      const joined = await coordinator.join(draftFor(["c", "a/x", "b"]));
      expect(joined.positions.map(({ lock }) => lock)).toEqual(["c", "a/x", "b"]);
      expect(joined.positions.map(({ ahead }) => ahead.map(({ ref }) => ref))).toEqual([[], [], [only(first).ref]]);
    });

    test("no two claims on several locks can each be ahead of the other", async () => {
      const sessions = await Promise.all([stage.open(), stage.open(), stage.open(), stage.open()]);
      const orders = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "c", "a"],
        ["b", "a", "c"],
      ];
      const joins = sessions.flatMap((coordinator, index) => [0, 1, 2, 3].map(() => coordinator.join(draftFor(orders[index]!))));
      await Promise.all(joins);
      const [a, b, c] = await Promise.all(["a", "b", "c"].map((lock) => idsIn(sessions[0], lock)));
      expect(a).toHaveLength(16);
      expect(b).toEqual(a);
      expect(c).toEqual(a);
    });

    test("joining again with the same id finds the claim and does not double it", async () => {
      const coordinator = await stage.open();
      const draft = draftFor(["a", "b"]);
      const again = async () => (await coordinator.join(draft)).positions.map(({ lock, ref }) => [lock, ref]);
      const first = await again();
      await coordinator.join(draftFor("a"));
      expect(await again()).toEqual(first);
      expect(await idsIn(coordinator, "a")).toHaveLength(2);
      expect(await idsIn(coordinator, "b")).toEqual([draft.id]);
    });

    test("an aborted join rejects with the signal's reason and leaves nothing behind", async () => {
      const coordinator = await stage.open();
      const reason = new Error("no time");
      await expect(coordinator.join(draftFor("a"), AbortSignal.abort(reason))).rejects.toBe(reason);
      for (const locks of ["a", ["a", "b"]]) {
        const stop = new AbortController();
        const joining = coordinator.join(draftFor(locks), stop.signal);
        stop.abort(reason);
        await expect(joining).rejects.toBe(reason);
      }
      await untilEmpty(coordinator, "a");
      await untilEmpty(coordinator, "b");
    });
  });

  describe("looking where one stands", () => {
    test("what is ahead shrinks as others leave", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const first = only(await one.join(draftFor("a")));
      const second = only(await one.join(draftFor("a")));
      const third = only(await other.join(draftFor("a")));
      await one.withdraw([first]);
      const standing = await other.position(third);
      expect(entryOf(standing)).toEqual(entryOf(third));
      expect(standing.ahead.map(({ ref }) => ref)).toEqual([second.ref]);
      await one.withdraw([second]);
      expect((await other.position(third)).ahead).toEqual([]);
    });

    test("a claim that was taken away is lost, though the session lives", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const joined = only(await one.join(draftFor("a")));
      await other.withdraw([joined]);
      await expect(one.position(joined)).rejects.toBeInstanceOf(ClaimLostError);
    });
  });

  describe("waiting for others to leave", () => {
    test("tells at once what has left already, each of several", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const [first, second, third] = [
        await one.join(draftFor("a")),
        await one.join(draftFor("a")),
        await one.join(draftFor("a")),
      ].map(only);
      const mine = await other.join(draftFor("a"));
      await one.withdraw([first!, third!]);
      const gone = await other.departed(mine, "a", [first!.ref, second!.ref, third!.ref]);
      expect([...gone].sort()).toEqual([first!.ref, third!.ref].sort());
    });

    test("waits until one leaves, whether it waits, holds or dies", async () => {
      const [one, dying, other] = [await stage.open(), await stage.open(), await stage.open()];
      const withdrawn = await one.join(draftFor("a"));
      const held = await takeDurably(one, "a");
      const dead = await dying.join(draftFor("a"));
      const mine = await other.join(draftFor("a"));
      const endings: [string, () => Promise<unknown>][] = [
        [only(withdrawn).ref, () => one.withdraw(withdrawn.positions)],
        [
          only(held.joined).ref,
          () => one.leave(held.draft.id, held.settled.entries, { event: "released", by: "me", reason: null }),
        ],
        [only(dead).ref, () => dying.close()],
      ];
      for (const [ref, end] of endings) {
        const departure = other.departed(mine, "a", [ref]);
        await other.position(only(mine));
        await end();
        expect(await within(departure, "the departure to be noticed")).toEqual([ref]);
      }
    });

    test("a claim that settles has not left", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const draft = draftFor("a");
      const settling = await one.join(draft);
      const leaving = await one.join(draftFor("a"));
      const mine = await other.join(draftFor("a"));
      const departure = other.departed(mine, "a", [only(settling).ref, only(leaving).ref]);
      await one.settle(draft, settling, recordFor(draft));
      await one.withdraw(leaving.positions);
      expect(await within(departure, "the departure")).toEqual([only(leaving).ref]);
    });

    test("an adopted or updated claim has not left", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled, joined } = await takeDurably(one, "a");
      const leaving = await one.join(draftFor("a"));
      const mine = await other.join(draftFor("a"));
      const departure = other.departed(mine, "a", [only(joined).ref, only(leaving).ref]);
      const updated = await one.update(draft.id, settled, recordFor(draft, { reason: "still at it" }));
      if (typeof updated === "string") throw new Error(updated);
      await one.adopt(draft.id, updated.entries, recordFor(draft));
      await one.withdraw(leaving.positions);
      expect(await within(departure, "the departure")).toEqual([only(leaving).ref]);
    });

    test("rejects with the signal's reason when it is aborted", async () => {
      const coordinator = await stage.open();
      const first = only(await coordinator.join(draftFor("a")));
      const mine = await coordinator.join(draftFor("a"));
      const reason = new Error("enough");
      await expect(coordinator.departed(mine, "a", [first.ref], AbortSignal.abort(reason))).rejects.toBe(reason);
      const stop = new AbortController();
      const departure = coordinator.departed(mine, "a", [first.ref], stop.signal);
      await coordinator.position(only(mine));
      stop.abort(reason);
      await expect(within(departure, "the abort to be heeded")).rejects.toBe(reason);
      expect(await idsIn(coordinator, "a")).toHaveLength(2);
    });

    test("ends with the session when the coordinator is closed", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const first = only(await one.join(draftFor("a")));
      const mine = await other.join(draftFor("a"));
      const departure = other.departed(mine, "a", [first.ref]);
      departure.catch(() => undefined);
      await other.position(only(mine));
      await other.close();
      await expect(within(departure, "the wait to end")).rejects.toBeInstanceOf(SessionLostError);
      expect(mine.session.lost.aborted).toBe(true);
    });
  });

  describe("leaving the line", () => {
    test("takes the claim out of all its queues, and records nothing", async () => {
      const coordinator = await stage.open();
      const joined = await coordinator.join(draftFor(["a", "b"]));
      await coordinator.withdraw(joined.positions);
      expect(await coordinator.list()).toEqual([]);
      expect(await coordinator.history(null, 10)).toEqual([]);
    });

    test("does nothing to a claim that is not there any more", async () => {
      const coordinator = await stage.open();
      const joined = await coordinator.join(draftFor("a"));
      await coordinator.withdraw(joined.positions);
      const next = await coordinator.join(draftFor("a"));
      await coordinator.withdraw(joined.positions);
      expect((await coordinator.queue("a")).map(({ ref }) => ref)).toEqual([only(next).ref]);
    });

    test("never ends a durable claim", async () => {
      const coordinator = await stage.open();
      const { draft, joined } = await takeDurably(coordinator, "a");
      await coordinator.withdraw(joined.positions);
      expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
    });
  });
}
