// The store's clock: it follows no jump of the wall clock, and never goes back, not even over a reboot.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { anchorClock, readClock, systemTime, tickClock, type TimeSource } from "../../../src/stores/sqlite/clock.js";
import { connect, type Sql } from "../../../src/stores/sqlite/database.js";
import { prepareSchema } from "../../../src/stores/sqlite/schema.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { openFor } from "./store.js";

failOnLeaks();

interface Machine extends TimeSource {
  bootId: string | null;
  uptime: number;
  wall: number;
}

function machine(bootId: string | null, uptime: number, wall: number): Machine {
  const made: Machine = { bootId, uptime, wall, uptimeMs: () => made.uptime, wallMs: () => made.wall };
  return made;
}

async function freshTables(): Promise<<T>(work: (sql: Sql) => T) => Promise<T>> {
  const database = await connect(join(await freshDirectory(), "holdline.db"), TEST_OPTIONS);
  onTestFinished(() => database.close());
  await prepareSchema(database, TEST_OPTIONS.connectTimeoutMs);
  return (work) => database.write(undefined, work);
}

describe("the clock in the database", () => {
  test("starts with the wall clock and goes on with the machine's running time", async () => {
    const write = await freshTables();
    const time = machine("boot-1", 5_000, 1_000_000);
    await write((sql) => anchorClock(sql, time));
    time.uptime += 700;
    expect(await write((sql) => readClock(sql, time))).toBe(1_000_700);
  });

  test("follows no jump of the wall clock", async () => {
    const write = await freshTables();
    const time = machine("boot-1", 5_000, 1_000_000);
    await write((sql) => anchorClock(sql, time));
    for (const wall of [900_000_000, 3]) {
      time.wall = wall;
      time.uptime += 10;
      await write((sql) => anchorClock(sql, time));
      expect(await write((sql) => tickClock(sql, time))).toBe(1_000_000 + time.uptime - 5_000);
    }
  });

  test("goes on after a reboot, with the wall clock where that is later", async () => {
    const write = await freshTables();
    await write((sql) => anchorClock(sql, machine("boot-1", 5_000, 1_000_000)));
    const later = machine("boot-2", 20, 7_000_000);
    await write((sql) => anchorClock(sql, later));
    later.uptime = 30;
    expect(await write((sql) => readClock(sql, later))).toBe(7_000_010);
  });

  test("does not go back over a reboot with the wall clock set back", async () => {
    const write = await freshTables();
    const before = machine("boot-1", 5_000, 1_000_000);
    await write((sql) => anchorClock(sql, before));
    before.uptime += 60_000;
    const last = await write((sql) => tickClock(sql, before));
    const after = machine("boot-2", 20, 12);
    await write((sql) => anchorClock(sql, after));
    expect(await write((sql) => readClock(sql, after))).toBe(last);
    after.uptime += 5;
    expect(await write((sql) => readClock(sql, after))).toBe(last + 5);
  });

  test("where boots cannot be told apart, it is the wall clock, kept from going back", async () => {
    const write = await freshTables();
    const time = machine(null, 0, 1_000_000);
    await write((sql) => anchorClock(sql, time));
    time.wall = 1_000_500;
    expect(await write((sql) => tickClock(sql, time))).toBe(1_000_500);
    time.wall = 4;
    await write((sql) => anchorClock(sql, time));
    expect(await write((sql) => tickClock(sql, time))).toBe(1_000_500);
  });
});

describe("a coordinator's clock", () => {
  test.runIf(process.platform === "linux")("goes by this machine's running time, as it is at each reading", async () => {
    const time = systemTime();
    const first = time.uptimeMs();
    expect(Math.abs(first - Number.parseFloat(readFileSync("/proc/uptime", "utf8")) * 1_000)).toBeLessThan(10_000);
    await until(() => time.uptimeMs() > first, "the time to pass");
  });

  test.runIf(process.platform === "linux")("stays where it is when this node's wall clock jumps", async () => {
    const path = join(await freshDirectory(), "holdline.db");
    const one = await openFor(path);
    const before = (await one.sync()).ms;
    vi.useFakeTimers({ toFake: ["Date"], now: before + 86_400_000 });
    onTestFinished(() => void vi.useRealTimers());
    const other = await openFor(path);
    for (const coordinator of [one, other]) expect((await coordinator.sync()).ms - before).toBeLessThan(60_000);
    await takeDurably(other, "a");
    const [claim] = await one.queue("a");
    expect((claim?.since ?? Number.NaN) - before).toBeLessThan(60_000);
  });
});
