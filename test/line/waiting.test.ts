// Waiting in line by a clock that the test moves, on a real ZooKeeper behind a proxy that counts the questions to the store.
import { NONE_GONE } from "../support/perspectives.js";
import { expect, inject, onTestFinished, test } from "vitest";
import { waitInLine } from "../../src/line/waiting.js";
import { createClock } from "../../src/line/clock.js";
import type { Clock } from "../../src/line/clock.js";
import type { HeadOfLine } from "../../src/line/progress.js";
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

/** A clock that stands still until the test moves it. It has one sleeper at a time. */
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
    /** Waits for a sleeper, moves the clock, and ends the sleep. */
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
  // The first question makes a znode. From now on each question is one write, and the proxy counts them.
  await waiting.sync();
  const before = proxy.count(Opcode.setData);
  const asked = () => proxy.count(Opcode.setData) - before;

  const { clock, pass } = movableClock();
  const seen: (HeadOfLine | null)[] = [];
  const stop = new AbortController();
  const line = waitInLine(waiting, draftFor("a"), {
    clock,
    acquire: { timeoutMs: null, sleepTimeMs: RAREST_LOOK_MS },
    progress: { waiting: (_, __, behind) => void seen.push(behind), step: () => undefined },
    perspective: NONE_GONE,
    stop: stop.signal,
  });
  line.catch(() => undefined);
  /** How long the lock has been held, as the waiter tells at a look. */
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

  // Next to no time has passed in the store. The waiter has asked again, and believes it.
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

/** A waiter behind a holder. The waiter's session ends while the server does not answer it any more. */
async function openOutage(timeoutMs: number | null) {
  const clock = createClock();
  const timeIsOver = new AbortController();
  // The waiter's time is over when the test says so.
  const sleep: Clock["sleep"] = (ms, signal) =>
    ms === timeoutMs
      ? new Promise((resolve) => timeIsOver.signal.addEventListener("abort", () => resolve()))
      : clock.sleep(ms, signal);
  const server = inject("zookeeper");
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  const open = async (address: string) => {
    const options = { ...TEST_OPTIONS, connectTimeoutMs: 1_000 };
    const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, options);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  const holding = await open(`${server.host}:${server.port}`);
  const waiting = await open(proxy.address);
  const holder = await holding.join(draftFor("a", { settles: false }));
  const [steps, stop] = [[] as string[], new AbortController()];
  const line = waitInLine(waiting, draftFor("a"), {
    clock: { now: () => clock.now(), sleep },
    acquire: { timeoutMs, sleepTimeMs: 50 },
    progress: { waiting: () => undefined, step: (message) => void steps.push(message) },
    perspective: NONE_GONE,
    stop: stop.signal,
  });
  line.catch(() => undefined);
  await until(async () => (await holding.queue("a")).length === 2, "it to wait");
  await proxy.welcome("refuse");
  await proxy.cut();
  // It has told of its lost session, and could not join anew yet: then it would be second in the queue again.
  const said = (words: RegExp) => until(() => steps.some((step) => words.test(step)), `it to say ${words.source}`);
  await said(/^the session was lost while waiting/);
  steps.length = 0;
  await said(/^the store has not answered for .*: waiting on$/);
  return { proxy, holding, holder, line, said, stop, timeIsOver };
}

test("a waiter waits on through an outage that its session does not survive, and joins anew when the store answers", async () => {
  const { proxy, holding, holder, line, said } = await openOutage(null);
  await proxy.welcome("serve");
  await until(async () => (await holding.queue("a")).length === 2, "it to join anew");
  await said(/^the store answers again$/);
  await holding.withdraw(holder.positions);
  expect(await within(line, "its turn")).toMatchObject({ outcome: "granted" });
});

test("a waiter's own time ends its wait in an outage", async () => {
  const { line, timeIsOver } = await openOutage(90_000);
  timeIsOver.abort();
  expect(await within(line, "its time to be over")).toMatchObject({ outcome: "timed-out" });
});

test("a user's wish ends a wait in an outage at once", async () => {
  const { line, stop } = await openOutage(null);
  const enough = new Error("enough");
  stop.abort(enough);
  await expect(within(line, "the wait to end")).rejects.toBe(enough);
});
