// Conformance: requests and replies that are lost on the way, and connections that are cut. What was asked for is never
// doubled and never assumed, and no place in line is lost.
import { describe, expect, test } from "vitest";
import { within } from "./until.js";
import { claimIn, draftFor, idsIn, only, ownerAt, recordFor, RELEASED, settledOf, takeDurably } from "./drafts.js";
import type { Faults, Operation, Stage } from "./stage.js";

const LOST = [
  ["reply", (faults: Faults, operation: Operation, claim: string) => faults.loseReply(operation, claim)],
  ["request", (faults: Faults, operation: Operation, claim: string) => faults.loseRequest(operation, claim)],
] as const;

// One lock, and several in one transaction.
const LOCKS = [["a"], ["a", "b/c", "d"]];

export function describeLosses(stage: Stage): void {
  for (const [what, lose] of LOST) {
    for (const locks of LOCKS) {
      describe(`a ${what} lost on the way, for a claim on ${locks.length} lock(s)`, () => {
        test("join: the claim stands in each line once", async () => {
          const { coordinator, faults } = await stage.faulty();
          const observer = await stage.open();
          const first = await observer.join(draftFor("a"));
          // The first claim on a lock may need more than its own creation; this one is as any later one.
          const warm = await coordinator.join(draftFor(locks));
          await coordinator.withdraw(warm.positions);
          const draft = draftFor(locks);
          const lost = lose(faults, "join", draft.id);
          const joined = await within(coordinator.join(draft), "the join");
          await lost;
          expect(joined.positions.map(({ lock }) => lock)).toEqual(locks);
          expect(joined.positions[0]?.ahead.map(({ ref }) => ref)).toEqual([only(first).ref]);
          for (const [index, lock] of locks.entries()) {
            const own = (await observer.queue(lock)).filter(({ id }) => id === draft.id);
            expect(own.map(({ ref }) => ref)).toEqual([joined.positions[index]?.ref]);
          }
          expect(await idsIn(observer, "a")).toHaveLength(2);
          await coordinator.settle(draft, joined, recordFor(draft));
        });

        test("join of locks that nobody has claimed before", async () => {
          const { coordinator, faults } = await stage.faulty();
          const draft = draftFor(locks);
          const lost = lose(faults, "join", draft.id);
          const joined = await within(coordinator.join(draft), "the join");
          await lost;
          expect(joined.positions.map(({ ahead }) => ahead)).toEqual(locks.map(() => []));
          for (const lock of locks) expect(await idsIn(coordinator, lock)).toEqual([draft.id]);
        });

        test("settle: the claim is durable once, with the token that others see", async () => {
          const { coordinator, faults } = await stage.faulty();
          const observer = await stage.open();
          const draft = draftFor(locks);
          const joined = await coordinator.join(draft);
          const lost = lose(faults, "settle", draft.id);
          const settled = await within(coordinator.settle(draft, joined, recordFor(draft)), "the settle");
          await lost;
          for (const [index, lock] of locks.entries()) {
            const claim = await claimIn(observer, lock);
            expect(claim).toMatchObject({ id: draft.id, durable: true, alive: true, fencingToken: settled.fencingToken });
            expect(claim).toMatchObject({ ref: joined.positions[index]?.ref, revision: settled.entries[index]?.revision });
          }
          expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
        });

        test("adopt: the claim is taken over once, with the token that others see", async () => {
          const { coordinator, faults } = await stage.faulty();
          const owner = await stage.open();
          const { draft, settled } = await takeDurably(owner, locks);
          await owner.close();
          const lost = lose(faults, "adopt", draft.id);
          const record = recordFor(draft, { owner: ownerAt("web-02") });
          const adopted = settledOf(await within(coordinator.adopt(draft.id, settled.entries, record), "the adoption"));
          await lost;
          expect(adopted.fencingToken).toBeGreaterThan(settled.fencingToken);
          const observer = await stage.open();
          for (const [index, lock] of locks.entries()) {
            const claim = await claimIn(observer, lock);
            expect(claim).toMatchObject({ alive: true, owner: record.owner, fencingToken: adopted.fencingToken });
            expect(claim.revision).toBe(adopted.entries[index]?.revision);
          }
          expect(await coordinator.leave(draft.id, adopted.entries, RELEASED)).toBe("done");
        });

        test("update: the record is written, and can be written again", async () => {
          const { coordinator, faults } = await stage.faulty();
          const { draft, settled } = await takeDurably(coordinator, locks);
          const lost = lose(faults, "update", draft.id);
          const update = coordinator.update(draft.id, settled, recordFor(draft, { reason: "first" }));
          const updated = settledOf(await within(update, "the update"));
          await lost;
          expect(updated.fencingToken).toBe(settled.fencingToken);
          for (const lock of locks) {
            expect(await claimIn(coordinator, lock)).toMatchObject({ reason: "first", fencingToken: settled.fencingToken });
          }
          const again = settledOf(await coordinator.update(draft.id, updated, recordFor(draft, { reason: "second" })));
          expect(await coordinator.leave(draft.id, again.entries, RELEASED)).toBe("done");
        });

        test("leave: the claim has ended, and is recorded once", async () => {
          const { coordinator, faults } = await stage.faulty();
          const { draft, settled } = await takeDurably(coordinator, locks);
          const lost = lose(faults, "leave", draft.id);
          expect(await within(coordinator.leave(draft.id, settled.entries, RELEASED), "the leave")).toBe("done");
          await lost;
          expect(await coordinator.list()).toEqual([]);
          const recorded = (await coordinator.history(null, 100)).map(({ lock, claim }) => [lock, claim]);
          expect(recorded.sort()).toEqual(locks.map((lock) => [lock, draft.id]).sort());
        });
      });
    }
  }

  describe("what has happened is known although others have acted since", () => {
    test("adopt: another has written to the claim", async () => {
      const { coordinator, faults } = await stage.faulty();
      const [owner, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(owner, "a");
      await owner.close();
      const lost = faults.loseReply("adopt", draft.id);
      const adopting = coordinator.adopt(draft.id, settled.entries, recordFor(draft, { owner: ownerAt("web-02") }));
      await lost;
      await faults.refuse();
      const read = await claimIn(other, "a");
      expect(read.fencingToken).toBeGreaterThan(settled.fencingToken);
      const inHand = { entries: [read], fencingToken: read.fencingToken ?? 0 };
      const noted = recordFor(draft, { owner: ownerAt("web-02"), reason: "noted" });
      const written = settledOf(await other.update(draft.id, inHand, noted));
      await faults.serve();
      const adopted = settledOf(await within(adopting, "the adoption"));
      expect(adopted.fencingToken).toBe(read.fencingToken);
      // The adopter has not seen what was written since.
      expect(await coordinator.leave(draft.id, adopted.entries, RELEASED)).toBe("changed");
      expect(await coordinator.leave(draft.id, written.entries, RELEASED)).toBe("done");
    });

    test("join: another has taken the claim out of one of its lines", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const locks = ["a", "b"];
      const warm = await coordinator.join(draftFor(locks));
      await coordinator.withdraw(warm.positions);
      const draft = draftFor(locks);
      const lost = faults.loseReply("join", draft.id);
      const joining = coordinator.join(draft);
      await lost;
      await faults.refuse();
      await other.withdraw([await claimIn(other, "a")]);
      await faults.serve();
      const joined = await within(joining, "the join");
      for (const [index, lock] of locks.entries())
        expect((await other.queue(lock)).map(({ id, ref }) => [id, ref])).toEqual([[draft.id, joined.positions[index]?.ref]]);
    });
  });

  describe("a lost reply is not taken for one's own success", () => {
    test("leave: what an admin ended meanwhile is gone, not done", async () => {
      const { coordinator, faults } = await stage.faulty();
      const admin = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, "a");
      const held = faults.holdRequest("leave", draft.id);
      const leaving = coordinator.leave(draft.id, settled.entries, RELEASED);
      await held.caught;
      await admin.leave(draft.id, [await claimIn(admin, "a")], { event: "cleared", by: "admin", reason: "impatient" });
      await faults.cut();
      expect(await within(leaving, "the leave")).toBe("gone");
      expect((await admin.history("a", 10)).map(({ event }) => event)).toEqual(["cleared"]);
    });

    test("update: what another has adopted meanwhile is changed", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, "a");
      const held = faults.holdRequest("update", draft.id);
      const updating = coordinator.update(draft.id, settled, recordFor(draft, { reason: "mine" }));
      await held.caught;
      settledOf(await other.adopt(draft.id, settled.entries, recordFor(draft, { reason: "theirs" })));
      await faults.cut();
      expect(await within(updating, "the update")).toBe("changed");
      expect((await claimIn(other, "a")).reason).toBe("theirs");
    });

    test("update: what another has written meanwhile is changed, though it says the same", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, "a");
      const record = recordFor(draft, { reason: "the same" });
      const held = faults.holdRequest("update", draft.id);
      const updating = coordinator.update(draft.id, settled, record);
      await held.caught;
      settledOf(await other.update(draft.id, settled, record));
      await faults.cut();
      expect(await within(updating, "the update")).toBe("changed");
    });

    test("adopt: what another has adopted meanwhile is changed", async () => {
      const { coordinator, faults } = await stage.faulty();
      const [owner, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(owner, "a");
      const held = faults.holdRequest("adopt", draft.id);
      const adopting = coordinator.adopt(draft.id, settled.entries, recordFor(draft, { owner: ownerAt("web-02") }));
      await held.caught;
      settledOf(await other.adopt(draft.id, settled.entries, recordFor(draft, { owner: ownerAt("web-03") })));
      await faults.cut();
      expect(await within(adopting, "the adoption")).toBe("changed");
    });
  });

  describe("a connection that is cut", () => {
    test("loses no place in line: the session and its claim go on", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const first = await other.join(draftFor("a"));
      const mine = await coordinator.join(draftFor("a"));
      const departure = coordinator.departed(mine, "a", [only(first).ref]);
      await faults.cut();
      expect((await coordinator.position(only(mine))).ahead.map(({ ref }) => ref)).toEqual([only(first).ref]);
      await other.withdraw(first.positions);
      expect(await within(departure, "the departure")).toEqual([only(first).ref]);
      expect(mine.session.lost.aborted).toBe(false);
    });

    test("hides no departure that happens meanwhile", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const first = await other.join(draftFor("a"));
      const mine = await coordinator.join(draftFor("a"));
      const departure = coordinator.departed(mine, "a", [only(first).ref]);
      await coordinator.position(only(mine));
      await faults.refuse();
      await other.withdraw(first.positions);
      await faults.serve();
      expect(await within(departure, "the departure")).toEqual([only(first).ref]);
      expect((await other.queue("a")).map(({ ref }) => ref)).toEqual([only(mine).ref]);
    });

    test("is made up for by whatever is asked next", async () => {
      const { coordinator, faults } = await stage.faulty();
      const { draft, settled } = await takeDurably(coordinator, "a");
      await faults.cut();
      expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
      await faults.cut();
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      await faults.cut();
      expect(await coordinator.history("a", 1)).toHaveLength(1);
      await faults.cut();
      expect((await coordinator.sync()).ms).toBeGreaterThan(0);
    });
  });
}
