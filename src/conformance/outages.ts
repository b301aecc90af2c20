// Conformance: stores that do not answer. Nobody goes on as if nothing had happened, and nothing is left behind.
import { setMaxListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { UnreachableError } from "../locks/errors.js";
import { within } from "./until.js";
import { draftFor, only, recordFor, RELEASED, takeDurably, untilEmpty } from "./drafts.js";
import type { Stage } from "./stage.js";

// One lock, and several in one transaction.
const LOCKS = [["a"], ["a", "b/c", "d"]];

export function describeOutages(stage: Stage): void {
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
