// Trying again: with growing pauses, words for the build's log, and an end.
import { setTimeout as pause } from "node:timers/promises";
import { HoldlineError, UnreachableError } from "../locks/errors.js";
import { formatDuration } from "../locks/durations.js";
import type { Answer } from "./locker.js";

// Quick for a lock that is free soon; for one that is held for hours, as rare as locker-resource's tries.
const FIRST_PAUSE_MS = 500;
const GROWTH = 1.5;
const LONGEST_PAUSE_MS = 30_000;
// So that builds that wait for the same lock do not all ask at the same moment.
const JITTER = 0.25;
// A restarting server is back by then. After that, nobody is at this address.
const LONGEST_SILENCE_MS = 120_000;

export interface Patience {
  /** No try begins after this time; `null`: without an end. */
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * Tries until it is done. A try under way is not cut short by the signal, so that its outcome is known.
 * @throws HoldlineError `conflict` when another key holds the lock to the end; UnreachableError when the server stays silent
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
