// What fits into the tables and into one request, and what a server's figures mean for the engine. What does not fit is refused in words: the
// server would hang up, or say no more than that.
import { HoldlineError } from "../../locks/errors.js";
import type { Step, StoreTraits } from "../../queue/store.js";
import type { ServerFacts } from "./client.js";
import { LONGEST_NAME } from "./schema.js";

// In a text every byte takes two digits, and the client sends 16 MB at once at most. The rest is for what stands around the values.
const LARGEST_TEXT = 16 * 1024 * 1024 - 1;
const AROUND = 16 * 1024;

// The texts of a lock's steps without its name and its record: half of it, since what is counted takes two digits each.
const BYTES_PER_LOCK = 1_536;

function largestText({ maxPacket }: ServerFacts): number {
  return Math.min(maxPacket, LARGEST_TEXT) - 1;
}

export function traitsOf(facts: ServerFacts): StoreTraits {
  return {
    sessions: "renewed",
    wakes: "poll",
    clockErrorMs: 0,
    minSessionMs: 0,
    maxLocks: Number.POSITIVE_INFINITY,
    maxBytes: Math.floor((largestText(facts) - AROUND) / 2),
    bytesPerLock: BYTES_PER_LOCK,
    durability: facts.isDurable ? "disk" : "may-lose",
  };
}

/** @throws HoldlineError where a text is longer than the server takes, which it would answer by hanging up */
export function fitting(text: string, facts: ServerFacts, server: string): string {
  const [size, most] = [text.length, largestText(facts)];
  if (size <= most) return text;
  throw new HoldlineError("configuration", `a transaction takes ${size} bytes, and the server ${server} takes ${most}`, {
    hint: "raise its max_allowed_packet (16 MB are of use), or keep less data with each claim",
  });
}

/** @throws HoldlineError for a name that the indexes do not take */
export function refuseLongNames(steps: readonly Step[]): void {
  for (const step of steps) {
    const names = [
      ...("lock" in step ? [step.lock] : []),
      ...("name" in step ? [step.name] : []),
      ...("claim" in step ? [step.claim] : []),
    ];
    const longest = Math.max(0, ...names.map((name) => Buffer.byteLength(name)));
    if (longest > LONGEST_NAME)
      throw new HoldlineError("configuration", `a name has ${longest} bytes, and the tables' indexes take ${LONGEST_NAME}`);
  }
}
