// Where a run is killed on every store: around each of its writes, before, after, and between question and answer. What comes between
// the writes is the node's own, and has every point of its own on the stores of crash.test.ts.
import { describe, test } from "vitest";
import { Fleet, type StoreName } from "../../e2e/nodes.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { shareCrashProgram } from "../program.js";
import { killWherever, SCENARIOS } from "../scenarios.js";

const NAMES = ["a fresh run", "a failed action", "the adoption of a stale claim"];

/** @param open gives the URL of a root that nobody has used, on the run's server */
export function describeCrashesOnStore(kind: StoreName, open: () => string | Promise<string>): void {
  failOnLeaks();
  const program = shareCrashProgram();
  const openFleet = async (): Promise<Fleet> => new Fleet(kind, await open(), await freshDirectory());

  describe(`on ${kind}`, () => {
    test.each(SCENARIOS.filter(({ name }) => NAMES.includes(name)))(
      "a run is killed around each write of $name",
      { timeout: 120_000 },
      (scenario) => killWherever(program, { kind, openFleet }, scenario),
    );
  });
}
