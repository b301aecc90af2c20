// Which Ctrl-C ends a command: the second of two that come together, and not one now and one much later.
import { performance } from "node:perf_hooks";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createEnding } from "../../../src/actions/commands/ending.js";
import type { CommandSpec } from "../../../src/actions/machine.js";
import { TEST_OPTIONS } from "../../coordinators/conformance/store.js";

const SPEC: CommandSpec = { argv: ["psql"], cwd: null, env: {}, timeoutMs: null, killAfterMs: 10_000, output: "inherit" };

let now = 0;

beforeEach(() => void vi.spyOn(performance, "now").mockImplementation(() => now));
afterEach(() => void vi.restoreAllMocks());

/** A command that ignores keys. */
function survivor(isTyped: boolean) {
  const sent: string[] = [];
  // Ends as soon as it has to.
  const members = { pids: () => [1], lives: () => sent.length === 0, signal: (signal: string) => void sent.push(signal) };
  return { sent, ending: createEnding(TEST_OPTIONS.log, SPEC, members, {}, () => isTyped) };
}

test("two typed within five seconds end it", () => {
  const { ending, sent } = survivor(true);
  ending.relay("SIGINT");
  now += 4_900;
  expect(ending.hasBegun()).toBe(false);
  ending.relay("SIGINT");
  expect(ending.hasBegun()).toBe(true);
  expect(sent[0]).toBe("SIGTERM");
});

test("one typed now and then does not, however often", () => {
  const { ending, sent } = survivor(true);
  for (let key = 0; key < 5; key += 1) {
    ending.relay("SIGINT");
    now += 5_000;
  }
  expect(ending.hasBegun()).toBe(false);
  expect(sent).toEqual([]);
});

test("of signals that are sent, the second one ends it whenever it comes", () => {
  const { ending, sent } = survivor(false);
  ending.relay("SIGTERM");
  expect(sent).toEqual(["SIGTERM"]);
  now += 60_000;
  ending.relay("SIGTERM");
  expect(ending.hasBegun()).toBe(true);
});
