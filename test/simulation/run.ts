// One simulated run, from its first step to the day when nothing is left to do; and finding a failure among seeds.
// Loaded here, so that nothing of a run leaves the microtasks when a window is looked at.
import "temporal-polyfill";
import { Choices } from "./choices.js";
import { checkEnd } from "./end-checks.js";
import { perhapsFault } from "./faults.js";
import { checkAtRest } from "./rest-checks.js";
import { drawScenario, type Scenario } from "./scenario.js";
import { Scheduler, settled } from "./scheduler.js";
import { usePlainSignals } from "./signals.js";
import { World } from "./world.js";

export interface Outcome {
  /** What was wrong, or `null`. */
  readonly violation: string | null;
  readonly steps: number;
  readonly virtualMs: number;
  /** All that was chosen: the same run again. */
  readonly tape: readonly number[];
  /** So many of them were for the scenario. */
  readonly scenarioDraws: number;
  readonly scenario: Scenario;
  readonly trace: readonly string[];
  /** How many faults of which kind there were. */
  readonly met: ReadonlyMap<string, number>;
}

// A run that goes on for longer does not end: most take some hundred steps and a few virtual minutes, and a hundred nodes that renew
// their sessions while they wait some hundred thousand.
const MOST_STEPS = 400_000;
// From the end of the faults on: a hundred nodes that take turns at the slowest action, which soaks, need half of that.
const LONGEST_CALM_MS = 7_200_000;
// Faults come early or not at all: from then on the fleet is to come to its end.
const FAULTS_UNTIL_MS = 150_000;
const FAULTS_UNTIL_STEP = 1_500;

/** @param without tasks of the scenario, by their place, that are left out */
export async function simulate(choices: Choices, traced = false, without: readonly number[] = []): Promise<Outcome> {
  const { stackTraceLimit } = Error;
  // Most errors of a run are outcomes: where they were made interests only those who read the trace.
  Error.stackTraceLimit = traced ? 10 : 0;
  const useOwnSignals = usePlainSignals();
  try {
    return await run(choices, traced, without);
  } finally {
    useOwnSignals();
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function run(choices: Choices, traced: boolean, without: readonly number[]): Promise<Outcome> {
  const drawn = drawScenario(choices);
  const scenarioDraws = choices.drawn.length;
  const scenario: Scenario = { ...drawn, tasks: drawn.tasks.filter((_, index) => !without.includes(index)) };
  const scheduler = new Scheduler(choices, traced);
  const world = new World(scheduler, choices, scenario);
  const { checks } = world;
  const lastStart = Math.max(0, ...scenario.tasks.map(({ startsAt }) => startsAt));
  for (;;) {
    await settled();
    world.settled();
    if (scheduler.isAtRest) checkAtRest(world);
    if (checks.violation !== null) break;
    // What is left then is for an admin to see to.
    if (world.hasGoneBack && (!world.hasLiving || scheduler.count > FAULTS_UNTIL_STEP)) break;
    const isOver = !world.mayFault() || scheduler.now > FAULTS_UNTIL_MS || scheduler.count > FAULTS_UNTIL_STEP;
    const hasEnded = !world.hasLiving && world.agents.size >= scenario.tasks.length;
    if (scheduler.now >= lastStart && (isOver || hasEnded)) world.calm();
    else perhapsFault(world);
    if (scheduler.step()) {
      if (scheduler.count < MOST_STEPS && scheduler.now < world.calmSince + LONGEST_CALM_MS) continue;
      const waiting = world.living.map(({ name }) => name).join(", ");
      checks.fail(
        `it does not come to an end: after ${scheduler.count} steps and ${scheduler.now} ms there are ${waiting === "" ? "claims left" : waiting}`,
      );
      continue;
    }
    if (!world.isCalm) {
      world.calm();
      continue;
    }
    for (const { name } of world.living) checks.fail(`${name} is stuck: nothing will ever wake it`);
    checkEnd(world, checks.ended);
    break;
  }
  const { violation } = checks;
  return {
    violation,
    steps: scheduler.count,
    virtualMs: scheduler.now,
    tape: choices.drawn,
    scenarioDraws,
    scenario,
    trace: scheduler.trace ?? [],
    met: world.met,
  };
}

export function simulateSeed(seed: number, traced = false): Promise<Outcome> {
  return simulate(Choices.ofSeed(seed), traced);
}
