// `locks --watch`: reads and shows the queues again whenever a store reports a change or a lease expires: in place on a terminal,
// elsewhere one listing after another. If a store does not answer, says so and goes on.
import { isoTime } from "../locks/durations.js";
import { messageOf, UnreachableError } from "../locks/errors.js";
import { locksAsJson } from "../views/json.js";
import type { Context } from "./context.js";
import { exitCodeOfError } from "./exit-codes.js";
import { renderListing } from "./listing.js";
import type { SeenLock } from "../views/queues.js";
import { printDocument, printLines } from "./output.js";
import { readLocks } from "../views/queues.js";
import { claimsOn } from "../views/lock.js";
import { storesFor } from "../views/stores.js";
import { ago, sanitize, truncate, wrap } from "./render.js";
import { openScreen } from "./screen.js";
import { viewOf } from "./table.js";

/** Shows what the watch sees. */
interface Display {
  /** Shows the locks. */
  show(seen: readonly SeenLock[]): void;
  /** Says why a store does not answer, or with `null` that all answer again. */
  tell(problem: string | null): void;
  /** Called each second. @param askedMs how long a request has been pending; `null` if none is */
  tick(askedMs: number | null): void;
  close(): void;
}

// Ages are shown in whole seconds.
const TICK_MS = 1_000;
// A busy fleet changes all the time. Nobody reads faster, and the stores have other work.
const SHORTEST_GAP_MS = 100;
// Reading takes at most a third of the time, however much there is to read.
const GAP_PER_READ = 2;
// A dead store reports no changes, so a small request finds out whether it lives, this often.
const PROBE_MS = 5_000;
const RETRY_MS = 1_000;
// A lease expires just after its last moment.
const AFTER_EXPIRY_MS = 20;

/** Watches until it is stopped, and returns the exit code. @param only one lock, or all with `null` */
export async function watchLocks(context: Context, only: string | null): Promise<number> {
  const { signal } = context.stop;
  const stores = await storesFor(context, only);
  const bell = new Bell(signal);
  // Watch before the first look, so that no later change is missed.
  const watches = await Promise.all(stores.map(({ coordinator }) => coordinator.watch(() => bell.ring(), signal)));
  let seen = await readLocks(context, only, signal);
  let seenAt = performance.now();
  const display = displayFor(context, only);
  let askedAt: number | null = null;
  const ticker = setInterval(() => {
    display.tick(askedAt === null ? null : performance.now() - askedAt);
    if (context.io.stdout.isClosed) bell.ring();
  }, TICK_MS);
  try {
    let isSilent = false;
    display.show(seen);
    let pauseMs = SHORTEST_GAP_MS;
    for (;;) {
      await bell.pause(pauseMs);
      const dueMs = isSilent ? 0 : Math.min(PROBE_MS, untilExpiry(seen, performance.now() - seenAt));
      const isToRead = (await bell.next(dueMs)) || isSilent || dueMs < PROBE_MS;
      if (signal.aborted) return exitCodeOfError(signal.reason);
      if (context.io.stdout.isClosed) return 0;
      askedAt = performance.now();
      try {
        if (isToRead) {
          seen = await readLocks(context, only, signal);
          seenAt = performance.now();
          display.show(seen);
        } else {
          await Promise.all(stores.map(({ coordinator }) => coordinator.queue(only ?? PROBED, signal, 1)));
        }
        if (isSilent) display.tell(null);
        isSilent = false;
        pauseMs = Math.max(SHORTEST_GAP_MS, GAP_PER_READ * (performance.now() - askedAt));
      } catch (error) {
        if (signal.aborted) return exitCodeOfError(signal.reason);
        if (!(error instanceof UnreachableError)) throw error;
        if (!isSilent) display.tell(messageOf(error));
        isSilent = true;
        pauseMs = RETRY_MS;
      } finally {
        askedAt = null;
      }
    }
  } finally {
    clearInterval(ticker);
    display.close();
    for (const watch of watches) watch.close();
  }
}

// Any name will do: the store answers whether or not there is such a lock.
const PROBED = "holdline";

/** The time until the first lease expires, in milliseconds. @param elapsedMs the time since the queues were read */
function untilExpiry(seen: readonly SeenLock[], elapsedMs: number): number {
  let leftMs = Number.POSITIVE_INFINITY;
  for (const view of seen)
    for (const { expiresAt } of claimsOn(view))
      leftMs = Math.min(leftMs, (expiresAt ?? Number.POSITIVE_INFINITY) - view.now - elapsedMs);
  return Math.max(0, leftMs) + AFTER_EXPIRY_MS;
}

/** Wakes its waiter once, however often it has rung meanwhile. */
class Bell {
  #hasRung = false;
  #wake: (() => void) | null = null;

  constructor(readonly signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Waits this long, whatever rings meanwhile; ends early only if the signal aborts. */
  async pause(ms: number): Promise<void> {
    await this.#wait(ms, () => this.signal.aborted);
  }

  /** Waits until it rings, but at most this long; returns at once if it has rung since the last call. Says whether it rang. */
  async next(ms: number): Promise<boolean> {
    await this.#wait(ms, () => this.#hasRung || this.signal.aborted);
    const hasRung = this.#hasRung;
    this.#hasRung = false;
    return hasRung;
  }

  #wait(ms: number, isOver: () => boolean): Promise<void> {
    if (isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#wake = () => {
        if (isOver()) end();
      };
    });
  }
}

function displayFor(context: Context, only: string | null): Display {
  if (context.json || !context.io.stdout.isTerminal) return openListings(context, only);
  return openWindow(context, only);
}

/** Prints one listing after another, but none that repeats the last. */
function openListings(context: Context, only: string | null): Display {
  const { io, log, json } = context;
  let last = "";
  return {
    show(seen) {
      const document = locksAsJson(seen);
      const text = JSON.stringify(document);
      if (text === last) return;
      last = text;
      if (json) {
        printDocument(io, document);
        return;
      }
      const at = Math.max(0, ...seen.map(({ now }) => now)) || Date.now();
      printLines(io, [`--- ${isoTime(at)}`, ...renderListing(seen, only, viewOf(context))]);
    },
    tell(problem) {
      if (problem === null) log.info({}, "the store answers again");
      else log.warn({}, `${problem}; watching goes on`);
    },
    tick: () => undefined,
    close: () => undefined,
  };
}

// A slow answer may take this long.
const LONG_MS = 3_000;

/** Draws the terminal's window, where ages grow each second. */
function openWindow(context: Context, only: string | null): Display {
  const { stdout } = context.io;
  const view = viewOf(context);
  const screen = openScreen(stdout, (count, columns) => view.paint("dim", truncate(moreWords(count), columns)));
  let seen: readonly SeenLock[] = [];
  let seenAt = performance.now();
  let problem: string | null = null;
  const draw = (askedMs: number | null): void => {
    const { columns } = screen;
    const elapsedMs = performance.now() - seenAt;
    const current = seen.map((lock) => ({ ...lock, now: lock.now + elapsedMs }));
    const title = `${only === null ? "all locks" : sanitize(only)}, as they change; Ctrl-C ends`;
    const silence = problem ?? (askedMs !== null && askedMs >= LONG_MS ? "the store does not answer" : null);
    const status = silence === null ? [] : [silence, `below is what there was ${ago(0, elapsedMs)}`];
    screen.draw([
      ...wrap(title, columns).map((line) => view.paint("dim", line)),
      ...status.flatMap((words) => wrap(sanitize(words), columns)).map((line) => view.paint("red", line)),
      "",
      ...renderListing(current, only, { ...view, columns }),
    ]);
  };
  return {
    show(next) {
      seen = next;
      seenAt = performance.now();
      problem = null;
      draw(null);
    },
    tell(next) {
      problem = next;
      draw(null);
    },
    tick: draw,
    close: () => screen.close(),
  };
}

function moreWords(count: number): string {
  return `… and ${count} more ${count === 1 ? "line" : "lines"}, for which this window is too small`;
}
