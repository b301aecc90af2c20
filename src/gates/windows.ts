// Windows: the times at which an action may begin. Pure: the time is handed in.
//
// A window's start is a time on the wall clock of its zone, and its length is time that passes: four hours are four hours, also on
// the day on which clocks change. Where the clock jumps over the start, the window opens as much later as the clock jumps: at
// 03:30 instead of at 02:30, which is the very moment at which it would have been 02:30. Where the start comes twice, the first one
// counts. A day that a zone leaves out (Apia, 30 December 2011) is such a jump as well.
import { isoTime } from "../locks/durations.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { quoted } from "../locks/text.js";
import type { GateAnswer } from "./gate.js";

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time of the week, again and again. It may go over midnight, and then belongs to the day on which it starts. */
export interface WindowSettings {
  readonly days: readonly Weekday[];
  /** Minutes since midnight, by the wall clock of the zone. */
  readonly startMinute: number;
  readonly forMs: number;
  /** An IANA time zone; `null`: the node's own. */
  readonly zone: string | null;
}

/** Moments are milliseconds since 1970. */
export type WindowState =
  /** @property untilMs `null`: for longer than {@link AHEAD_DAYS} days */
  | { readonly isOpen: true; readonly untilMs: number | null }
  /** @property nextMs `null`: no window opens within {@link AHEAD_DAYS} days, as where none has a day */
  | { readonly isOpen: false; readonly nextMs: number | null };

/** A time in which some window is open: from its first moment up to, and without, its last. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

const DAY_MS = 86_400_000;

// Every day of the week comes once in seven days, and in fourteen where a zone leaves one of them out.
const AHEAD_DAYS = 15;

// A moved start, a zone's distance to UTC, and a day that was left out: each less than or as long as a day.
const MARGIN_DAYS = 3;

/**
 * Whether one of several windows is open, and until when, or when the next one opens. Windows that overlap or follow each other
 * without a gap are one.
 * @param nodeZone the zone of windows that name none
 * @throws HoldlineError `configuration` for a zone that this machine does not know
 */
export async function windowsAt(windows: readonly WindowSettings[], nodeZone: string, nowMs: number): Promise<WindowState> {
  const horizonMs = nowMs + AHEAD_DAYS * DAY_MS;
  const spans = [];
  for (const window of windows) spans.push(...(await spansOf(window, window.zone ?? nodeZone, nowMs)));
  const ahead = joined(spans).filter(({ fromMs, toMs }) => toMs > nowMs && fromMs <= horizonMs);
  const [first] = ahead;
  if (first === undefined) return { isOpen: false, nextMs: null };
  if (first.fromMs > nowMs) return { isOpen: false, nextMs: first.fromMs };
  return { isOpen: true, untilMs: first.toMs > horizonMs ? null : first.toMs };
}

/** What the state of an action's windows says to a run. */
export function windowAnswer(state: WindowState): GateAnswer {
  if (state.isOpen) {
    const until = state.untilMs === null ? "" : ` until ${isoTime(state.untilMs)}`;
    return { answer: "go", because: `its window is open${until}` };
  }
  const { nextMs } = state;
  const next = nextMs === null ? "none opens" : `the next one opens ${isoTime(nextMs)}`;
  return { answer: "not-now", outcome: "outside-window", because: `outside its windows: ${next}`, untilMs: nextMs };
}

/** When a window is open from now up to the horizon. The first of these times may have begun long ago. */
async function spansOf({ days, startMinute, forMs }: WindowSettings, zone: string, nowMs: number): Promise<Span[]> {
  // Loaded here: most actions have no windows.
  const { Temporal } = await import("temporal-polyfill");
  let today;
  try {
    today = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(zone).toPlainDate();
  } catch (error) {
    // The configuration has refused such zones before anything runs, but not the node's own.
    throw new HoldlineError("configuration", `${quoted(zone)} is no time zone that this machine knows: ${messageOf(error)}`, {
      hint: "name an IANA time zone such as Europe/Berlin in the window's `zone`, or in the environment as TZ",
      cause: error,
    });
  }
  const plainTime = new Temporal.PlainTime(Math.floor(startMinute / 60), startMinute % 60);
  const daysBack = Math.ceil(forMs / DAY_MS) + MARGIN_DAYS;
  const spans = [];
  for (let day = -daysBack; day <= AHEAD_DAYS + MARGIN_DAYS; day += 1) {
    const date = today.add({ days: day });
    if (!days.includes(WEEKDAYS[date.dayOfWeek - 1] as Weekday)) continue;
    // "compatible": over a gap by as much as the gap, and the first of two.
    const fromMs = date.toPlainDateTime(plainTime).toZonedDateTime(zone, { disambiguation: "compatible" }).epochMilliseconds;
    spans.push({ fromMs, toMs: fromMs + forMs });
  }
  return spans;
}

/** Spans in their order, with those that overlap or touch made one. */
function joined(spans: readonly Span[]): Span[] {
  const all: Span[] = [];
  for (const span of [...spans].sort((one, other) => one.fromMs - other.fromMs)) {
    const last = all.at(-1);
    if (last === undefined || span.fromMs > last.toMs) all.push(span);
    else all[all.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) };
  }
  return all;
}
