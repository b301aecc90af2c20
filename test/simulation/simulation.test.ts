// Many simulated fleets, each with its own faults, over the real code; and that the simulation repeats itself exactly.
import { describe, expect, test } from "vitest";
import { deadlineMs, SIMULATED_SEEDS } from "../support/effort.js";
import { simulateSeed } from "./run.js";
import { shrink } from "./shrink.js";

// 10,000 take some 15 s of a processor of their own; with the other tests beside them, several times that.
const DEADLINE_MS = deadlineMs(240_000);

describe("a simulated fleet", () => {
  test(
    `keeps every promise, whatever happens, for ${SIMULATED_SEEDS} seeds`,
    async () => {
      for (let seed = 1; seed <= SIMULATED_SEEDS; seed += 1) {
        const outcome = await simulateSeed(seed);
        // Nothing of a run leaves the microtasks: the runner wants to be heard now and then.
        if (seed % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (outcome.violation === null) continue;
        const { trace, violation } = await shrink(outcome);
        throw new Error(`seed ${seed} fails (npm run simulate -- --seed ${seed}):\n${trace.join("\n")}\n${violation}`);
      }
    },
    DEADLINE_MS,
  );

  test("goes the same way each time for the same seed", async () => {
    for (const seed of [1, 365, 11_574]) {
      const [once, again] = [await simulateSeed(seed, true), await simulateSeed(seed, true)];
      expect(again).toEqual(once);
      expect(once.trace.length).toBeGreaterThan(10);
    }
  });
});
