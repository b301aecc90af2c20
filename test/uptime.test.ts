// A clock that counts the machine's sleep and rarely asks the kernel for it.
import { expect, test } from "vitest";
import { createUptimeClock, UPTIME_ERROR_MS, uptimeMs } from "../src/uptime.js";

const BOOTED_MS = 1_000_000;

/** A machine whose clocks go as the test says. */
function openMachine() {
  const machine = { awakeMs: 0, sleptMs: 0, wallSetByMs: 0, asked: 0 };
  const uptime = createUptimeClock({
    // In steps of 10 ms, as `/proc/uptime` has it.
    kernelMs: () => {
      machine.asked += 1;
      return Math.floor((BOOTED_MS + machine.awakeMs + machine.sleptMs) / 10) * 10;
    },
    monotonicMs: () => machine.awakeMs,
    wallMs: () => Math.floor(5_000_000 + machine.awakeMs + machine.sleptMs + machine.wallSetByMs),
  });
  return { machine, uptime, trueMs: () => BOOTED_MS + machine.awakeMs + machine.sleptMs };
}

test("it is never ahead of the kernel and never behind by more than it says, and never goes back", () => {
  const { machine, uptime, trueMs } = openMachine();
  let last = uptime();
  for (let step = 0; step < 5_000; step += 1) {
    machine.awakeMs += 0.37;
    const now = uptime();
    expect(now).toBeGreaterThanOrEqual(last);
    expect(now).toBeLessThanOrEqual(trueMs());
    expect(trueMs() - now).toBeLessThan(UPTIME_ERROR_MS / 2 + 1);
    last = now;
  }
  expect(machine.asked).toBeLessThan(25);
});

test("the first reading after a sleep counts it", () => {
  const { machine, uptime, trueMs } = openMachine();
  uptime();
  for (const sleptMs of [40, 15_000, 86_400_000]) {
    machine.awakeMs += 1;
    machine.sleptMs += sleptMs;
    expect(trueMs() - uptime()).toBeLessThan(UPTIME_ERROR_MS);
  }
});

test("a wall clock that is set does not move it", () => {
  const { machine, uptime, trueMs } = openMachine();
  uptime();
  for (const setByMs of [3_600_000, -7_200_000]) {
    machine.wallSetByMs += setByMs;
    machine.awakeMs += 1;
    expect(Math.abs(trueMs() - uptime())).toBeLessThan(UPTIME_ERROR_MS);
  }
});

test("a wall clock that is set back by just as much as the machine slept hides the sleep for a tenth of a second", () => {
  const { machine, uptime, trueMs } = openMachine();
  uptime();
  machine.sleptMs += 15_000;
  machine.wallSetByMs -= 15_000;
  machine.awakeMs += 50;
  expect(trueMs() - uptime()).toBeGreaterThan(10_000);
  machine.awakeMs += 50;
  expect(trueMs() - uptime()).toBeLessThan(UPTIME_ERROR_MS);
});

test("without the kernel's figure it is the monotonic clock", () => {
  expect(createUptimeClock({ kernelMs: () => null, monotonicMs: () => 12.5, wallMs: () => 99 })()).toBe(12.5);
});

test("this machine's uptime goes on", () => {
  const first = uptimeMs();
  expect(uptimeMs()).toBeGreaterThanOrEqual(first);
});
