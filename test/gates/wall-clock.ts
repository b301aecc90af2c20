// Windows as a person with a wall clock would work them out: minute by minute. Slow, and without any of the code that it judges:
// the wall clock is Intl's.
import { WEEKDAYS, type WindowSettings } from "../../src/gates/windows.js";

const MINUTE_MS = 60_000;

/** What a wall clock shows: minutes since 1970 as if it were in UTC, so that times on it can be subtracted. */
type Shown = number;

/** The first moments of windows in a stretch of time, in the order in which they come. */
export function startsBetween(window: WindowSettings, zone: string, fromMs: number, toMs: number): number[] {
  // Two days before it, so that a time that the clock shows a second time is known to be that.
  const beginMs = Math.floor(fromMs / MINUTE_MS) * MINUTE_MS - 2 * 1_440 * MINUTE_MS;
  const clock = clockIn(window.zone ?? zone);
  const starts: number[] = [];
  let latest = clock(beginMs) - 1;
  for (let ms = beginMs; ms < toMs; ms += MINUTE_MS) {
    const shown = clock(ms);
    // Times that the clock has jumped over are as far behind this moment as they are behind what it would have shown. A clock
    // that was put back shows nothing new until it has caught up.
    for (let each = latest + 1; each <= shown; each += 1) {
      const startMs = ms + (each - (latest + 1)) * MINUTE_MS;
      if (isStart(each, window) && startMs >= fromMs && startMs < toMs) starts.push(startMs);
    }
    latest = Math.max(latest, shown);
  }
  return starts.sort((one, other) => one - other);
}

function isStart(shown: Shown, { days, startMinute }: WindowSettings): boolean {
  const day = Math.floor(shown / 1_440);
  // The first of January 1970 was a Thursday.
  const weekday = WEEKDAYS[(((day + 3) % 7) + 7) % 7];
  return weekday !== undefined && days.includes(weekday) && shown - day * 1_440 === startMinute;
}

function clockIn(zone: string): (ms: number) => Shown {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" },
  });
  return (ms) => {
    // Such as "12/31/2011, 02:00".
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = format.format(ms).match(/\d+/g)?.map(Number) ?? [];
    return Date.UTC(year, month - 1, day, hour, minute) / MINUTE_MS;
  };
}
