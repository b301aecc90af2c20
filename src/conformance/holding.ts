// Conformance: claims in hand. Settling at the same place, fencing tokens, conditional writes, liveness, and the end of sessions.
import { describe, expect, test } from "vitest";
import { ClaimLostError } from "../locks/errors.js";
import { until } from "./until.js";
import { claimIn, draftFor, idsIn, only, onlyEntry, ownerAt, recordFor, RELEASED, settledOf, takeDurably } from "./drafts.js";
import type { Stage } from "./stage.js";

const FAILURE = { exitCode: 3, signal: null, message: "nginx exited with 3", output: "bad config\n", at: 1_700_000_000_000 };

export function describeHolding(stage: Stage): void {
  describe("settling", () => {
    test("keeps every claim at its place", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const drafts = [0, 1, 2, 3].map(() => draftFor("a"));
      const joins = [];
      for (const [index, draft] of drafts.entries()) joins.push(await (index % 2 === 0 ? one : other).join(draft));
      await one.settle(drafts[2]!, joins[2]!, recordFor(drafts[2]!));
      await one.settle(drafts[0]!, joins[0]!, recordFor(drafts[0]!));
      const queue = await other.queue("a");
      expect(queue.map(({ id }) => id)).toEqual(drafts.map(({ id }) => id));
      expect(queue.map(({ ref }) => ref)).toEqual(joins.map((joined) => only(joined).ref));
      expect(queue.map(({ durable }) => durable)).toEqual([true, false, true, false]);
      const last = await other.position(only(joins[3]!));
      expect(last.ahead.map(({ ref }) => ref)).toEqual(joins.slice(0, 3).map((joined) => only(joined).ref));
    });

    test("makes a claim on several locks durable in all of them, with one fencing token", async () => {
      const coordinator = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, ["b", "a", "c/d"]);
      expect(settled.entries.map(({ lock }) => lock)).toEqual(["b", "a", "c/d"]);
      for (const lock of draft.locks) {
        const claim = await claimIn(coordinator, lock);
        expect(claim).toMatchObject({
          id: draft.id,
          durable: true,
          alive: true,
          since: settled.since,
          fencingToken: settled.fencingToken,
        });
      }
    });

    test("twice gives the same claim and the same token", async () => {
      const coordinator = await stage.open();
      const draft = draftFor(["a", "b"]);
      const joined = await coordinator.join(draft);
      const first = await coordinator.settle(draft, joined, recordFor(draft));
      expect(await coordinator.settle(draft, joined, recordFor(draft))).toEqual(first);
      expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
      expect(await coordinator.leave(draft.id, first.entries, RELEASED)).toBe("done");
    });

    test("is refused when the entry was taken away", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const draft = draftFor(["a", "b"]);
      const joined = await one.join(draft);
      await other.withdraw([joined.positions[1]!]);
      await expect(one.settle(draft, joined, recordFor(draft))).rejects.toBeInstanceOf(ClaimLostError);
      expect((await one.queue("a")).filter(({ durable }) => durable)).toEqual([]);
      expect(await idsIn(one, "b")).toEqual([]);
    });

    test("gives every next holder a greater fencing token", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const tokens: number[] = [];
      for (const coordinator of [one, other, one]) {
        const { draft, settled } = await takeDurably(coordinator, "a");
        tokens.push(settled.fencingToken);
        const adopted = settledOf(await other.adopt(draft.id, settled.entries, recordFor(draft)));
        tokens.push(adopted.fencingToken);
        await other.leave(draft.id, adopted.entries, RELEASED);
      }
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
      expect(tokens.every((token) => Number.isSafeInteger(token))).toBe(true);
    });

    test("a claim's fencing token is not less than that of a claim that ended before it joined, on any of its locks", async () => {
      const coordinator = await stage.open();
      const first = await takeDurably(coordinator, "a");
      await coordinator.leave(first.draft.id, first.settled.entries, RELEASED);
      const second = await takeDurably(coordinator, ["b", "a"]);
      expect(second.settled.fencingToken).toBeGreaterThan(first.settled.fencingToken);
    });
  });

  describe("adopting", () => {
    test("takes a claim over in place, with a new owner and a greater token", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, ["a", "b"]);
      const waiting = await other.join(draftFor("a"));
      await one.close();
      const record = recordFor(draft, { owner: ownerAt("web-02"), reason: "after a crash" });
      const adopted = settledOf(await other.adopt(draft.id, settled.entries, record));
      expect(adopted.fencingToken).toBeGreaterThan(settled.fencingToken);
      expect(adopted.entries.map(({ lock, ref }) => [lock, ref])).toEqual(settled.entries.map(({ lock, ref }) => [lock, ref]));
      const [claim, behind] = await other.queue("a");
      expect(claim).toMatchObject({ id: draft.id, owner: record.owner, reason: "after a crash", durable: true, alive: true });
      expect(claim?.fencingToken).toBe(adopted.fencingToken);
      expect(behind?.ref).toBe(only(waiting).ref);
    });

    test("succeeds for one of those who have read the same", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      const outcomes = await Promise.all(
        [one, other, one, other].map((coordinator, index) =>
          coordinator.adopt(draft.id, settled.entries, recordFor(draft, { reason: `adopter ${index}` })),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === "changed")).toHaveLength(3);
      const winner = outcomes.findIndex((outcome) => typeof outcome !== "string");
      expect((await claimIn(one, "a")).reason).toBe(`adopter ${winner}`);
    });

    test("leaves the former owner nothing that it could write or end", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      const adopted = settledOf(await other.adopt(draft.id, settled.entries, recordFor(draft, { owner: ownerAt("web-02") })));
      expect(await one.update(draft.id, settled, recordFor(draft, { failure: FAILURE }))).toBe("changed");
      expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("changed");
      expect(await one.adopt(draft.id, settled.entries, recordFor(draft))).toBe("changed");
      const claim = await claimIn(one, "a");
      expect(claim).toMatchObject({ failure: null, fencingToken: adopted.fencingToken, owner: ownerAt("web-02") });
      expect(await one.history("a", 10)).toEqual([]);
    });

    test("finds that a claim has gone", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      await one.leave(draft.id, settled.entries, RELEASED);
      const next = await takeDurably(one, "a");
      expect(await other.adopt(draft.id, settled.entries, recordFor(draft))).toBe("gone");
      expect(await idsIn(other, "a")).toEqual([next.draft.id]);
    });

    test("of several entries is all or nothing", async () => {
      const coordinator = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, ["a", "b"]);
      const [a, b] = settled.entries;
      const stale = [a!, { ...b!, revision: b!.revision + 1_000_000 }];
      expect(await coordinator.adopt(draft.id, stale, recordFor(draft, { reason: "no" }))).toBe("changed");
      expect((await claimIn(coordinator, "a")).reason).toBe(null);
    });
  });

  describe("updating", () => {
    test("writes a new record for the same holder with the same token", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, ["a", "b"]);
      const updated = settledOf(await one.update(draft.id, settled, recordFor(draft, { failure: FAILURE })));
      expect(updated.fencingToken).toBe(settled.fencingToken);
      for (const lock of ["a", "b"]) {
        expect(await claimIn(other, lock)).toMatchObject({
          failure: FAILURE,
          fencingToken: settled.fencingToken,
          durable: true,
          alive: true,
        });
      }
      const again = settledOf(await one.update(draft.id, updated, recordFor(draft, { reason: "second" })));
      expect(await claimIn(other, "a")).toMatchObject({ failure: null, reason: "second", fencingToken: settled.fencingToken });
      expect(await one.leave(draft.id, again.entries, RELEASED)).toBe("done");
    });

    test("refuses what was read before another write", async () => {
      const coordinator = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, "a");
      settledOf(await coordinator.update(draft.id, settled, recordFor(draft, { reason: "first" })));
      expect(await coordinator.update(draft.id, settled, recordFor(draft, { reason: "second" }))).toBe("changed");
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("changed");
      expect((await claimIn(coordinator, "a")).reason).toBe("first");
    });

    test("finds that a claim has gone", async () => {
      const [one, admin] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      const read = await claimIn(admin, "a");
      expect(await admin.leave(draft.id, [read], { event: "cleared", by: "admin", reason: "stuck" })).toBe("done");
      expect(await one.update(draft.id, settled, recordFor(draft))).toBe("gone");
      expect(await one.queue("a")).toEqual([]);
    });

    test("an entry's revision is what the queue shows", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      expect((await claimIn(other, "a")).revision).toBe(onlyEntry(settled).revision);
      const updated = settledOf(await one.update(draft.id, settled, recordFor(draft)));
      expect((await claimIn(other, "a")).revision).toBe(onlyEntry(updated).revision);
      expect(onlyEntry(updated).revision).not.toBe(onlyEntry(settled).revision);
      const adopted = settledOf(await other.adopt(draft.id, [await claimIn(other, "a")], recordFor(draft)));
      expect((await claimIn(one, "a")).revision).toBe(onlyEntry(adopted).revision);
    });
  });

  describe("leaving", () => {
    test("ends a claim once, and never the next one's", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      const next = await takeDurably(other, "a");
      expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("gone");
      expect(await idsIn(one, "a")).toEqual([next.draft.id]);
      expect(await one.history("a", 10)).toHaveLength(1);
    });

    test("of several entries is all or nothing", async () => {
      const coordinator = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, ["a", "b"]);
      const [a, b] = settled.entries;
      expect(await coordinator.leave(draft.id, [a!, { ...b!, revision: b!.revision + 1_000_000 }], RELEASED)).toBe("changed");
      expect(await coordinator.list()).toEqual(["a", "b"]);
      expect(await coordinator.history(null, 10)).toEqual([]);
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      expect(await coordinator.list()).toEqual([]);
      expect((await coordinator.history(null, 10)).map(({ lock }) => lock).sort()).toEqual(["a", "b"]);
    });

    test("one of those who have read the same ends it, and it is recorded once", async () => {
      const sessions = [await stage.open(), await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(sessions[0]!, "a");
      const outcomes = await Promise.all(
        sessions.map((coordinator, index) => coordinator.leave(draft.id, settled.entries, { ...RELEASED, by: `session ${index}` })),
      );
      expect(outcomes.filter((outcome) => outcome === "done")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "gone")).toHaveLength(2);
      expect((await sessions[0]!.history("a", 10)).map(({ by }) => by)).toEqual([`session ${outcomes.indexOf("done")}`]);
    });
  });

  describe("the end of a session", () => {
    test("ends its ephemeral claims at once, and no others", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      await one.join(draftFor(["a", "b"]));
      const mine = await other.join(draftFor("a"));
      await one.close();
      expect(await idsIn(other, "b")).toEqual([]);
      expect((await other.queue("a")).map(({ ref }) => ref)).toEqual([only(mine).ref]);
    });

    test("leaves durable claims in place, and others see that their owner is gone", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft } = await takeDurably(one, ["a", "b"]);
      expect(await claimIn(other, "a")).toMatchObject({ durable: true, alive: true });
      await one.close();
      for (const lock of ["a", "b"])
        expect(await claimIn(other, lock)).toMatchObject({ id: draft.id, durable: true, alive: false });
    });

    test("an adopted claim lives with its adopter's session", async () => {
      const [one, other, third] = [await stage.open(), await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      settledOf(await other.adopt(draft.id, settled.entries, recordFor(draft, { owner: ownerAt("web-02") })));
      await one.close();
      expect(await claimIn(third, "a")).toMatchObject({ alive: true });
      await other.close();
      await until(async () => !(await claimIn(third, "a")).alive, "the adopter's end to be seen");
    });

    test("closing twice does nothing, and a closed coordinator answers nothing", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { joined, draft } = await takeDurably(one, "a");
      await Promise.all([one.close(), one.close()]);
      await one.close();
      expect(joined.session.lost.aborted).toBe(true);
      for (const asked of [one.join(draftFor("b")), one.queue("a"), one.list(), one.sync(), one.history(null, 1)]) {
        await expect(asked).rejects.toThrow();
      }
      await expect(one.settle(draft, joined, recordFor(draft))).rejects.toThrow();
      await one.withdraw(joined.positions);
      expect(await idsIn(other, "a")).toEqual([draft.id]);
      expect(await idsIn(other, "b")).toEqual([]);
    });
  });
}
