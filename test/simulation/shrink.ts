// Makes a failing run short: leaves processes out, and makes its choices duller, for as long as the same thing goes wrong.
// It tries the same in the same order each time, so that a seed is always shrunk to the same trace.
import { Choices } from "./choices.js";
import { type Outcome, simulate } from "./run.js";

// Each is a run of about a millisecond.
const MOST_RUNS = 10_000;
// Without one of its processes a run takes another course: so many are tried before that process counts as needed.
const TRIES_WITHOUT = 1_000;

/** The shortest run that was found to go wrong in the same way, with its trace. */
export async function shrink(failed: Outcome): Promise<Outcome> {
  const shrinking = new Shrinking(failed);
  await shrinking.leaveOut();
  await shrinking.dull();
  return shrinking.trace();
}

class Shrinking {
  #best: Outcome;
  #without: readonly number[] = [];
  #runs = 0;
  readonly #kind: string | null;
  readonly #tasks: number;

  constructor(failed: Outcome) {
    this.#best = failed;
    this.#kind = kindOf(failed);
    this.#tasks = failed.scenario.tasks.length;
  }

  /** Takes away the nodes and people that have no part in it. */
  async leaveOut(): Promise<void> {
    for (let task = this.#tasks - 1; task >= 0; task -= 1) {
      const without = [...this.#without, task];
      let found = await this.#attempt(Choices.ofTape(this.#best.tape), without, true);
      const scenario = this.#best.tape.slice(0, this.#best.scenarioDraws);
      for (let seed = 1; !found && seed <= TRIES_WITHOUT; seed += 1)
        found = await this.#attempt(Choices.ofTape(scenario, seed), without, true);
    }
  }

  /** Takes choices away, and has zeros for others. */
  async dull(): Promise<void> {
    for (let before = Infinity; costOf(this.#best) < before && this.#runs < MOST_RUNS;) {
      before = costOf(this.#best);
      for (let length = 1 << Math.floor(Math.log2(this.#best.tape.length)); length >= 1; length >>= 1) {
        for (let from = this.#best.tape.length - length; from >= 0; from -= length) {
          const { tape } = this.#best;
          const [head, middle, tail] = [tape.slice(0, from), tape.slice(from, from + length), tape.slice(from + length)];
          const zeros = Array<number>(length).fill(0);
          if (middle.some((value) => value !== 0)) await this.#attempt(Choices.ofTape([...head, ...zeros, ...tail]), this.#without);
          await this.#attempt(Choices.ofTape([...head, ...tail]), this.#without);
        }
      }
    }
  }

  trace(): Promise<Outcome> {
    return simulate(Choices.ofTape(this.#best.tape), true, this.#without);
  }

  /** @param isSmaller it is, whatever it costs */
  async #attempt(choices: Choices, without: readonly number[], isSmaller = false): Promise<boolean> {
    if (this.#runs >= MOST_RUNS) return false;
    this.#runs += 1;
    const outcome = await simulate(choices, false, without);
    if (kindOf(outcome) !== this.#kind || (!isSmaller && costOf(outcome) >= costOf(this.#best))) return false;
    this.#best = outcome;
    this.#without = without;
    return true;
  }
}

/** What went wrong, without the names of those that it happened to. */
function kindOf({ violation }: Outcome): string | null {
  return violation?.split("\n")[0]?.replace(/\b[cn]?\d+(\.\d+)?\b/g, "#") ?? null;
}

/** What a person has to read: steps, and what is out of the ordinary. */
function costOf({ steps, tape }: Outcome): number {
  return steps * 4 + tape.filter((value) => value !== 0).length;
}
