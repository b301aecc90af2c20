// Windows: against a person who looks at the wall clock every minute, in zones whose clocks do odd things, and around the moments
// at which they do.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WEEKDAYS, windowAnswer, type WindowSettings, windowsAt } from "../../src/gates/windows.js";
import { deadlineMs, WINDOW_CASES } from "../support/effort.js";
import { startsBetween } from "./wall-clock.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each with moments at which its clock changed. */
const ZONES: Readonly<Record<string, readonly string[]>> = {
  UTC: ["2024-02-29T00:00Z"],
  "Europe/Berlin": ["2024-03-31T01:00Z", "2024-10-27T01:00Z", "2025-03-30T01:00Z"],
  "America/New_York": ["2024-03-10T07:00Z", "2024-11-03T06:00Z"],
  "America/St_Johns": ["2010-03-14T03:31Z", "2024-11-03T04:30Z"],
  // Midnight does not exist, or comes twice.
  "America/Santiago": ["2024-09-08T04:00Z", "2024-04-07T03:00Z"],
  "Africa/Cairo": ["2024-04-25T22:00Z", "2024-10-31T21:00Z"],
  // Half an hour of summer.
  "Australia/Lord_Howe": ["2024-10-05T15:30Z", "2024-04-06T15:00Z"],
  "Asia/Kathmandu": ["2024-05-05T00:00Z"],
  // The 30th of December did not exist.
  "Pacific/Apia": ["2011-12-30T10:00Z", "2011-09-24T14:00Z"],
  "Pacific/Kwajalein": ["1993-08-21T12:00Z"],
  // It goes back for Ramadan.
  "Africa/Casablanca": ["2024-03-10T02:00Z", "2024-04-14T02:00Z"],
  // Two hours of summer.
  "Antarctica/Troll": ["2024-03-31T01:00Z", "2024-10-27T01:00Z"],
  "Asia/Pyongyang": ["2018-05-04T15:00Z", "2015-08-14T15:00Z"],
};

const window = fc.record({
  days: fc.uniqueArray(fc.constantFrom(...WEEKDAYS), { maxLength: 7 }),
  startMinute: fc.oneof(fc.nat(1_439), fc.nat(240), fc.constantFrom(0, 1_439)),
  forMs: fc.oneof(
    fc.integer({ min: 1, max: 26 * 60 }).map((minutes) => minutes * MINUTE),
    fc.constantFrom(1, MINUTE, DAY, 3 * DAY),
  ),
  zone: fc.constantFrom(null, null, ...Object.keys(ZONES)),
});

const moment = fc.constantFrom(...Object.entries(ZONES)).chain(([zone, changes]) =>
  fc.record({
    zone: fc.constant(zone),
    nowMs: fc.oneof(
      fc.tuple(fc.constantFrom(...changes), fc.integer({ min: -3 * DAY, max: 3 * DAY })).map(([at, by]) => Date.parse(at) + by),
      fc.integer({ min: Date.parse("1995-01-01T00:00Z"), max: Date.parse("2037-01-01T00:00Z") }),
    ),
  }),
);

// How far the person looks. Shorter than the program does, because a person who looks every minute is slow.
const AHEAD = 9 * DAY;

test("they are open when a person who looks at the wall clock every minute says so", { timeout: deadlineMs(120_000) }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(window, { minLength: 1, maxLength: 3 }), moment, async (windows, { zone, nowMs }) => {
      const state = await windowsAt(windows, zone, nowMs);
      const spans = windows.flatMap((each) =>
        startsBetween(each, zone, nowMs - each.forMs, nowMs + AHEAD).map((from) => ({ from, to: from + each.forMs })),
      );
      const endOf = (ms: number): number =>
        Math.max(ms, ...spans.filter(({ from, to }) => from <= ms && ms < to).map(({ to }) => to));
      let end = endOf(nowMs);
      expect(state.isOpen).toBe(end > nowMs);
      if (state.isOpen) {
        while (endOf(end) > end) end = endOf(end);
        if (end < nowMs + AHEAD) expect(state.untilMs).toBe(end);
        else expect(state.untilMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(end);
      } else {
        const next = Math.min(...spans.map(({ from }) => from).filter((from) => from > nowMs));
        if (Number.isFinite(next)) expect(state.nextMs).toBe(next);
        else expect(state.nextMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(nowMs + AHEAD);
      }
    }),
    { numRuns: WINDOW_CASES },
  );
});

function at(start: string, forMs: number, days: WindowSettings["days"] = WEEKDAYS, zone: string | null = null): WindowSettings {
  const [hours = 0, minutes = 0] = start.split(":").map(Number);
  return { days, startMinute: hours * 60 + minutes, forMs, zone };
}

function ms(time: string): number {
  return Date.parse(time);
}

describe("on the days on which clocks change", () => {
  test("a start that does not exist is as much later as the clock jumps", async () => {
    const windows = [at("02:30", HOUR)];
    const before = await windowsAt(windows, "Europe/Berlin", ms("2024-03-31T00:59:59Z"));
    expect(before).toEqual({ isOpen: false, nextMs: ms("2024-03-31T03:30+02:00") });
    expect(await windowsAt(windows, "Europe/Berlin", ms("2024-03-31T03:29:59+02:00"))).toEqual(before);
    expect(await windowsAt(windows, "Europe/Berlin", ms("2024-03-31T03:30+02:00"))).toEqual({
      isOpen: true,
      untilMs: ms("2024-03-31T04:30+02:00"),
    });
  });

  test("a start that comes twice is the first", async () => {
    const windows = [at("02:30", 30 * MINUTE)];
    expect(await windowsAt(windows, "Europe/Berlin", ms("2024-10-27T02:45+02:00"))).toMatchObject({ isOpen: true });
    const second = await windowsAt(windows, "Europe/Berlin", ms("2024-10-27T02:45+01:00"));
    expect(second).toEqual({ isOpen: false, nextMs: ms("2024-10-28T02:30+01:00") });
  });

  test("four hours are four hours", async () => {
    const windows = [at("00:00", 4 * HOUR)];
    const spring = await windowsAt(windows, "Europe/Berlin", ms("2024-03-31T00:00+01:00"));
    expect(spring).toEqual({ isOpen: true, untilMs: ms("2024-03-31T05:00+02:00") });
    const autumn = await windowsAt(windows, "Europe/Berlin", ms("2024-10-27T00:00+02:00"));
    expect(autumn).toEqual({ isOpen: true, untilMs: ms("2024-10-27T03:00+01:00") });
  });

  test("a window of a day that a zone left out opens as the next day begins to be as late", async () => {
    const state = await windowsAt([at("02:00", HOUR, ["fri"])], "Pacific/Apia", ms("2011-12-29T23:59-10:00"));
    expect(state).toEqual({ isOpen: false, nextMs: ms("2011-12-31T02:00+14:00") });
  });
});

test("one that goes over midnight belongs to the day on which it starts", async () => {
  const windows = [at("23:00", 3 * HOUR, ["sat"], "Europe/Berlin")];
  expect(await windowsAt(windows, "UTC", ms("2024-06-09T01:59+02:00"))).toMatchObject({ isOpen: true });
  expect(await windowsAt(windows, "UTC", ms("2024-06-08T01:59+02:00"))).toMatchObject({ isOpen: false });
});

test("windows that touch are one, and those that never end have no end", async () => {
  const nights = [at("22:00", 2 * HOUR), at("00:00", 2 * HOUR)];
  expect(await windowsAt(nights, "UTC", ms("2024-06-08T23:00Z"))).toEqual({ isOpen: true, untilMs: ms("2024-06-09T02:00Z") });
  expect(await windowsAt([at("00:00", DAY)], "UTC", ms("2024-06-08T23:00Z"))).toEqual({ isOpen: true, untilMs: null });
});

test("without a day none ever opens", async () => {
  expect(await windowsAt([at("00:00", DAY, [])], "UTC", 0)).toEqual({ isOpen: false, nextMs: null });
});

test("a zone that nobody knows is a problem of the configuration", async () => {
  await expect(windowsAt([at("00:00", DAY)], "Mars/Olympus", 0)).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining('"Mars/Olympus" is no time zone') as string,
  });
});

test("the answer says when the next one opens", () => {
  const now = ms("2024-06-08T12:00Z");
  expect(windowAnswer({ isOpen: false, nextMs: now + 90 * MINUTE })).toEqual({
    answer: "not-now",
    outcome: "outside-window",
    because: "outside its windows: the next one opens 2024-06-08T13:30:00.000Z",
    untilMs: now + 90 * MINUTE,
  });
  expect(windowAnswer({ isOpen: false, nextMs: null })).toMatchObject({ untilMs: null });
  expect(windowAnswer({ isOpen: true, untilMs: now + HOUR })).toMatchObject({ answer: "go" });
});
