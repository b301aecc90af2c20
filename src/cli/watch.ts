// `--watch`: reads and shows something again whenever a store reports a change or the time has come: in place on a terminal, elsewhere
// one listing after another. If a store does not answer, says so and goes on. What is shown is its subject's.
import { isoTime } from "../locks/durations.js";
import { messageOf, UnreachableError } from "../locks/errors.js";
import type { Store } from "../views/stores.js";
import type { Context } from "./context.js";
import { exitCodeOfError } from "./exit-codes.js";
import { printDocument, printLines } from "./output.js";
import { ago, sanitize, truncate, wrap } from "./render.js";
import { openScreen } from "./screen.js";
import { type View, viewOf } from "./table.js";

/** What is watched. `T` is what one look at it gives. */
export interface Subject<T> {
  /** What it is, for the top of the window: "all locks, as they change". */
  readonly title: string;
  readonly stores: readonly Store[];
  read(signal: AbortSignal): Promise<T>;
  /** The time until it looks different although no store reports a change, in milliseconds. @param elapsedMs the time since it was read */
  untilStale(seen: T, elapsedMs: number): number;
  /** When it was so, by the store's clock; `null` where nothing says it. */
  timeOf(seen: T): number | null;
  asJson(seen: T): object;
  /** @param elapsedMs the time since it was read, by which ages have grown */
  render(seen: T, elapsedMs: number, view: View): string[];
  /** What to print elsewhere than on a terminal after it has changed; by default all of it again. */
  renderChange?(seen: T, before: T, view: View): string[];
}

/** Shows what the watch sees. */
interface Display<T> {
  show(seen: T): void;
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

/** Watches until it is stopped, and returns the exit code. */
export async function watch<T>(context: Context, subject: Subject<T>): Promise<number> {
  const { signal } = context.stop;
  const { stores } = subject;
  const bell = new Bell(signal);
  // Watch before the first look, so that no later change is missed.
  const watches = await Promise.all(stores.map(({ coordinator }) => coordinator.watch(() => bell.ring(), signal)));
  let seen = await subject.read(signal);
  let seenAt = performance.now();
  const display = displayFor(context, subject);
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
      const dueMs = isSilent ? 0 : Math.min(PROBE_MS, subject.untilStale(seen, performance.now() - seenAt));
      const isToRead = (await bell.next(dueMs)) || isSilent || dueMs < PROBE_MS;
      if (signal.aborted) return exitCodeOfError(signal.reason);
      if (context.io.stdout.isClosed) return 0;
      askedAt = performance.now();
      try {
        if (isToRead) {
          seen = await subject.read(signal);
          seenAt = performance.now();
          display.show(seen);
        } else {
          await Promise.all(stores.map(({ coordinator }) => coordinator.queue(PROBED, signal, 1)));
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

function displayFor<T>(context: Context, subject: Subject<T>): Display<T> {
  if (context.json || !context.io.stdout.isTerminal) return openListings(context, subject);
  return openWindow(context, subject);
}

/** Prints one listing after another, but none that repeats the last. */
function openListings<T>(context: Context, subject: Subject<T>): Display<T> {
  const { io, log, json } = context;
  let last = "";
  let before: { readonly seen: T } | null = null;
  return {
    show(seen) {
      const document = subject.asJson(seen);
      const text = JSON.stringify(document);
      if (text === last) return;
      last = text;
      if (json) {
        printDocument(io, document);
        return;
      }
      const view = viewOf(context);
      const shown =
        before === null || subject.renderChange === undefined
          ? subject.render(seen, 0, view)
          : subject.renderChange(seen, before.seen, view);
      before = { seen };
      printLines(io, [`--- ${isoTime(subject.timeOf(seen) ?? Date.now())}`, ...shown]);
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
function openWindow<T>(context: Context, subject: Subject<T>): Display<T> {
  const { stdout } = context.io;
  const view = viewOf(context);
  const screen = openScreen(stdout, (count, columns) => view.paint("dim", truncate(moreWords(count), columns)));
  let shown: { readonly seen: T; readonly at: number } | null = null;
  let problem: string | null = null;
  const draw = (askedMs: number | null): void => {
    if (shown === null) return;
    const { columns } = screen;
    const elapsedMs = performance.now() - shown.at;
    const title = `${sanitize(subject.title)}; Ctrl-C ends`;
    const silence = problem ?? (askedMs !== null && askedMs >= LONG_MS ? "the store does not answer" : null);
    const status = silence === null ? [] : [silence, `below is what there was ${ago(0, elapsedMs)}`];
    screen.draw([
      ...wrap(title, columns).map((line) => view.paint("dim", line)),
      ...status.flatMap((words) => wrap(sanitize(words), columns)).map((line) => view.paint("red", line)),
      "",
      ...subject.render(shown.seen, elapsedMs, { ...view, columns }),
    ]);
  };
  return {
    show(next) {
      shown = { seen: next, at: performance.now() };
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
