// `locks --watch`: reads the queues again whenever a store says that something has changed, or a lease's time is over, and
// shows them: in place on a terminal, elsewhere one listing after another. Goes on when a store does not answer, and says so.
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

/** Where what is seen goes. */
interface Display {
  /** The locks have been read. */
  show(seen: readonly SeenLock[]): void;
  /** A store does not answer, or with `null` all do again. */
  tell(problem: string | null): void;
  /** Time has gone by. @param askedMs for how long an answer has been waited for; `null` when none is */
  tick(askedMs: number | null): void;
  close(): void;
}

// The shown ages have a grain of a second.
const TICK_MS = 1_000;
// A busy fleet changes all the time: nobody reads faster, and the stores have better things to do.
const SHORTEST_GAP_MS = 100;
// Of the time, at most a third goes into reading, however much there is to read.
const GAP_PER_READ = 2;
// A store that falls silent tells of no change either. So often it is asked a little, to find that out.
const PROBE_MS = 5_000;
const RETRY_MS = 1_000;
// A lease that ends at this very moment is over only after it.
const AFTER_EXPIRY_MS = 20;

/** Watches until it is stopped, and gives the exit code. @param only one lock, or all with `null` */
export async function watchLocks(context: Context, only: string | null): Promise<number> {
  const { signal } = context.stop;
  const stores = await storesFor(context, only);
  const bell = new Bell(signal);
  // Before the first look: what changes after it is not missed.
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

// Any name does: whether there is such a lock makes no difference to whether there is an answer.
const PROBED = "holdline";

/** How long until the first of the leases is over that were seen so long ago, in milliseconds. */
function untilExpiry(seen: readonly SeenLock[], elapsedMs: number): number {
  let leftMs = Number.POSITIVE_INFINITY;
  for (const view of seen)
    for (const { expiresAt } of claimsOn(view))
      leftMs = Math.min(leftMs, (expiresAt ?? Number.POSITIVE_INFINITY) - view.now - elapsedMs);
  return Math.max(0, leftMs) + AFTER_EXPIRY_MS;
}

/** Wakes whoever waits, once for all that has rung since. */
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

  /** Waits so long, whatever rings meanwhile: only an end to all waiting cuts it short. */
  async pause(ms: number): Promise<void> {
    await this.#wait(ms, () => this.signal.aborted);
  }

  /** Waits until it rings, at once when it has since the last time, or so long. Has it rung? */
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

/** One listing after another, and only where something is another than before. */
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

// Until then an answer may just be on its way.
const LONG_MS = 3_000;

/** The terminal's window, in which the ages grow. */
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
