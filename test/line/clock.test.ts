import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { createClock } from "../../src/line/clock.js";
import { isPending, until } from "../support/wait.js";

const clock = createClock();

describe("the clock", () => {
  test("a sleep is over when its time has passed, by the clock itself", async () => {
    const before = clock.now();
    await clock.sleep(20);
    expect(clock.now() - before).toBeGreaterThanOrEqual(20);
  });

  test("a sleep may take no time at all", async () => {
    await clock.sleep(0);
    await clock.sleep(-5);
  });

  test("an aborted sleep rejects with the signal's own reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const sleep = clock.sleep(3_600_000, stop.signal);
    stop.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    await expect(clock.sleep(0, stop.signal)).rejects.toBe(reason);
  });

  test("sleeps leave no listener on their signal, however they end", async () => {
    const { signal } = new AbortController();
    for (let slept = 0; slept < 20; slept += 1) await clock.sleep(1, signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);

    const stop = new AbortController();
    const sleep = clock.sleep(3_600_000, stop.signal);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    stop.abort();
    await expect(sleep).rejects.toBe(stop.signal.reason);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });

  test("a sleep longer than a timer can be does not end at once", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on("warning", note);
    const stop = new AbortController();
    const sleep = clock.sleep(100 * 365 * 86_400_000, stop.signal);
    // Node would fire a timer of that length after 1 ms.
    const before = clock.now();
    await until(() => clock.now() - before > 10);
    expect(await isPending(sleep)).toBe(true);
    process.off("warning", note);
    expect(warnings).toEqual([]);
    stop.abort();
    await expect(sleep).rejects.toBe(stop.signal.reason);
  });
});
