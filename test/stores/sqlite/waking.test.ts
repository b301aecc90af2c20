// Whom a release wakes, without waiting for the poll interval: everyone whom it lets go on. Where there is nobody, nothing is
// written for them.
import { statSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { failOnLeaks } from "../../support/leaks.js";
import { isPending, within } from "../../support/wait.js";
import { draftFor, only, RELEASED, takeDurably } from "../../coordinators/conformance/store.js";
import { freshPath, openFor } from "./store.js";

failOnLeaks();

const AN_HOUR_MS = 3_600_000;

describe("a release", () => {
  test("that nobody waits for announces nothing", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    await takeDurably(coordinator, "b");
    utimesSync(path, 1, 1);
    await coordinator.withdraw((await coordinator.join(draftFor("a"))).positions);
    const { draft, settled } = await takeDurably(coordinator, "a");
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(statSync(path).mtimeMs).toBe(1_000);
  });

  test("wakes those behind it, in whichever of its queues", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path), await openFor(path, { sleepTimeMs: AN_HOUR_MS })];
    const release: ((...locks: string[]) => Promise<() => Promise<unknown>>)[] = [
      async (...locks) => {
        const { positions: standings } = await coordinator.join(draftFor(locks));
        return () => coordinator.withdraw(standings);
      },
      async (...locks) => {
        const { draft, settled } = await takeDurably(coordinator, locks);
        return () => coordinator.leave(draft.id, settled.entries, RELEASED);
      },
    ];
    for (const take of release) {
      const leave = await take("a", "b");
      const mine = await other.join(draftFor("b"));
      const departure = other.departed(
        mine,
        "b",
        only(mine).ahead.map(({ ref }) => ref),
      );
      expect(await isPending(departure)).toBe(true);
      await leave();
      await within(departure, "the release to wake the waiter");
      await other.withdraw(mine.positions);
    }
  });
});

describe("a claim that is taken away from its owner", () => {
  test.each(["another coordinator", "its owner's own"])("wakes it, through %s", async (whose) => {
    const path = await freshPath();
    const owner = await openFor(path, { sleepTimeMs: AN_HOUR_MS });
    const actor: Coordinator = whose === "another coordinator" ? await openFor(path) : owner;
    const held = await owner.join(draftFor("a"));
    const departure = owner.departed(held, "a", [only(held).ref]);
    expect(await isPending(departure)).toBe(true);
    await actor.withdraw(held.positions);
    expect(await within(departure, "the owner to hear of it")).toEqual([only(held).ref]);
  });
});
