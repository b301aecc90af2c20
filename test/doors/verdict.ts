// Judges what a door makes of any input: a value or a clear error of ours, soon, with every prototype as it was.
import { afterEach, beforeEach, expect, vi } from "vitest";
import type { ErrorCode } from "../../src/locks/errors.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { CASES_PER_DOOR, deadlineMs } from "../support/effort.js";

// Of this process's own time, so that a busy machine makes no difference. A case takes a millisecond, the longest ones a
// second, and more than this where something is squared or worse.
const LONGEST_CASE_MS = 5_000;

// An error's line is read on a terminal; the path of a file may stand in it.
const LONGEST_LINE = 1_000;

const PROTOTYPES: readonly object[] = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Map.prototype];

// A thousand cases on a machine that is busy with other tests.
const DEADLINE_MS = deadlineMs(60_000);

/** Every test of this file fails when it changes a prototype, and has time for all of its cases. */
export function failOnPollution(): void {
  vi.setConfig({ testTimeout: DEADLINE_MS });
  let before: readonly string[];
  beforeEach(() => void (before = prototypes()));
  afterEach(() => {
    expect(prototypes()).toEqual(before);
  });
}

function prototypes(): string[] {
  return PROTOTYPES.flatMap((prototype) => [
    ...Reflect.ownKeys(prototype).map(String),
    ...Object.keys(Object.getOwnPropertyDescriptors(prototype)),
    String(Object.getPrototypeOf(prototype) === null),
  ]);
}

/** Calls a door. Gives its value or its error, which must be ours, have one of these codes and be clear; any other error fails the test. */
export function open<T>(door: () => T, codes: readonly ErrorCode[], secret?: string): { value: T } | { error: HoldlineError } {
  const began = process.cpuUsage();
  try {
    return { value: door() };
  } catch (error) {
    return { error: judge(error, codes, secret) };
  } finally {
    expectSoon(began);
  }
}

/** The same for a door that gives a promise. */
export async function openLater<T>(
  door: () => Promise<T>,
  codes: readonly ErrorCode[],
  secret?: string,
): Promise<{ value: T } | { error: HoldlineError }> {
  const began = process.cpuUsage();
  try {
    return { value: await door() };
  } catch (error) {
    return { error: judge(error, codes, secret) };
  } finally {
    expectSoon(began);
  }
}

function expectSoon(began: NodeJS.CpuUsage): void {
  const tookMs = process.cpuUsage(began).user / 1_000;
  if (tookMs > LONGEST_CASE_MS) throw new Error(`one case took ${Math.round(tookMs)} ms`);
}

function judge(error: unknown, codes: readonly ErrorCode[], secret: string | undefined): HoldlineError {
  // Rethrown as it is: its stack says where.
  if (!(error instanceof HoldlineError)) throw error;
  expect(codes).toContain(error.code);
  for (const line of [...error.message.split("\n"), ...(error.hint?.split("\n") ?? [])]) expectClear(line, secret);
  return error;
}

/** A line of a message: it says something, in a readable length, harms no terminal, and has no stack and no secret in it. */
export function expectClear(line: string, secret?: string): void {
  const faults = [
    line.trim() === "" && "it is empty",
    line.length > LONGEST_LINE && `it has ${line.length} characters`,
    /[\p{Cc}\u2028\u2029\u202a-\u202e]/u.test(line) && "it has control characters",
    !line.isWellFormed() && "it has half a character",
    /^\s+at .*:\d+:\d+/.test(line) && "it is a line of a stack",
    /\[object |RangeError|TypeError|Cannot (?:read|convert)/.test(line) && "it is a machine's",
    secret !== undefined && line.includes(secret) && "it has a password",
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new Error(`not a clear line: ${faults.join(", ")}: ${JSON.stringify(line.slice(0, 2_000))}`);
}

// Among fewer cases chance alone decides how many of a kind there are.
const ENOUGH_TO_COUNT = 1_000;

/** That the generated cases come so far often enough: in this share of them at least. */
export function expectShare(count: number, share: number, what: string): void {
  if (CASES_PER_DOOR >= ENOUGH_TO_COUNT) expect(count, what).toBeGreaterThan(CASES_PER_DOOR * share);
}
