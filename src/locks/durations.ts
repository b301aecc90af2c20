// Durations as people write them ("30 s", "10 min", "1 day"), in milliseconds inside; and moments as programs exchange them.

// The units' names: every prefix stands for its unit. "ms" is no prefix but a unit of its own.
const UNIT_NAMES: readonly (readonly [string, number])[] = [
  ["seconds", 1_000],
  ["minutes", 60_000],
  ["hours", 3_600_000],
  ["days", 86_400_000],
  ["weeks", 604_800_000],
];

// Every spelling of a unit, in milliseconds.
const UNITS = new Map<string, number>([
  ["ms", 1],
  ...UNIT_NAMES.flatMap(([name, ms]) => Array.from(name, (_, index) => [name.slice(0, index + 1), ms] as const)),
  ["secs", 1_000],
  ["mins", 60_000],
  ["hr", 3_600_000],
  ["hrs", 3_600_000],
]);

/** What a valid duration looks like, for messages. */
export const DURATION_FORM =
  'a number of seconds, or a number and a unit: "250 ms", "30 s", "10 min", "1h30m", "2 hours", "1 day", "2 weeks"';

// A hundred years: longer is surely a mistake, and timers overflow long before.
const LONGEST_MS = 100 * 365 * 86_400_000;

// Never two runs of blanks with nothing between them: a regular expression would try every way to divide them.
const PART = /(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)\s*/iy;

/**
 * The milliseconds of a number of seconds, or of a text such as "10 min" or "1h30m", larger units first; `null` for anything
 * else, for a negative duration, and for one above a hundred years.
 */
export function parseDurationMs(value: unknown): number | null {
  const ms = typeof value === "number" ? value * 1_000 : typeof value === "string" ? sumOfParts(value.trim()) : null;
  return ms !== null && Number.isFinite(ms) && ms >= 0 && ms <= LONGEST_MS ? ms : null;
}

function sumOfParts(text: string): number | null {
  let sum = 0;
  let before = Number.POSITIVE_INFINITY;
  for (let at = 0; at < text.length || at === 0; at = PART.lastIndex) {
    PART.lastIndex = at;
    const part = PART.exec(text);
    if (part === null) return null;
    const [whole, amount, name = ""] = part;
    const unit = name === "" && whole.length === text.length ? 1_000 : UNITS.get(name.toLowerCase());
    if (unit === undefined || unit >= before) return null;
    sum += Number(amount) * unit;
    before = unit;
  }
  return sum;
}

/** A duration for a person, in its largest whole-ish unit: "0.25 s", "12 s", "3 min 20 s", "2 h 5 min", "4 d 3 h". */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${Number((ms / 1_000).toFixed(ms < 1_000 ? 2 : 1))} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const pair = (large: number, largeUnit: string, small: number, smallUnit: string) =>
    small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.floor(minutes / 60);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** ISO 8601 in UTC. A time that no calendar has is shown as the first one. */
export function isoTime(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}
