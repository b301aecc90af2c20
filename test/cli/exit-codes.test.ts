import { expect, test } from "vitest";
import type { Outcome, Result } from "../../src/actions/result.js";
import { InterruptedError } from "../../src/actions/stop.js";
import {
  EXIT_CODES,
  exitCodeOfAcquired,
  exitCodeOfError,
  exitCodeOfExec,
  exitCodeOfReleased,
  exitCodeOfRenewed,
  exitCodeOfResults,
} from "../../src/cli/exit-codes.js";
import { HoldlineError, UnreachableError } from "../../src/locks/errors.js";

const result = (outcome: Outcome): Result => ({
  action: "a",
  lock: "a",
  outcome,
  claim: null,
  fencingToken: null,
  coordinated: true,
  waitedMs: 0,
  ranMs: null,
  exitCode: null,
  signal: null,
  message: "",
});

test.each([
  [new HoldlineError("usage", ""), 64],
  [new HoldlineError("configuration", ""), 78],
  [new UnreachableError(""), 69],
  [new HoldlineError("not-allowed", ""), 77],
  [new HoldlineError("conflict", ""), 75],
  [new HoldlineError("nothing-there", ""), 1],
  [new HoldlineError("claim-lost", ""), 74],
  [new InterruptedError("SIGINT"), 130],
  [new InterruptedError("SIGTERM"), 143],
  [new TypeError("x is not a function"), 70],
  ["not even an error", 70],
])("an error's exit code", (error, code) => expect(exitCodeOfError(error)).toBe(code));

test("several results exit with the first code that is not 0", () => {
  const code = (...outcomes: Outcome[]) => exitCodeOfResults(outcomes.map(result));
  expect(code()).toBe(0);
  expect(code("ran", "already-restarted", "already-done")).toBe(0);
  expect(code("ran", "timed-out", "failed")).toBe(75);
  expect(code("failed", "timed-out")).toBe(4);
  expect(code("unreachable")).toBe(69);
});

test("exec exits with the command's own code", () => {
  const ended = (exitCode: number | null, signal: string | null) =>
    exitCodeOfExec({ outcome: "ended", exitCode, signal, message: "" });
  expect(ended(0, null)).toBe(0);
  expect(ended(3, null)).toBe(3);
  expect(ended(null, "SIGKILL")).toBe(137);
  expect(
    (["timed-out", "unreachable", "claim-lost", "not-started"] as const).map((outcome) => exitCodeOfExec({ outcome, message: "" })),
  ).toEqual([75, 69, 74, 127]);
});

test("leases exit with 2 when held, 3 when expired, and 0 however they were released", () => {
  expect((["acquired", "held"] as const).map((outcome) => exitCodeOfAcquired({ outcome }))).toEqual([0, 2]);
  expect((["renewed", "expired"] as const).map((outcome) => exitCodeOfRenewed({ outcome }))).toEqual([0, 3]);
  expect((["released", "gone"] as const).map((released) => exitCodeOfReleased(released))).toEqual([0, 0]);
});

test("the table has the contract's codes", () => {
  expect(Object.keys(EXIT_CODES).map(Number)).toEqual([0, 1, 2, 3, 4, 64, 69, 70, 74, 75, 77, 78]);
});
