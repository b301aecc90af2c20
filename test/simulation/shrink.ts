// Makes a failing run short: takes choices away and makes them duller for as long as the same thing goes wrong. It tries
// the same in the same order each time, so that a seed is always shrunk to the same trace.
import { Choices } from "./choices.js";
import { type Outcome, simulate } from "./run.js";

// Each is a run of about a millisecond.
const MOST_RUNS = 4_000;

/** The shortest run that was found to go wrong in the same way, with its trace. */
export async function shrink(failed: Outcome): Promise<Outcome> {
  let best = failed;
  let runs = 0;
  const kind = kindOf(failed);
  const attempt = async (tape: readonly number[]): Promise<boolean> => {
    if (runs >= MOST_RUNS) return false;
    runs += 1;
    const outcome = await simulate(Choices.ofTape(tape));
    if (kindOf(outcome) !== kind || costOf(outcome) >= costOf(best)) return false;
    best = outcome;
    return true;
  };
  for (let before = Infinity; costOf(best) < before && runs < MOST_RUNS; ) {
    before = costOf(best);
    for (let length = 1 << Math.floor(Math.log2(best.tape.length)); length >= 1; length >>= 1) {
      for (let from = best.tape.length - length; from >= 0; from -= length) {
        const [head, tail] = [best.tape.slice(0, from), best.tape.slice(from + length)];
        if (best.tape.slice(from, from + length).some((value) => value !== 0)) await attempt([...head, ...Array<number>(length).fill(0), ...tail]);
        await attempt([...head, ...tail]);
      }
    }
  }
  return simulate(Choices.ofTape(best.tape), true);
}

/** What went wrong, whoever it was. */
function kindOf({ violation }: Outcome): string | null {
  return violation?.split("\n")[0]?.replace(/\b[cn]?\d+(\.\d+)?\b/g, "#") ?? null;
}

/** What a person has to read: steps, and who takes part in them. */
function costOf({ steps, scenario, tape }: Outcome): number {
  return steps * 4 + scenario.tasks.length * 20 + scenario.nodes * 10 + tape.filter((value) => value !== 0).length;
}
