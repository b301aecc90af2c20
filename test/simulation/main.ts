// `npm run simulate`: many seeds and how fast they went, one seed again with its trace, or the mutations. Built and
// started by scripts/simulate.mjs.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { judge } from "./mutants.js";
import { MUTATIONS } from "./mutations.js";
import { type Outcome, simulateSeed } from "./run.js";
import { shrink } from "./shrink.js";

const USAGE = `usage: npm run simulate -- [--seeds N] [--from SEED] | --seed SEED | --mutations | --mutation WORDS`;

// Most mutations are noticed within some thousand seeds, the rarest within some ten thousands; one that is not by now is not.
const SEEDS_FOR_A_MUTATION = 60_000;
// Seeds that a worker is given at a time.
const PORTION = 2_000;

interface Portion {
  readonly from: number;
  readonly count: number;
}

interface Findings {
  readonly seeds: number;
  readonly failed: readonly number[];
  readonly met: ReadonlyMap<string, number>;
}

if (isMainThread) process.exitCode = await main();
else work();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "20000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      mutations: { type: "boolean", default: false },
      // Words of its name: how the simulation sees that one.
      mutation: { type: "string" },
    },
  });
  if (values.mutations) return judgeAll();
  if (values.mutation !== undefined) return showMutation(values.mutation);
  const numbers = [values.seeds, values.from, values.seed ?? "1"].map(Number);
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) {
    console.error(USAGE);
    return 64;
  }
  const [seeds, from, seed] = numbers as [number, number, number];
  return values.seed === undefined ? runSeeds(from, seeds) : replay(seed);
}

async function runSeeds(from: number, seeds: number): Promise<number> {
  const started = performance.now();
  const failed: number[] = [];
  const met = new Map<string, number>();
  let done = 0;
  let next = from;
  let told = started;
  const portion = (): Portion | null => {
    const count = Math.min(PORTION, from + seeds - next);
    if (count <= 0 || failed.length > 0) return null;
    next += count;
    return { from: next - count, count };
  };
  const rate = (): number => Math.round(done / ((performance.now() - started) / 1_000));
  const runWorker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(process.argv[1] as string, { workerData: null });
      const give = (): void => {
        const given = portion();
        if (given !== null) return worker.postMessage(given);
        void worker.terminate();
        resolve();
      };
      worker.on("message", (findings: Findings) => {
        done += findings.seeds;
        failed.push(...findings.failed);
        addTo(met, findings.met);
        if (performance.now() - told > 10_000) {
          told = performance.now();
          console.error(`${done} of ${seeds} seeds, ${rate()} a second`);
        }
        give();
      });
      worker.on("error", reject);
      give();
    });
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), Math.ceil(seeds / PORTION)) }, runWorker));
  console.log(`${done} seeds, ${failed.length} failed, ${rate()} seeds a second`);
  const counts = [...met].sort(([one], [other]) => (one < other ? -1 : 1)).map(([fault, count]) => `${fault} ${count}`);
  console.log(`faults met: ${counts.join(", ")}`);
  if (failed.length === 0) return 0;
  return replay(Math.min(...failed));
}

function work(): void {
  void workerData;
  parentPort?.on("message", ({ from, count }: Portion) => {
    void (async () => {
      const failed: number[] = [];
      const met = new Map<string, number>();
      let seeds = 0;
      for (let seed = from; seed < from + count && failed.length === 0; seed += 1) {
        const { violation, met: faults } = await simulateSeed(seed);
        addTo(met, faults);
        if (violation !== null) failed.push(seed);
        seeds += 1;
      }
      parentPort?.postMessage({ seeds, failed, met } satisfies Findings);
    })();
  });
}

function addTo(met: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [fault, count] of more) met.set(fault, (met.get(fault) ?? 0) + count);
}

/** One seed again, and when it fails the shortest run that fails in the same way. */
async function replay(seed: number): Promise<number> {
  const outcome = await simulateSeed(seed, true);
  if (outcome.violation === null) {
    console.log(`seed ${seed} is in order: ${outcome.steps} steps, ${outcome.virtualMs} virtual ms`);
    console.log(outcome.trace.join("\n"));
    return 0;
  }
  console.log(`seed ${seed} fails after ${outcome.steps} steps: ${outcome.violation}`);
  const shrunk = await shrink(outcome);
  console.log(`${describe(shrunk)}\nreplay it: npm run simulate -- --seed ${seed}`);
  return 1;
}

function describe({ trace, steps, violation }: Outcome): string {
  return `\nshrunk to ${steps} steps:\n\n${trace.join("\n")}\n\n${violation}`;
}

async function showMutation(words: string): Promise<number> {
  const mutation = MUTATIONS.find(({ name }) => name.includes(words));
  if (mutation === undefined) {
    console.error(`there is no mutation with the words ${JSON.stringify(words)}`);
    return 64;
  }
  const { seed, outcome } = await judge(process.cwd(), mutation, SEEDS_FOR_A_MUTATION, true);
  console.log(`${mutation.name}: ${seed === null ? "not noticed" : `noticed by seed ${seed}`}`);
  if (outcome !== null) console.log(describe(outcome));
  return outcome === null ? 1 : 0;
}

async function judgeAll(): Promise<number> {
  const width = Math.max(...MUTATIONS.map(({ name }) => name.length));
  let survivors = 0;
  for (const mutation of MUTATIONS) {
    const { seed, outcome } = await judge(process.cwd(), mutation, SEEDS_FOR_A_MUTATION);
    if (seed === null) survivors += 1;
    console.log(
      `${mutation.name.padEnd(width)}  ${seed === null ? "SURVIVES" : `seed ${String(seed).padStart(5)}: ${outcome?.violation?.split("\n")[0]}`}`,
    );
  }
  console.log(`${MUTATIONS.length - survivors} of ${MUTATIONS.length} mutations are noticed`);
  return survivors === 0 ? 0 : 1;
}
