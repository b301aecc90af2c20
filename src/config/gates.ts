// Parses what decides whether an action may begin: `needed`, `windows` and `blockers`.
import type { BlockerSettings, NeededSettings } from "../actions/action.js";
import { WEEKDAYS, type Weekday, type WindowSettings } from "../gates/windows.js";
import { nearestTo } from "../locks/nearest.js";
import { shortened } from "../locks/text.js";
import { isGivenCommand, readArgv } from "./command.js";
import {
  complete,
  readBoolean,
  readDurationMs,
  readIfThere,
  readItems,
  readKnownMap,
  readLabel,
  readText,
  readTexts,
} from "./field.js";
import type { Field } from "./field.js";
import { ACTION_KEYS, BLOCKER_KEYS, keysOf, WINDOW_KEYS } from "./keys.js";
import { shownValue } from "./problems.js";
import { redactUrlsIn } from "./secrets.js";
import { readHttpUrl } from "./urls.js";

/** How paths and patterns are read: see {@link ActionContext}. */
export interface GateContext {
  readonly directory: (path: string) => string;
  readonly onPattern: (field: Field, pattern: string) => void;
}

/**
 * Parses `needed`.
 * @param hasProcess whether the action says which process is meant
 */
export function readNeeded(field: Field, hasProcess: boolean, context: GateContext): NeededSettings | undefined {
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "needed"));
  if (keys === undefined) return undefined;
  const needed = complete({
    file: readIfThere(keys.get("file"), (f) => readPath(f, context), null),
    changed: readIfThere(keys.get("changed"), (f) => readPaths(f, context), []),
    outdated: readIfThere(keys.get("outdated"), readBoolean, false),
    argv: isGivenCommand(keys) ? readArgv(field, keys) : null,
  });
  if (needed === undefined) return undefined;
  const { file, changed, outdated, argv } = needed;
  // Taken to the letter, nothing would ever make it needed.
  if (file === null && changed.length === 0 && !outdated && argv === null)
    return field.refuse("says nothing: give `file`, `changed`, `outdated: true`, `command` or `shell`, or leave it out");
  const seeking = outdated ? keys.get("outdated") : keys.get("changed");
  if (!hasProcess && seeking !== undefined && (outdated || changed.length > 0))
    return seeking.refuse("needs the action's `process`: it asks about the processes that match that");
  return needed;
}

function readPath(field: Field, { directory }: GateContext): string | undefined {
  const path = readText(field);
  if (path?.trim() === "") return field.refuse("must not be empty");
  return path === undefined ? undefined : directory(path);
}

function readPaths(field: Field, context: GateContext): readonly string[] | undefined {
  return readTexts(field, (item) => readPath(item, context), 'write for example ["/etc/nginx/**"]');
}

/** Parses `windows`. An empty list is one: at any time. */
export function readWindows(field: Field): readonly WindowSettings[] | undefined {
  return readItems(field, readWindow, 'write for example [{ days: [sat, sun], start: "02:00", for: 4 h }], or [] for none');
}

const LONGEST_WINDOW_MS = 7 * 86_400_000;

function readWindow(field: Field): WindowSettings | undefined {
  const keys = readKnownMap(field, keysOf(WINDOW_KEYS));
  if (keys === undefined) return undefined;
  const start = keys.get("start") ?? field.refuse('needs a `start`, such as "02:00"');
  const length = keys.get("for") ?? field.refuse("needs a `for`: how long it is open, such as 4 h");
  return complete({
    days: readIfThere(keys.get("days"), readDays, WEEKDAYS),
    startMinute: start && readStartMinute(start),
    forMs: length && readDurationMs(length, { most: LONGEST_WINDOW_MS }),
    zone: readIfThere(keys.get("zone"), readZone, null),
  });
}

const FULL_DAYS: ReadonlyMap<string, Weekday> = new Map(
  ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"].map((name, index) => [
    name,
    WEEKDAYS[index] as Weekday,
  ]),
);

function readDays(field: Field): readonly Weekday[] | undefined {
  const named = readTexts(field, readDayRange, "write for example [sat, sun], or leave it out for all days");
  const days = new Set(named?.flat());
  return named && WEEKDAYS.filter((day) => days.has(day));
}

/** `sat`, `saturday`, or `fri-mon`: from the one day up to and with the other. */
function readDayRange(field: Field): readonly Weekday[] | undefined {
  const text = typeof field.value === "string" ? field.value.trim().toLowerCase() : "";
  const [first, last = first, more] = text.split("-").map((name) => {
    const day = FULL_DAYS.get(name.trim()) ?? name.trim();
    return WEEKDAYS.findIndex((known) => known === day);
  });
  if (first === undefined || last === undefined || more !== undefined || first < 0 || last < 0)
    return field.refuse(`must be a day (${WEEKDAYS.join(", ")}) or days such as mon-fri, not ${shownValue(field.value)}`);
  const count = ((last - first + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => WEEKDAYS[(first + index) % 7] as Weekday);
}

// YAML 1.2 takes 02:00 for text. A program that writes YAML 1.1 may make 120 of it.
function readStartMinute(field: Field): number | undefined {
  const [, hour, minute] = (typeof field.value === "string" ? /^(\d{1,2}):(\d{2})$/.exec(field.value.trim()) : null) ?? [];
  if (hour !== undefined && minute !== undefined && Number(hour) < 24 && Number(minute) < 60)
    return Number(hour) * 60 + Number(minute);
  return field.refuse(
    `must be a time of day from "00:00" to "23:59", as text in quotes such as "02:00", not ${shownValue(field.value)}`,
  );
}

function readZone(field: Field): string | undefined {
  const zone = readLabel(field);
  if (zone === undefined || isZone(zone)) return zone;
  const near = nearestZone(zone);
  return field.refuse(
    `must be a time zone of the IANA database, not ${shownValue(zone)}; ${near === null ? "write for example Europe/Berlin" : `did you mean ${near}?`}`,
  );
}

function isZone(zone: string): boolean {
  // An offset such as +01:00 knows no daylight saving; some versions of node take it for a zone.
  if (!/^[a-z]/i.test(zone)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function nearestZone(zone: string): string | null {
  const known = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  // People name their city.
  const city = `/${zone.toLowerCase().replaceAll(" ", "_")}`;
  return known.find((name) => name.toLowerCase().endsWith(city)) ?? nearestTo(zone, known);
}

/** Parses `blockers`. */
export function readBlockers(field: Field, context: GateContext): readonly BlockerSettings[] | undefined {
  return readItems(
    field,
    (item) => readBlocker(item, context),
    "write for example [{ name: cluster is green, command: [es-green] }]",
  );
}

const DEFAULT_BLOCKER_TIMEOUT_MS = 30_000;

// In messages.
const LONGEST_NAME = 60;

function readBlocker(field: Field, context: GateContext): BlockerSettings | undefined {
  const keys = readKnownMap(field, keysOf(BLOCKER_KEYS));
  if (keys === undefined) return undefined;
  const prometheus = keys.get("prometheus");
  if (prometheus !== undefined && isGivenCommand(keys))
    return prometheus.refuse("is given beside a command: make two blockers of them");
  const timeoutMs = readIfThere(keys.get("timeout"), (f) => readDurationMs(f), DEFAULT_BLOCKER_TIMEOUT_MS);
  if (prometheus === undefined) {
    for (const key of ["alerts", "ignore"]) keys.get(key)?.refuse("needs `prometheus`: it is about the alerts of such a server");
    if (!isGivenCommand(keys)) return field.refuse("needs a `command`, a `shell` or a `prometheus`");
    const argv = readArgv(field, keys);
    const [program, , text] = argv ?? [];
    const name = readIfThere(keys.get("name"), readLabel, nameFrom((keys.has("shell") ? text : program) ?? ""));
    return complete({ type: "command" as const, name, argv, timeoutMs });
  }
  const url = readHttpUrl(prometheus);
  return complete({
    type: "prometheus" as const,
    name: readIfThere(keys.get("name"), readLabel, nameFrom(url === undefined ? "" : `alerts of ${new URL(url).host}`)),
    url,
    alerts: readIfThere(keys.get("alerts"), (f) => readAlerts(f, context), null),
    ignore: readIfThere(keys.get("ignore"), (f) => readAlerts(f, context), null),
    timeoutMs,
  });
}

function nameFrom(text: string): string {
  return shortened(redactUrlsIn(text).replace(/\s+/g, " ").trim(), LONGEST_NAME);
}

function readAlerts(field: Field, { onPattern }: GateContext): string | undefined {
  const pattern = readText(field);
  if (pattern === "") return field.refuse("must not be empty: it would match every alert");
  if (pattern !== undefined) onPattern(field, pattern);
  return pattern;
}
