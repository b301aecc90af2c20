// Conformance: sessions that expire, and stores that do not answer. Nobody goes on as if nothing had happened, and nothing
// is left behind.
import { setMaxListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { SessionLostError, UnreachableError } from "../locks/errors.js";
import { takeTurn } from "../line/turn.js";
import { until, within } from "./until.js";
import { claimIn, draftFor, idsIn, only, recordFor, RELEASED, settledOf, takeDurably, untilEmpty } from "./drafts.js";
import type { Stage } from "./stage.js";

// One lock, and several in one transaction.
const LOCKS = [["a"], ["a", "b/c", "d"]];

export function describeOutages(stage: Stage): void {
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

  describe("a store that does not answer", () => {
    test("loses the session before the store can have ended it", async () => {
      const { coordinator, faults } = await stage.faulty({ sessionTimeoutMs: 3_000 });
      const other = await stage.open();
      const mine = await coordinator.join(draftFor("a"));
      const lost = new Promise((resolve) => mine.session.lost.addEventListener("abort", resolve, { once: true }));
      faults.freeze();
      await within(lost, "the session to count as lost");
      // The store still honours it: whatever depends on it can be stopped in time.
      expect(await other.queue("a")).toHaveLength(1);
      expect(mine.session.graceMs).toBeGreaterThan(0);
      await untilEmpty(other, "a");
      faults.thaw();
      expect((await coordinator.join(draftFor("a"))).session.id).not.toBe(mine.session.id);
    });

    test("keeps the session when it answers again in time", async () => {
      const { coordinator, faults } = await stage.faulty();
      const other = await stage.open();
      const mine = await coordinator.join(draftFor("a"));
      faults.freeze();
      const asked = coordinator.position(only(mine));
      await other.queue("a");
      faults.thaw();
      expect((await asked).ref).toBe(only(mine).ref);
      expect(mine.session.lost.aborted).toBe(false);
    });

    test("is an UnreachableError, in time", async () => {
      const { coordinator, faults } = await stage.faulty({ connectTimeoutMs: 2_000, sessionTimeoutMs: 2_000 });
      await coordinator.queue("a");
      faults.freeze();
      const asked = Promise.allSettled([coordinator.queue("a"), coordinator.sync(), coordinator.join(draftFor("a"))]);
      for (const answer of await within(asked, "the answers", 8_000)) {
        expect(answer).toMatchObject({ status: "rejected", reason: expect.any(UnreachableError) as unknown });
      }
    });

    test("holds up no question that is aborted", async () => {
      const { coordinator, faults } = await stage.faulty();
      const { draft, joined, settled } = await takeDurably(coordinator, "a");
      const fresh = draftFor("b");
      const waiting = await coordinator.join(fresh);
      const stop = new AbortController();
      const reason = new Error("Ctrl-C");
      const { signal } = stop;
      // More wait with it at once than node thinks usual.
      setMaxListeners(0, signal);
      faults.freeze();
      const asked = [
        coordinator.join(draftFor("c"), signal),
        coordinator.position(only(waiting), signal),
        coordinator.settle(fresh, waiting, recordFor(fresh), signal),
        coordinator.adopt(draft.id, settled.entries, recordFor(draft), signal),
        coordinator.update(draft.id, settled, recordFor(draft), signal),
        coordinator.leave(draft.id, settled.entries, RELEASED, signal),
        coordinator.departed(joined, "a", [only(joined).ref], signal),
        coordinator.queue("a", signal),
        coordinator.list(signal),
        coordinator.find(draft.id, signal),
        coordinator.watch(() => undefined, signal),
        coordinator.history(null, 10, signal),
        coordinator.sync(signal),
      ];
      const answers = Promise.allSettled(asked);
      stop.abort(reason);
      // Well within the time after which the session would be lost and everything fail anyway.
      for (const answer of await within(answers, "the abort to be heeded", 2_000))
        expect(answer).toEqual({ status: "rejected", reason });
    });

    test("a claim that is withdrawn meanwhile is gone when it answers again", async () => {
      const { coordinator, faults } = await stage.faulty({ connectTimeoutMs: 2_000 });
      const other = await stage.open();
      const joined = await coordinator.join(draftFor(["a", "b"]));
      faults.freeze();
      await within(coordinator.withdraw(joined.positions), "the withdrawal to be over");
      faults.thaw();
      await untilEmpty(other, "a");
      await untilEmpty(other, "b");
    });

    test("a claim that is withdrawn meanwhile ends with the session when it never answers again", async () => {
      const { coordinator, faults } = await stage.faulty({ connectTimeoutMs: 2_000, sessionTimeoutMs: 2_000 });
      const other = await stage.open();
      const joined = await coordinator.join(draftFor(["a", "b"]));
      faults.freeze();
      await within(coordinator.withdraw(joined.positions), "the withdrawal to be over");
      await untilEmpty(other, "a");
      await untilEmpty(other, "b");
    });

    test("an aborted join that was already on its way leaves nothing behind", async () => {
      for (const locks of LOCKS) {
        const { coordinator, faults } = await stage.faulty();
        const other = await stage.open();
        const warm = await coordinator.join(draftFor(locks));
        await coordinator.withdraw(warm.positions);
        const draft = draftFor(locks);
        const held = faults.holdRequest("join", draft.id);
        const stop = new AbortController();
        const reason = new Error("Ctrl-C");
        const joining = coordinator.join(draft, stop.signal);
        joining.catch(() => undefined);
        await held.caught;
        stop.abort(reason);
        await expect(within(joining, "the abort to be heeded", 2_000)).rejects.toBe(reason);
        held.release();
        // It may still arrive, but then it is taken out again, although the session lives.
        const next = await coordinator.join(draftFor("last"));
        for (const lock of locks) await untilEmpty(other, lock);
        expect(next.session.lost.aborted).toBe(false);
      }
    });

    test("closing ends in time, and never rejects", async () => {
      const { coordinator, faults } = await stage.faulty({ connectTimeoutMs: 2_000, sessionTimeoutMs: 2_000 });
      const other = await stage.open();
      await coordinator.join(draftFor("a"));
      faults.freeze();
      await within(coordinator.close(), "the close", 8_000);
      await untilEmpty(other, "a");
    });
  });

  describe("opening", () => {
    test("fails with an UnreachableError when connections are refused, or accepted and not answered", async () => {
      const opened = await stage.store.unreachable();
      for (const [how, open] of Object.entries(opened)) {
        const started = performance.now();
        await expect(within(open(1_000), how, 8_000), how).rejects.toBeInstanceOf(UnreachableError);
        expect(performance.now() - started, how).toBeLessThan(6_000);
      }
    });
  });
}
