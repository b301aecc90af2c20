// Waiting in line by a clock that a test moves, on a real ZooKeeper behind a proxy that counts what the store is asked.
import { expect, inject, onTestFinished, test } from "vitest";
import { waitInLine } from "../../src/actions/line.js";
import type { Clock } from "../../src/actions/machine.js";
import type { Behind } from "../../src/actions/progress.js";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import { draftFor, takeDurably, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { openFaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshRoot } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";

failOnLeaks();

const RAREST_LOOK_MS = 10_000;
const CLOCK_ASKED_EVERY_MS = 600_000;

/** A clock that stands still until it is moved, with one sleeper at a time. */
function movableClock() {
  let now = 0;
  let sleeper: { readonly until: number; wake(): void } | null = null;
  const clock: Clock = {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleeper = { until: now + ms, wake: resolve };
        signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
  };
  return {
    clock,
    /** Moves it when somebody sleeps, and ends the sleep. */
    pass: async (ms: number): Promise<void> => {
      const sleeping = await until(() => sleeper, "the waiter to pause");
      now += ms;
      if (sleeping.until > now) throw new Error(`the waiter pauses for ${sleeping.until - now} ms longer`);
      sleeper = null;
      sleeping.wake();
    },
  };
}

test("a waiter asks for the store's time every ten minutes at most, and reckons it by its own clock in between", async () => {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  const url = `zookeeper://${proxy.address}${freshRoot()}`;
  const [holding, waiting] = [await openZooKeeper(url, TEST_OPTIONS), await openZooKeeper(url, TEST_OPTIONS)];
  onTestFinished(async () => {
    await Promise.all([holding.close(), waiting.close()]);
  });
  await takeDurably(holding, "a");
  // Asked once by hand: what has to be made for that is there from now on, and the count is that of the questions.
  await waiting.now();
  const before = proxy.count(Opcode.setData);
  const asked = () => proxy.count(Opcode.setData) - before;

  const { clock, pass } = movableClock();
  const seen: (Behind | null)[] = [];
  const stop = new AbortController();
  const line = waitInLine(waiting, draftFor("a"), {
    clock,
    acquire: { timeoutMs: null, sleepTimeMs: RAREST_LOOK_MS },
    progress: { waiting: (_, __, behind) => void seen.push(behind), step: () => undefined },
    ownerGone: () => false,
    isLeftover: () => false,
    by: "deploy@web-02",
    stop: stop.signal,
  });
  line.catch(() => undefined);
  /** For how long it says that the lock has been held, at a look. */
  const heldFor = async (look: number): Promise<number> => {
    const behind = await until(() => seen[look], `look ${look}`);
    return behind.forMs;
  };

  const first = await heldFor(0);
  expect(asked()).toBe(1);
  await pass(RAREST_LOOK_MS);
  expect(await heldFor(1)).toBe(first + RAREST_LOOK_MS);
  await pass(CLOCK_ASKED_EVERY_MS - RAREST_LOOK_MS);
  expect(await heldFor(2)).toBe(first + CLOCK_ASKED_EVERY_MS);
  expect(asked()).toBe(1);

  // In the store next to no time has passed: it has been asked again, and is believed.
  await pass(RAREST_LOOK_MS);
  const second = await heldFor(3);
  expect(second).toBeGreaterThanOrEqual(first);
  expect(second).toBeLessThan(CLOCK_ASKED_EVERY_MS);
  expect(asked()).toBe(2);
  await pass(RAREST_LOOK_MS);
  expect(await heldFor(4)).toBe(second + RAREST_LOOK_MS);
  expect(asked()).toBe(2);

  const enough = new Error("enough");
  stop.abort(enough);
  await expect(within(line, "the wait to end")).rejects.toBe(enough);
});
