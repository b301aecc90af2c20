// Conformance: sessions that expire. What depended on one ends with it, what has happened in it is known in the next, and claims
// in hand are seen to live again.
import { describe, expect, test } from "vitest";
import { SessionLostError } from "../locks/errors.js";
import { takeTurn } from "../line/turn.js";
import { until, within } from "./until.js";
import { claimIn, draftFor, idsIn, only, ownerAt, recordFor, RELEASED, settledOf, takeDurably } from "./drafts.js";
import type { Stage } from "./stage.js";

// One lock, and several in one transaction.
const LOCKS = [["a"], ["a", "b/c", "d"]];

export function describeExpiries(stage: Stage): void {
  describe("a session that has expired", () => {
    test("while waiting: the wait ends with it, and so does the claim", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const first = await other.join(draftFor("a"));
      const mine = await coordinator.join(draftFor(["a", "b"]));
      const departure = coordinator.departed(mine, "a", [only(first).ref]);
      departure.catch(() => undefined);
      await faults.expireSession();
      await expect(within(departure, "the wait to end")).rejects.toBeInstanceOf(SessionLostError);
      expect(mine.session.lost.aborted).toBe(true);
      expect(mine.session.lost.reason).toBeInstanceOf(SessionLostError);
      await expect(coordinator.position(mine.positions[1]!)).rejects.toBeInstanceOf(SessionLostError);
      await expect(coordinator.departed(mine, "a", [only(first).ref])).rejects.toBeInstanceOf(SessionLostError);
      expect(await idsIn(other, "b")).toEqual([]);
    });

    test("while waiting: a new session takes its place, and the claimant goes to the end of the line", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const first = await other.join(draftFor("a"));
      let rejoined = 0;
      const draft = draftFor("a");
      const turn = takeTurn(coordinator, draft, { signal: new AbortController().signal, onRejoin: () => void (rejoined += 1) });
      await until(async () => (await idsIn(other, "a")).length === 2, "the claimant to join");
      const third = await other.join(draftFor("a"));
      await faults.expireSession();
      await until(() => rejoined === 1, "the claimant to learn that its session has ended");
      await until(async () => (await idsIn(other, "a")).indexOf(draft.id) === 2, "the claimant to stand at the end");
      await other.withdraw(first.positions);
      await other.withdraw(third.positions);
      const granted = await within(turn, "the claimant's turn");
      if (granted.outcome !== "granted") throw new Error("not granted");
      await coordinator.settle(draft, granted.joined, recordFor(draft));
      expect(await idsIn(other, "a")).toEqual([draft.id]);
      expect(rejoined).toBe(1);
    });

    test("while an ephemeral claim is held: the next holder, who finds it gone, has seen more than that one", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const held = await coordinator.join(draftFor("a", { settles: false }));
      const next = await other.join(draftFor("a", { settles: false }));
      // The holder's session sees everything that has happened so far.
      await coordinator.withdraw((await coordinator.join(draftFor("b"))).positions);
      const token = held.session.latestRevision();
      await faults.expireSession();
      await until(async () => (await other.position(only(next))).ahead.length === 0, "the next one's turn");
      expect(next.session.latestRevision()).toBeGreaterThan(token);
    });

    test("between grant and settle: nothing is settled", async () => {
      for (const locks of LOCKS) {
        const { coordinator, faults } = await stage.faulty();
        const other = await stage.open();
        const draft = draftFor(locks);
        const joined = await coordinator.join(draft);
        await faults.expireSession();
        const settling = within(coordinator.settle(draft, joined, recordFor(draft)), "the settle");
        await expect(settling).rejects.toBeInstanceOf(SessionLostError);
        for (const lock of locks) expect(await other.queue(lock)).toEqual([]);
      }
    });

    test("while its request to settle is on the way: nothing is settled", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const draft = draftFor(["a", "b"]);
      const joined = await coordinator.join(draft);
      const held = faults.holdRequest("settle", draft.id);
      const settling = coordinator.settle(draft, joined, recordFor(draft));
      settling.catch(() => undefined);
      await held.caught;
      await faults.expireSession();
      const next = await other.join(draftFor("a"));
      expect(only(next).ahead).toEqual([]);
      held.release();
      await expect(within(settling, "the settle")).rejects.toBeInstanceOf(SessionLostError);
      expect((await other.queue("a")).map(({ ref }) => ref)).toEqual([only(next).ref]);
    });

    test("after a settle whose reply was lost: the claim is found, not settled again", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const draft = draftFor("a");
      const joined = await coordinator.join(draft);
      await faults.refuse();
      await faults.serve();
      const lost = faults.loseReply("settle", draft.id);
      const settling = coordinator.settle(draft, joined, recordFor(draft));
      settling.catch(() => undefined);
      await lost;
      await faults.expireSession();
      // Either answer would be true of what is known; what may not be is a claim that nobody knows to be theirs.
      const settled = await within(settling, "the settle");
      const claim = await claimIn(other, "a");
      expect(claim).toMatchObject({ id: draft.id, durable: true, fencingToken: settled.fencingToken });
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("after a settle whose reply was lost, while another claim is held: both are seen to live again", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      // For its sake the next session opens at once.
      await takeDurably(coordinator, "held");
      const draft = draftFor("a");
      const joined = await coordinator.join(draft);
      const lost = faults.loseReply("settle", draft.id);
      const settling = coordinator.settle(draft, joined, recordFor(draft));
      await lost;
      await faults.refuse();
      await faults.expireSession();
      await faults.serve();
      const settled = await within(settling, "the settle");
      for (const lock of ["held", "a"])
        await until(async () => (await claimIn(other, lock)).alive, `the holder of ${lock} to be seen`);
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("after an adoption whose reply was lost: the claim is this process's, and seen to live", async () => {
      for (const isWritten of [false, true]) {
        const { coordinator, faults } = await stage.faulty();
        const [owner, other] = [await stage.open(), await stage.open()];
        const { draft, settled } = await takeDurably(owner, "a");
        await owner.close();
        const record = recordFor(draft, { owner: ownerAt("web-02") });
        const lost = faults.loseReply("adopt", draft.id);
        const adopting = coordinator.adopt(draft.id, settled.entries, record);
        await lost;
        await faults.refuse();
        await faults.expireSession();
        const read = await claimIn(other, "a");
        const inHand = { entries: [read], fencingToken: read.fencingToken ?? 0 };
        if (isWritten) settledOf(await other.update(draft.id, inHand, { ...record, reason: "noted" }));
        await faults.serve();
        const adopted = settledOf(await within(adopting, "the adoption"));
        expect(adopted.fencingToken).toBe(read.fencingToken);
        await until(async () => (await claimIn(other, "a")).alive, "the adopter to be seen");
        expect(await coordinator.leave(draft.id, [await claimIn(other, "a")], RELEASED)).toBe("done");
      }
    });

    test("while a claim is held: it stays, and its liveness comes back by itself", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const { draft, settled, joined } = await takeDurably(coordinator, ["a", "b"]);
      await faults.refuse();
      await faults.expireSession();
      for (const lock of draft.locks) expect(await claimIn(other, lock)).toMatchObject({ durable: true, alive: false });
      await faults.serve();
      await until(async () => (await claimIn(other, "a")).alive && (await claimIn(other, "b")).alive, "the owner to be seen again");
      expect(joined.session.lost.aborted).toBe(true);
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("a claim that has ended gets no liveness back", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const ended = await takeDurably(coordinator, "a");
      await coordinator.leave(ended.draft.id, ended.settled.entries, RELEASED);
      const kept = await takeDurably(coordinator, "b");
      const adoptedAway = await takeDurably(coordinator, "c");
      settledOf(await other.adopt(adoptedAway.draft.id, adoptedAway.settled.entries, recordFor(adoptedAway.draft)));
      await faults.expireSession();
      await until(
        async () => (await claimIn(other, "b")).id === kept.draft.id && (await claimIn(other, "b")).alive,
        "liveness to be back",
      );
      expect(await other.queue("a")).toEqual([]);
      await other.close();
      const third = await stage.open();
      await until(async () => !(await claimIn(third, "c")).alive, "the adopter to be seen as gone");
    });
  });
}
