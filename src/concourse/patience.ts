// Asking again: with pauses that grow, words for whoever reads the build's log, and an end.
import { setTimeout as pause } from "node:timers/promises";
import { HoldlineError, UnreachableError } from "../locks/errors.js";
import { formatDuration } from "../locks/durations.js";
import type { Answer } from "./locker.js";

// A lock that is let go of soon is had soon; one that is held for hours is asked for as rarely as locker-resource does.
const FIRST_PAUSE_MS = 500;
const GROWTH = 1.5;
const LONGEST_PAUSE_MS = 30_000;
// Builds that wait for the same lock shall not all ask at the same moment.
const JITTER = 0.25;
// A server that restarts is back by then; an address where nobody is stays empty.
const LONGEST_SILENCE_MS = 120_000;

export interface Patience {
  /** `null`: without an end. After it no further try begins. */
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * Tries until it is done. A try that has begun is waited for, although the signal is aborted: what it does has been done then.
 * @throws HoldlineError `conflict` when another holds the lock to the end; UnreachableError when the server has nothing to say
 */
export async function persist<T>(attempt: () => Promise<Answer<T>>, { timeoutMs, signal, say }: Patience): Promise<T> {
  const started = performance.now();
  let lastThere = started;
  let said = { words: "", at: 0 };
  for (let length = FIRST_PAUSE_MS; ; length = Math.min(LONGEST_PAUSE_MS, length * GROWTH)) {
    signal.throwIfAborted();
    const answer = await attempt();
    if (answer.outcome === "done") return answer.value;
    const now = performance.now();
    const { words } = answer;
    const isThere = answer.outcome === "held" || answer.isThere;
    if (isThere) lastThere = now;
    else if (now - lastThere > LONGEST_SILENCE_MS) throw new UnreachableError(words);
    const left = timeoutMs === null ? Number.POSITIVE_INFINITY : started + timeoutMs - now;
    if (left <= 0) throw gaveUp(answer, timeoutMs ?? 0);
    if (words !== said.words || now - said.at >= LONGEST_PAUSE_MS) {
      say(`${words}; asking again`);
      said = { words, at: now };
    }
    const wished = answer.outcome === "later" ? answer.afterMs : 0;
    const jittered = length * (1 - JITTER + 2 * JITTER * Math.random());
    await nap(Math.min(left, LONGEST_PAUSE_MS, Math.max(wished, jittered)), signal);
  }
}

function gaveUp({ outcome, words }: Exclude<Answer<never>, { outcome: "done" }>, timeoutMs: number): HoldlineError {
  const message = timeoutMs === 0 ? words : `gave up after ${formatDuration(timeoutMs)}: ${words}`;
  return outcome === "held" ? new HoldlineError("conflict", message) : new UnreachableError(message);
}

async function nap(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
