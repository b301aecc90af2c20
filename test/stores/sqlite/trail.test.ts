// What is told of a change in a database: which locks it was, however it came about, and "anything" only where that is no
// longer known.
import { describe, expect, onTestFinished, test } from "vitest";
import { connect } from "../../../src/stores/sqlite/database.js";
import { followTrail, type Mark, type Step } from "../../../src/stores/sqlite/trail.js";
import type { Change, Coordinator } from "../../../src/locks/coordinator.js";
import { failOnLeaks } from "../../support/leaks.js";
import { until } from "../../support/wait.js";
import { draftFor, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { contenderFor, freshPath, meddle, openFor } from "./store.js";

failOnLeaks();

/** Gives what tells the locks of which a watch has been told since it was asked last; "anything" for `null`. */
async function watched(coordinator: Coordinator): Promise<() => Promise<readonly string[]>> {
  const told: Change[] = [];
  const watch = await coordinator.watch((change) => told.push(change));
  onTestFinished(() => watch.close());
  return async () => {
    await watch.caughtUp();
    const locks = told.splice(0).flatMap((change) => (change === null ? ["anything"] : [...change.locks, ...change.claims]));
    return [...new Set(locks)].sort();
  };
}

async function trailOf(path: string): Promise<(since: Mark | null) => Promise<Step>> {
  const database = await connect(path, TEST_OPTIONS);
  onTestFinished(() => database.close());
  return (since) => database.read(undefined, (sql) => followTrail(sql, since));
}

/** As an earlier Holdline made it. */
function forgetTrail(path: string): void {
  const triggers = ["claim_written", "claim_removed", "trail_too_long"];
  meddle(path, (db) => db.exec(`${triggers.map((name) => `DROP TRIGGER ${name};`).join("")} DROP TABLE changes;`));
}

describe("a watch", () => {
  test.each(["another's", "one's own"])("tells of the lock that has changed and of no other, by %s doing", async (whose) => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const actor = whose === "one's own" ? coordinator : await openFor(path);
    await takeDurably(actor, "b");
    const told = await watched(coordinator);
    expect(await told()).toEqual([]);
    const draft = draftFor("a");
    const joined = await actor.join(draft);
    expect(await told()).toEqual(["a"]);
    const settled = await actor.settle(draft, joined, recordFor(draft));
    expect(await told()).toEqual(["a"]);
    const updated = settledOf(await actor.update(draft.id, settled, recordFor(draft, { reason: "updated" })));
    expect(await told()).toEqual(["a"]);
    const adopted = settledOf(await actor.adopt(draft.id, updated.entries, recordFor(draft)));
    expect(await told()).toEqual(["a"]);
    expect(await actor.leave(draft.id, adopted.entries, RELEASED)).toBe("done");
    expect(await told()).toEqual(["a"]);
    const { positions: standings } = await actor.join(draftFor(["c", "d"]));
    expect(await told()).toEqual(["c", "d"]);
    await actor.withdraw(standings);
    expect(await told()).toEqual(["c", "d"]);
    await actor.queue("b");
    expect(await told()).toEqual([]);
  });

  test("tells of the locks of a process that was killed: where it waited, and where it held", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    await takeDurably(coordinator, "b");
    const holder = await contenderFor(path, { locks: ["held"], until: "settled" });
    const waiter = await contenderFor(path, { locks: ["waited"], until: "joined" });
    await Promise.all([holder.event("settled"), waiter.event("joined")]);
    const told = await watched(coordinator);
    await Promise.all([holder.kill(), waiter.kill()]);
    expect(await told()).toEqual(["held", "waited"]);
    expect((await coordinator.queue("held")).map(({ alive }) => alive)).toEqual([false]);
  });

  test("tells of what is written past Holdline, too", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    await takeDurably(coordinator, ["a", "b"]);
    const told = await watched(coordinator);
    meddle(path, (db) => db.exec("DELETE FROM claims WHERE lock = 'b'"));
    expect(await told()).toEqual(["b"]);
  });
});

describe("the trail", () => {
  test("shows what has come and gone between two looks", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const follow = await trailOf(path);
    const { mark } = await follow(null);
    await coordinator.withdraw((await coordinator.join(draftFor("a"))).positions);
    const { draft, settled } = await takeDurably(coordinator, "b");
    await coordinator.leave(draft.id, settled.entries, RELEASED);
    const step = await follow(mark);
    expect([...(step.written ?? ["anything"])].sort()).toEqual(["a", "b"]);
    expect((await follow(step.mark)).written).toEqual([]);
  });

  test("is bounded, and whoever has missed a part of it is told that it may be anything", async () => {
    const path = await freshPath();
    await takeDurably(await openFor(path), "a");
    const follow = await trailOf(path);
    const { mark } = await follow(null);
    const write = (times: number): void =>
      meddle(path, (db) => {
        const statement = db.prepare("UPDATE claims SET revision = revision + 1");
        db.transaction(() => {
          for (let time = 0; time < times; time += 1) statement.run();
        })();
      });
    write(1_000);
    const step = await follow(mark);
    expect(step.written).toEqual(["a"]);
    write(2_000);
    expect((await follow(mark)).written).toBe(null);
    expect((await follow(step.mark)).written).toBe(null);
    const [row] = meddle(path, (db) => db.prepare("SELECT count(*) AS count FROM changes").all()) as { count: number }[];
    expect(row?.count).toBeLessThan(1_300);
  });

  test("is begun in a database that has none, and then earlier Holdlines leave it as well", async () => {
    const path = await freshPath();
    const earlier = await openFor(path);
    const held = await takeDurably(earlier, "a");
    forgetTrail(path);
    await earlier.join(draftFor("a"));
    const coordinator = await openFor(path);
    const told = await watched(coordinator);
    expect(await told()).toEqual([]);
    expect((await coordinator.queue("a")).map(({ durable }) => durable)).toEqual([true, false]);
    await earlier.join(draftFor("b"));
    expect(await told()).toEqual(["b"]);
    expect(await earlier.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
    expect(await told()).toEqual(["a"]);
  });

  test("is begun once, when many open a database that has none", async () => {
    const path = await freshPath();
    await (await openFor(path)).close();
    forgetTrail(path);
    const contenders = await Promise.all(Array.from({ length: 4 }, () => contenderFor(path, { locks: ["a"], until: "all" })));
    await Promise.all(contenders.map((contender) => contender.event("closed")));
    const follow = await trailOf(path);
    await until(async () => (await follow(null)).mark.sequence > 0, "the trail");
  });
});
