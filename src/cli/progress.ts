// Progress and log on standard error while a command works: on a terminal words, with one live line for the waiting; elsewhere
// one JSON line for each change.
import { describeHead, describePlace } from "../line/words.js";
import type { HeadOfLine, Progress } from "../line/progress.js";
import type { Settings } from "../config/settings.js";
import type { Log } from "../locks/log.js";
import { createJsonLog, type JsonLog } from "./json-log.js";
import { paintFor } from "./io.js";
import type { Io, Sink } from "./io.js";
import { sanitize, truncate } from "./render.js";
import { rounding } from "./rounding.js";

export interface Reporter {
  readonly log: Log;
  readonly progress: Progress;
  /** The streams for everyone else. Writing to them wipes the live line first. */
  readonly io: Io;
  /** Wipes the live line and writes what is still pending. */
  close(): Promise<void>;
}

export interface ReporterOptions {
  readonly level: Settings["log"]["level"];
  readonly format: Settings["log"]["format"];
  /** The node's name, for every JSON line. */
  readonly node: string;
  readonly io: Io;
}

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
type Level = Exclude<(typeof LEVELS)[number], "silent">;

export function openReporter(options: ReporterOptions): Reporter {
  const { io, level } = options;
  const says = (wanted: Level) => LEVELS.indexOf(wanted) >= LEVELS.indexOf(level);
  const isText = options.format === "text" || (options.format === "auto" && io.stderr.isTerminal);
  const live = createLiveLine(io.stderr);
  const json = isText ? null : createJsonLog({ level, node: options.node, write: (line) => io.stderr.write(line) });
  const log = rounding(json?.log ?? createTextLog(io, live, says));
  return {
    log,
    progress: createProgress(log, isText && io.stderr.isTerminal && says("info") ? live : null),
    io: { ...io, stdout: wiping(io.stdout, live), stderr: json === null ? wiping(io.stderr, live) : inOrder(io.stderr, json) },
    async close() {
      live.end();
      await json?.flush();
    },
  };
}

/** @param live shows the waiting; with `null`, each change becomes a log line */
function createProgress(log: Log, live: LiveLine | null): Progress {
  let said = "";
  return {
    waiting(lock, ahead, behind) {
      if (live !== null) {
        live.show((elapsedMs) => waitingWords(lock, ahead, later(behind, elapsedMs)));
        return;
      }
      // Times grow with every look; a new time alone is no change.
      const change = JSON.stringify([lock, ahead, behind?.owner, behind?.condition, behind?.failure?.at]);
      if (change === said) return;
      said = change;
      log.info(waitingDetails(lock, ahead, behind), waitingWords(lock, ahead, behind));
    },
    step(message, details) {
      said = "";
      live?.end();
      log.info(details, message);
    },
  };
}

/** "3rd in line for restart/nginx, behind web-07: restart-nginx for 12 s". */
export function waitingWords(lock: string, ahead: number, behind: HeadOfLine | null): string {
  const place = describePlace(lock, ahead);
  if (behind === null) return place;
  return behind.failure === null ? `${place}, behind ${describeHead(behind)}` : `${place}: ${describeHead(behind)}`;
}

function waitingDetails(lock: string, ahead: number, behind: HeadOfLine | null): object {
  if (behind === null) return { lock, place: ahead };
  const { owner, condition, forMs, reason, failure } = behind;
  return {
    lock,
    place: ahead,
    behind: {
      node: owner.node,
      principal: owner.principal,
      action: owner.action,
      condition,
      forMs,
      reason,
      failure: failure?.message ?? null,
    },
  };
}

/** The same holder, a while later. */
function later(behind: HeadOfLine | null, elapsedMs: number): HeadOfLine | null {
  if (behind === null) return null;
  const failure = behind.failure === null ? null : { ...behind.failure, agoMs: behind.failure.agoMs + elapsedMs };
  return { ...behind, failure, forMs: behind.forMs + elapsedMs };
}

interface LiveLine {
  /** Shows a line and refreshes it each second with the time since, until it ends or is replaced. */
  show(words: (elapsedMs: number) => string): void;
  /** Wipes the line, so that something else can be written. It comes back with the next second. */
  wipe(): void;
  end(): void;
}

// Times are shown in whole seconds.
const REFRESH_MS = 1_000;
const WIPE = "\r\x1b[2K";

function createLiveLine(sink: Sink): LiveLine {
  let words: ((elapsedMs: number) => string) | null = null;
  let since = 0;
  let isShown = false;
  let ticker: NodeJS.Timeout | null = null;
  const draw = () => {
    if (words === null) return;
    // A line that fills the last column would wrap, and could not be wiped.
    sink.write(WIPE + truncate(sanitize(words(performance.now() - since)), sink.columns - 1));
    isShown = true;
  };
  const wipe = () => {
    if (isShown) sink.write(WIPE);
    isShown = false;
  };
  return {
    show(next) {
      words = next;
      since = performance.now();
      // The timer must not keep the process alive.
      ticker ??= setInterval(draw, REFRESH_MS).unref();
      draw();
    },
    wipe,
    end() {
      wipe();
      words = null;
      if (ticker !== null) clearInterval(ticker);
      ticker = null;
    },
  };
}

function wiping(sink: Sink, live: LiveLine): Sink {
  return {
    get isTerminal() {
      return sink.isTerminal;
    },
    get columns() {
      return sink.columns;
    },
    get rows() {
      return sink.rows;
    },
    get isClosed() {
      return sink.isClosed;
    },
    write(text) {
      live.wipe();
      sink.write(text);
    },
    flushed: () => sink.flushed(),
  };
}

/** A stream that keeps its order with pending log lines. */
function inOrder(sink: Sink, json: JsonLog): Sink {
  const { isTerminal, columns, rows } = sink;
  return { isTerminal, columns, rows, isClosed: false, write: (text) => json.write(text), flushed: () => sink.flushed() };
}

function createTextLog(io: Io, live: LiveLine, says: (level: Level) => boolean): Log {
  const paint = paintFor(io, "stderr");
  const line = (level: Level) => (details: object, message: string) => {
    if (!says(level)) return;
    const words = level === "debug" ? `${message}${detailWords(details)}` : message;
    const shown = `holdline: ${level === "warn" ? "warning: " : ""}${sanitize(words)}`;
    live.wipe();
    io.stderr.write(
      `${level === "error" ? paint("red", shown) : level === "warn" ? paint("yellow", shown) : level === "debug" ? paint("dim", shown) : shown}\n`,
    );
  };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

function detailWords(details: object): string {
  const words = Object.entries(details).map(
    ([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}
