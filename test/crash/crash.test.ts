// Every point at which a run can be killed. The points are those of a run that was left alone, and stand in points/: a new step on the
// path changes that list. After a change that is meant: npx vitest run test/crash -u
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BOTH_STORES, openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { shareCrashProgram } from "./program.js";
import { killWherever, SCENARIOS } from "./scenarios.js";

failOnLeaks();

const program = shareCrashProgram();

describe.each(BOTH_STORES)("on %s", (kind) => {
  test.each(SCENARIOS)("every crash point of $name", { timeout: 120_000 }, (scenario) =>
    killWherever(program, { kind, openFleet: () => openFleet(kind) }, scenario),
  );
});

const PATH_OF_A_RUN = [
  ...[
    "run",
    "run-states",
    "claiming-states",
    "holding-states",
    "hook-states",
    "launches",
    "gating",
    "shut-gates",
    "stages",
    "reboot-states",
    "soaking",
    "run-notes",
    "run-report",
    "durable-claim",
    "recovery",
    "execution",
  ].map((file) => `actions/${file}`),
  ...["turn", "waiting", "holders", "perspective"].map((file) => `line/${file}`),
];

test("a run reaches the world only through the calls that have points", () => {
  for (const file of PATH_OF_A_RUN) {
    const source = readFileSync(join(import.meta.dirname, `../../src/${file}.ts`), "utf8");
    // Ids are drawn, not waited for.
    const others = [...source.matchAll(/(?:from|import\() *"(node:[^"]*)"/g)]
      .map(([, name]) => name)
      .filter((name) => name !== "node:crypto");
    expect(others, file).toEqual([]);
    expect(source, file).not.toMatch(/\bimport\(/);
  }
});
