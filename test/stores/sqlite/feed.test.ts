// Watching a database: others' commits are noticed when they happen and not when it is time to look, and a database that
// cannot be watched is not passed over in silence.
import { renameSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../../support/leaks.js";
import { until } from "../../support/wait.js";
import { draftFor, idsIn, RELEASED, takeDurably } from "../../coordinators/conformance/store.js";
import { contenderFor, freshPath, openFor } from "./store.js";

failOnLeaks();

const AN_HOUR_MS = 3_600_000;

describe("watching a database", () => {
  test("does not take the poll interval, whoever commits", async () => {
    const path = await freshPath();
    const [coordinator, near] = [await openFor(path, { sleepTimeMs: AN_HOUR_MS }), await openFor(path)];
    let shown: readonly string[] = [];
    const watch = await coordinator.watch(() => void idsIn(coordinator, "a").then((ids) => (shown = ids)));
    const far = await contenderFor(path, { locks: ["a"], until: "joined" });
    const { claim } = await far.event("joined");
    await until(() => shown.join() === claim, "another process's claim");
    const joined = await near.join(draftFor("a"));
    await until(() => shown.length === 2, "another coordinator's claim");
    await coordinator.join(draftFor("a"));
    await until(() => shown.length === 3, "one's own claim");
    await near.withdraw(joined.positions);
    await until(() => shown.length === 2, "the withdrawal");
    far.tell();
    await far.ended();
    await until(() => shown.length === 1, "the end of the other process's claim");
    watch.close();
  });

  test("tells nothing while nothing changes, though it is looked at", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path, { sleepTimeMs: 10 }), await openFor(path)];
    await takeDurably(other, "a");
    let calls = 0;
    const watch = await coordinator.watch(() => (calls += 1));
    for (let look = 0; look < 50; look += 1) {
      await other.queue("a");
      await coordinator.history(null, 10);
      await other.sync();
    }
    expect(calls).toBe(0);
    const { draft, settled } = await takeDurably(other, "b");
    await until(() => calls > 0, "to be told");
    await other.leave(draft.id, settled.entries, RELEASED);
    watch.close();
  });

  test("tells that the database is not what it was, so that whoever looks finds out", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { sleepTimeMs: 10 });
    const problems: unknown[] = [];
    const watch = await coordinator.watch(() => void coordinator.list().catch((error: unknown) => problems.push(error)));
    renameSync(path, `${path}.away`);
    await until(() => problems.length > 0, "the problem");
    expect(problems[0]).toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/removed while it was in use/) as unknown,
    });
    renameSync(`${path}.away`, path);
    const told = problems.length;
    let calls = 0;
    const again = await coordinator.watch(() => (calls += 1));
    await coordinator.join(draftFor("a"));
    await until(() => calls > 0, "to be told again");
    expect(problems).toHaveLength(told);
    watch.close();
    again.close();
  });
});
