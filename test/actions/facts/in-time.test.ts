// Looks at the machine that take too long: whoever asks goes on, and the answer is that nobody knows.
import { expect, test } from "vitest";
import { createFacts } from "../../../src/actions/facts/facts.js";
import { inTime, TooLongError } from "../../../src/actions/facts/in-time.js";
import type { Processes } from "../../../src/actions/machine.js";
import { createProcesses } from "../../../src/actions/processes.js";
import { openSeenFiles } from "../../../src/actions/state/seen-files.js";
import { cleanUpAfterEach, temporaryDirectory } from "../../support/proc-programs.js";

cleanUpAfterEach();

const silent = (): void => undefined;
const log = { debug: silent, info: silent, warn: silent, error: silent };
const NEVER = 600_000;

/** As a file on a server that is gone. */
const hang = () => new Promise<never>(() => undefined);

test("a look that hangs ends with its time, and its signal says so", async () => {
  let seen: AbortSignal | undefined;
  const looking = inTime(1, undefined, (signal) => ((seen = signal), hang()));
  await expect(looking).rejects.toBeInstanceOf(TooLongError);
  expect(seen?.aborted).toBe(true);
});

test("a look that hangs ends with a stop request, for its reason", async () => {
  const stop = new AbortController();
  const looking = inTime(NEVER, stop.signal, hang);
  stop.abort(new Error("stopped"));
  await expect(looking).rejects.toThrow("stopped");
  await expect(inTime(NEVER, stop.signal, hang)).rejects.toThrow("stopped");
});

test("what is found in time is found, and what fails later is nobody's", async () => {
  expect(await inTime(NEVER, undefined, () => Promise.resolve("found"))).toBe("found");
  const fails = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("too late"))));
  await expect(inTime(1, undefined, fails)).rejects.toBeInstanceOf(TooLongError);
});

test("files and processes that cannot be looked at in time are a problem, and not an answer", async () => {
  const own = createProcesses();
  const processes: Processes = { ...own, moment: () => own.moment(), matching: hang };
  const facts = createFacts({ processes, seen: openSeenFiles(temporaryDirectory(), log), log, mostMs: 1 });
  const pattern = { commandString: "nginx", fullCmd: false, user: null };
  expect(await facts.outdated(pattern)).toEqual({
    found: "problem",
    problem: "looking at the files of its processes took longer than 0 s",
  });
  expect(await facts.changed({ action: "a", patterns: ["/etc/**"], pattern, remembers: true })).toEqual({
    found: "problem",
    problem: "looking at the files of `changed` took longer than 0 s",
  });
});
