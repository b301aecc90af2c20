// Heeding the freezes of a store: what is never taken for thawed, and a waiter that goes on with the thaw. The store's clock and the
// waiter's stand still until the test moves them.
import { expect, test } from "vitest";
import type { Clock } from "../../src/line/clock.js";
import { readBinding, readFreezes, type ThawOptions, untilThawed } from "../../src/line/freezes.js";
import { SILENT_PROGRESS } from "../../src/line/progress.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { encodeFreezes, type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { openStage, START } from "../leases/stage.js";
import { until } from "../support/wait.js";

const HERE = { lock: "restart/nginx", node: "web-07", group: "web" };

function freezeOf(changes: Partial<Freeze> = {}): Freeze {
  return { id: "f", locks: ["*"], node: null, group: null, reason: "sale", by: "ann@desk", since: START, until: null, ...changes };
}

async function write(coordinator: Coordinator, value: string | null): Promise<void> {
  const revision = (await coordinator.document(FREEZES_DOCUMENT))?.revision ?? 0;
  expect(await coordinator.writeDocument(FREEZES_DOCUMENT, value, revision)).toBe("done");
}

/** A clock that stands still: a sleeper wakes when the test lets it. */
function stillClock() {
  const sleepers: { readonly ms: number; wake(): void }[] = [];
  const clock: Clock = {
    now: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { ms, wake: resolve };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1);
          reject(signal.reason as Error);
        });
      }),
  };
  return { clock, sleepers };
}

function optionsWith(clock: Clock, changes: Partial<ThawOptions> = {}): ThawOptions {
  return {
    ...{ clock, progress: SILENT_PROGRESS, timeoutMs: null, sleepTimeMs: 5, signal: new AbortController().signal },
    ...changes,
  };
}

test("a store without the document has no freezes", async () => {
  const coordinator = await openStage().open();
  expect(await readFreezes(coordinator)).toMatchObject({ freezes: [], revision: 0 });
});

test.each([
  "",
  "garbage",
  "[]",
  '{"v":2,"freezes":[]}',
  '{"v":1,"freezes":[{"id":"f"}]}',
  encodeFreezes([freezeOf({ until: 1e300 })]),
])("a document that cannot be read is not thawed: %j", async (value) => {
  const coordinator = await openStage().open();
  await write(coordinator, value);
  const problem = expect.objectContaining({
    code: "configuration",
    message: expect.stringContaining("cannot be read") as string,
    hint: expect.stringContaining("thaw --all") as string,
  }) as object;
  await expect(readFreezes(coordinator)).rejects.toEqual(problem);
  await expect(untilThawed(coordinator, [HERE], optionsWith(stillClock().clock))).rejects.toEqual(problem);
});

test("what binds a claim on several locks has the freezes of whole locks first, each once", async () => {
  const coordinator = await openStage().open();
  const [ofNode, whole, other] = [
    freezeOf({ id: "node", node: "web-*" }),
    freezeOf({ id: "whole" }),
    freezeOf({ id: "other", locks: ["deploy"] }),
  ];
  await write(coordinator, encodeFreezes([ofNode, whole, other]));
  const { binding, check } = await readBinding(coordinator, [HERE, { ...HERE, lock: "restart/redis" }]);
  expect(binding).toEqual([whole, ofNode]);
  expect(check).toEqual({ name: FREEZES_DOCUMENT, revision: (await coordinator.document(FREEZES_DOCUMENT))?.revision });
});

test("a waiter goes on with the thaw, at once", async () => {
  const stage = openStage();
  const [coordinator, admin] = [await stage.open(), await stage.open()];
  await write(admin, encodeFreezes([freezeOf()]));
  const { clock, sleepers } = stillClock();
  const waiting = untilThawed(coordinator, [HERE], optionsWith(clock));
  await until(() => sleepers.length === 1, "the waiter to pause");
  // Another freeze takes the place of the first.
  await write(admin, encodeFreezes([freezeOf({ id: "g", locks: ["restart/*"] })]));
  await until(() => sleepers.length === 1, "the waiter to pause again");
  await write(admin, null);
  expect((await waiting).binding).toEqual([]);
});

test("a waiter that was bound by its lock is bound by its node after that, and keeps no place", async () => {
  const stage = openStage();
  const [coordinator, admin] = [await stage.open(), await stage.open()];
  await write(admin, encodeFreezes([freezeOf(), freezeOf({ id: "node", node: "web-07" })]));
  const { clock, sleepers } = stillClock();
  const waiting = untilThawed(coordinator, [HERE], optionsWith(clock));
  await until(() => sleepers.length === 1, "the waiter to pause");
  await write(admin, encodeFreezes([freezeOf({ id: "node", node: "web-07" })]));
  expect((await waiting).binding).toMatchObject([{ id: "node" }]);
});

test("a freeze with an end is over by the store's clock, and not by the waiter's", async () => {
  const stage = openStage();
  const coordinator = await stage.open();
  await write(coordinator, encodeFreezes([freezeOf({ until: START + 7_000 })]));
  const { clock, sleepers } = stillClock();
  const waiting = untilThawed(coordinator, [HERE], optionsWith(clock));
  const pause = async () => {
    await until(() => sleepers.length === 1, "the waiter to pause");
    return sleepers.pop()!;
  };
  const first = await pause();
  expect(first.ms).toBe(7_000);
  stage.now += 6_999;
  first.wake();
  const second = await pause();
  expect(second.ms).toBe(1);
  stage.now += 1;
  second.wake();
  expect((await waiting).binding).toEqual([]);
});

test("a waiter leaves at once where it may not wait, or only its node or group is frozen", async () => {
  const coordinator = await openStage().open();
  const { clock } = stillClock();
  await write(coordinator, encodeFreezes([freezeOf({ group: "web" })]));
  expect((await untilThawed(coordinator, [HERE], optionsWith(clock))).binding).toHaveLength(1);
  expect((await untilThawed(coordinator, [{ ...HERE, group: "db" }], optionsWith(clock))).binding).toEqual([]);
  await write(coordinator, encodeFreezes([freezeOf()]));
  expect((await untilThawed(coordinator, [HERE], optionsWith(clock, { timeoutMs: 0 }))).binding).toHaveLength(1);
});

test("a wait ends with its time, and with its signal's reason", async () => {
  const coordinator = await openStage().open();
  await write(coordinator, encodeFreezes([freezeOf()]));
  const { clock, sleepers } = stillClock();
  const late = untilThawed(coordinator, [HERE], optionsWith(clock, { timeoutMs: 30_000 }));
  await until(() => sleepers.length === 2, "the waiter to pause");
  sleepers.find(({ ms }) => ms === 30_000)!.wake();
  expect((await late).binding).toHaveLength(1);

  const stop = new AbortController();
  const stopped = untilThawed(coordinator, [HERE], optionsWith(stillClock().clock, { signal: stop.signal }));
  stop.abort(new Error("enough"));
  await expect(stopped).rejects.toThrow("enough");
});
