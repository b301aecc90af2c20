// Waiting for a condition, with a deadline and words that say what did not come about. Nothing here sleeps blindly.
import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../locks/errors.js";

/** How long a condition may take: a deadline for a machine with two busy cores, not an expectation. */
const DEADLINE_MS = 20_000;

/** Between two looks at a condition: short beside what is waited for, long beside what a look costs. */
const LOOK_EVERY_MS = 15;

interface UntilOptions {
  /** What is waited for, in words that complete "waited … for …". */
  readonly what?: string;
  readonly deadlineMs?: number;
}

/**
 * Looks until `condition` gives something truthy, and gives that. A look that throws counts as "not yet"; the last
 * error becomes the failure's cause.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions | string = {},
): Promise<Exclude<T, false | null | undefined | 0 | "">> {
  const { what = condition.toString(), deadlineMs = DEADLINE_MS } = typeof options === "string" ? { what: options } : options;
  const started = performance.now();
  let last: unknown;
  let problem: unknown;
  for (;;) {
    try {
      problem = undefined;
      last = await condition();
      if (last) return last as Exclude<T, false | null | undefined | 0 | "">;
    } catch (error) {
      problem = error;
    }
    if (performance.now() - started > deadlineMs) {
      const seen = problem === undefined ? `it was ${show(last)}` : `looking failed: ${messageOf(problem)}`;
      throw new Error(`waited ${deadlineMs} ms for ${what}; ${seen}`, { cause: problem });
    }
    await pause(LOOK_EVERY_MS);
  }
}

/** `promise`, or a failure that says what did not come about in time. */
export async function within<T>(promise: Promise<T>, what: string, deadlineMs = DEADLINE_MS): Promise<T> {
  const over = new AbortController();
  const deadline = pause(deadlineMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`waited ${deadlineMs} ms for ${what}`);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    over.abort();
    await deadline.catch(() => undefined);
  }
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
