// The journal's files, as crashes, bad disks and editors may leave them: what can be read is read, what cannot is set
// aside byte for byte and told, and nothing of it leads anywhere else.
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { openJournal } from "../../src/actions/state/journal.js";
import type { RunEntry } from "../../src/actions/machine.js";
import { lockNameProblem } from "../../src/locks/names.js";
import { createTestLog } from "../support/proc-programs.js";
import { CASES, mangled, misshapen, nastyText, nastyValue } from "./junk.js";
import { openPlace } from "./places.js";
import { identities, moments } from "./records.js";
import { expectShare, failOnPollution, open } from "./verdict.js";

failOnPollution();

// So many files are read and set aside at once: each of these has the directory flushed.
const FILES_AT_ONCE = 25;

const ACTION = "restart";
let stateDir: string;

beforeEach(() => void (stateDir = openPlace()));

function openDamaged() {
  const log = createTestLog();
  const journal = openJournal(stateDir, "web-07", log);
  const place = join(stateDir, "journal", "web-07", ACTION);
  const warnings = () =>
    log.lines.splice(0).filter(({ level }) => level === "warn") as unknown as { details: { file: string; kept?: number } }[];
  return { journal, place, warnings };
}

const runs: fc.Arbitrary<string> = fc
  .record({
    lock: fc.constantFrom("restart/nginx", "a", "ä/ö"),
    phase: fc.constantFrom("settling", "running", "verifying", "succeeded", "failed"),
    agent: identities,
    group: fc.option(identities, { nil: null }),
  })
  .map((run) => JSON.stringify({ v: 1, claim: "CLAIM", action: ACTION, ...run }));

const bytesOf = (text: fc.Arbitrary<string>) => text.map((whole) => Buffer.from(whole));
const damaged = fc.oneof(
  { weight: 4, arbitrary: bytesOf(misshapen(runs)) },
  { weight: 4, arbitrary: bytesOf(mangled(runs, 2)) },
  bytesOf(
    fc.oneof(
      nastyText,
      nastyValue.map((value) => JSON.stringify(value)),
    ),
  ),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  // One byte of a file that was right, as a bad disk has it.
  fc.tuple(bytesOf(runs), fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

test("a run's file is read, or set aside as it is and told", () => {
  const { journal, place, warnings } = openDamaged();
  journal.saveRun({
    claim: "x",
    lock: "a",
    action: ACTION,
    agent: { bootId: null, pidNamespace: null, pid: 1, startTicks: null },
    phase: "running",
    group: null,
  });
  journal.removeRun(ACTION, "x");
  let [read, aside] = [0, 0];
  fc.assert(
    fc.property(fc.array(damaged, { minLength: FILES_AT_ONCE, maxLength: FILES_AT_ONCE }), (files) => {
      const written = new Map<string, Buffer>();
      for (const [index, bytes] of files.entries()) {
        const text = Buffer.from(bytes.toString("latin1").replaceAll("CLAIM", `claim-${index}`), "latin1");
        const path = join(place, `run-claim-${index}.json`);
        writeFileSync(path, text);
        written.set(path, text);
      }
      const found = open(() => journal.runs(ACTION), []);
      const entries = "value" in found ? found.value : [];
      const told = warnings().map(({ details }) => details.file);
      expect(entries.length + told.length).toBe(files.length);
      for (const entry of entries) expectSound(entry);
      for (const file of told) {
        const path = file.replace(/\.damaged$/, "");
        expect(existsSync(path)).toBe(false);
        expect(readFileSync(file).equals(written.get(path) as Buffer)).toBe(true);
      }
      // Those that were read are still there, and are read again.
      expect(journal.runs(ACTION)).toEqual(entries);
      read += entries.length;
      aside += told.length;
      for (const name of readdirSync(place)) rmSync(join(place, name));
    }),
    { numRuns: Math.ceil(CASES / FILES_AT_ONCE) },
  );
  expectShare(Math.min(read, aside), 1 / 50, "files that are read and files that are set aside");
  expectNothingElse();
});

// Generated input has found this once: the lock is looked up in the store, and no bytes of a file may lead it anywhere else.
test.each(["", "/", "../../x", "a\0b", "a//b", "x".repeat(256)])("a run under a lock that is called %j is set aside", (lock) => {
  const { journal, place, warnings } = openDamaged();
  journal.saveRun({
    claim: "x",
    lock: "a",
    action: ACTION,
    agent: { bootId: null, pidNamespace: null, pid: 1, startTicks: null },
    phase: "running",
    group: null,
  });
  const path = join(place, "run-x.json");
  writeFileSync(path, readFileSync(path, "utf8").replace('"lock":"a"', `"lock":${JSON.stringify(lock)}`));
  expect(journal.runs(ACTION)).toEqual([]);
  expect(warnings().map(({ details }) => details.file)).toEqual([`${path}.damaged`]);
});

function expectSound({ claim, lock, action, agent, phase, group }: RunEntry): void {
  expect(claim).toMatch(/^claim-\d+$/);
  expect(action).toBe(ACTION);
  expect(lockNameProblem(lock)).toBeNull();
  expect(phase).toMatch(/^(?:settling|running|verifying|succeeded|failed)$/);
  for (const identity of [agent, group])
    if (identity !== null) expect(Number.isSafeInteger(identity.pid) && identity.pid > 0).toBe(true);
}

const attempt = moments.map((moment) => JSON.stringify({ v: 1, ...moment }));
const oneLine = (text: string) => text.replaceAll("\n", " ");
const lines = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constant(true), attempt) },
    fc.tuple(fc.constant(false), fc.oneof(misshapen(attempt), mangled(attempt, 2), nastyText).map(oneLine)),
  ),
  { maxLength: 6 },
);

test("of a file of attempts every line that is whole counts, and the rest is set aside with it and told", () => {
  const { journal, place, warnings } = openDamaged();
  journal.addAttempt(ACTION, { bootId: null, ticks: null, wallMs: 0 });
  const file = join(place, "attempts.jsonl");
  fc.assert(
    fc.property(lines, fc.constantFrom("\n", "\n", "\n", "", "\r\n", '\n{"v":1,"bo'), (parts, end) => {
      const bytes = Buffer.from(parts.map(([, line]) => line).join("\n") + end);
      writeFileSync(file, bytes);
      const read = open(() => journal.attempts(ACTION), []);
      const attempts = "value" in read ? read.value : null;
      // Without its end a line counts as cut off.
      const whole = parts.slice(0, end.startsWith("\n") || end === "\r\n" ? undefined : -1).filter(([isRight]) => isRight);
      expect(attempts?.count ?? 0).toBeGreaterThanOrEqual(whole.length);
      expect(attempts?.count ?? 0).toBeLessThanOrEqual(parts.length);
      const [warning, ...more] = warnings();
      expect(more).toEqual([]);
      if (warning === undefined) expect(readFileSync(file).equals(bytes)).toBe(true);
      else {
        expect(warning.details.kept).toBe(attempts?.count ?? 0);
        expect(readFileSync(warning.details.file).equals(bytes)).toBe(true);
        rmSync(warning.details.file);
      }
      // What is there now is in order.
      expect(journal.attempts(ACTION)).toEqual(attempts);
      expect(warnings()).toEqual([]);
    }),
    { numRuns: CASES },
  );
  expectNothingElse();
});

test("what was set aside before is not written over, whatever it is", () => {
  const { journal, place, warnings } = openDamaged();
  journal.addAttempt(ACTION, { bootId: null, ticks: null, wallMs: 0 });
  const file = join(place, "attempts.jsonl");
  const asides: string[] = [];
  for (const kind of ["a directory", "one\n", "two\n", "a directory", "three\n"]) {
    rmSync(file, { force: true });
    if (kind === "a directory") renameSync(mkdtempSync(join(stateDir, "d-")), file);
    else writeFileSync(file, kind);
    expect(journal.attempts(ACTION)).toBeNull();
    asides.push(...warnings().map(({ details }) => details.file));
  }
  expect(new Set(asides).size).toBe(5);
  expect([1, 2, 4].map((index) => readFileSync(asides[index] as string, "utf8"))).toEqual(["one\n", "two\n", "three\n"]);
});

test("any name of an action has a place of its own in the directory", () => {
  const { journal } = openDamaged();
  const names = fc.uniqueArray(
    nastyText.filter((name) => name.isWellFormed()),
    { minLength: 20, maxLength: 20 },
  );
  fc.assert(
    fc.property(names, (actions) => {
      for (const [index, action] of actions.entries()) journal.addAttempt(action, { bootId: null, ticks: index, wallMs: 0 });
      expect(actions.map((action) => journal.attempts(action)?.latest.ticks)).toEqual(actions.map((_, index) => index));
      expect(journal.actions()).toEqual([...actions].sort());
      for (const action of actions) journal.clearAttempts(action);
    }),
    { numRuns: 10 },
  );
  expectNothingElse();
});

/** Nothing was made outside the journal. */
function expectNothingElse(): void {
  expect(readdirSync(stateDir)).toEqual(["journal"]);
  expect(readdirSync(join(stateDir, "journal"))).toEqual(["web-07"]);
}
