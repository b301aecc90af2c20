import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { beforeEach, describe, expect, test } from "vitest";
import { openJournal } from "../../../src/actions/state/journal.js";
import { type Journal, type RunEntry } from "../../../src/actions/machine.js";
import { type BootMoment, type ProcessIdentity } from "../../../src/locks/claim.js";
import { HoldlineError } from "../../../src/locks/errors.js";
import { failOnLeaks } from "../../support/leaks.js";
import { bundle, cleanUpAfterEach, createTestLog, start, temporaryDirectory } from "../../support/proc-programs.js";
import { until } from "../../support/wait.js";

failOnLeaks();
cleanUpAfterEach();

const agent: ProcessIdentity = { bootId: "boot", pidNamespace: "pid:[1]", pid: 4_242, startTicks: 17 };
const moment = (ticks: number): BootMoment => ({ bootId: "boot", ticks, wallMs: ticks * 10 });

function runOf(given: Partial<RunEntry> = {}): RunEntry {
  return { claim: "claim-1", lock: "restart/nginx", action: "restart", agent, phase: "running", group: null, ...given };
}

let stateDir: string;
let log: ReturnType<typeof createTestLog>;
let journal: Journal;

beforeEach(() => {
  stateDir = join(temporaryDirectory(), "state");
  log = createTestLog();
  journal = openJournal(stateDir, "web-07", log);
});

const home = (node = "web-07") => join(stateDir, "journal", node);
const placeOf = (action: string) => join(home(), action);
const reopened = () => openJournal(stateDir, "web-07", log);
const warnings = () => log.lines.filter(({ level }) => level === "warn");

function allPaths(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? [path, ...allPaths(path)] : [path];
  });
}

test.each([
  ["draining", "running"],
  ["rebooting", "running"],
  ["undoing", "running"],
  ["undraining", "verifying"],
  ["soaking", "verifying"],
] as const)("the phase %s is read back, and version 0.1 reads it as %s", (phase, known) => {
  journal.saveRun(runOf({ phase }));
  expect(reopened().runs("restart")).toEqual([runOf({ phase })]);
  expect(JSON.parse(readFileSync(join(placeOf("restart"), "run-claim-1.json"), "utf8"))).toMatchObject({ v: 1, phase: known });
  expect(warnings()).toEqual([]);
});

test("a phase of a later version counts as the one that it names for earlier ones", () => {
  journal.saveRun(runOf({ phase: "soaking" }));
  const path = join(placeOf("restart"), "run-claim-1.json");
  writeFileSync(path, readFileSync(path, "utf8").replace("soaking", "boiling"));
  expect(reopened().runs("restart")).toEqual([runOf({ phase: "verifying" })]);
});

describe("attempts", () => {
  test("are counted, and the latest is remembered, when the journal is opened again", () => {
    expect(journal.attempts("restart")).toBeNull();
    expect(journal.addAttempt("restart", moment(5))).toEqual({ latest: moment(5), count: 1 });
    expect(journal.addAttempt("restart", moment(9))).toEqual({ latest: moment(9), count: 2 });
    expect(reopened().attempts("restart")).toEqual({ latest: moment(9), count: 2 });
    expect(journal.attempts("other")).toBeNull();
  });

  test("are forgotten when they are cleared, once or twice", () => {
    journal.addAttempt("restart", moment(5));
    journal.clearAttempts("restart");
    journal.clearAttempts("restart");
    expect(journal.attempts("restart")).toBeNull();
    expect(journal.addAttempt("restart", moment(7))).toEqual({ latest: moment(7), count: 1 });
  });

  test("of machines without ticks count as well", () => {
    const latest = { bootId: null, ticks: null, wallMs: 12.5 };
    journal.addAttempt("restart", latest);
    expect(reopened().attempts("restart")).toEqual({ latest, count: 1 });
  });

  test("at an older wish that is noted later leave the newer one the latest", () => {
    journal.addAttempt("restart", moment(9));
    expect(journal.addAttempt("restart", moment(5))).toEqual({ latest: moment(9), count: 2 });
  });

  test("of two processes that write at the same time are all counted", async () => {
    const directory = temporaryDirectory();
    const program = await bundle("proc-attempts", directory);
    const writers = [1, 2].map(() =>
      start(process.execPath, [program, stateDir, "restart", "100"], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    await Promise.all(writers.map((writer) => once(writer.stdout as NodeJS.ReadableStream, "data")));
    for (const writer of writers) writer.stdin?.end("go\n");
    await until(() => writers.every((writer) => writer.exitCode !== null), "both writers");
    const node = openJournal(stateDir, "node", log);
    expect(node.attempts("restart")?.count).toBe(200);
    expect(warnings()).toEqual([]);
  });

  test("do not fill the disk: past a certain size the count begins anew, and the latest is still known", () => {
    journal.addAttempt("restart", moment(1));
    const file = join(placeOf("restart"), "attempts.jsonl");
    const line = readFileSync(file, "utf8");
    writeFileSync(file, line.repeat(Math.ceil(1_048_576 / line.length)));
    expect(journal.addAttempt("restart", moment(2))).toEqual({ latest: moment(2), count: 1 });
    expect(reopened().attempts("restart")).toEqual({ latest: moment(2), count: 1 });
    expect(statSync(file).size).toBe(line.length);
  });
});

describe("runs", () => {
  test("are there until they are removed, with all that is known of them", () => {
    const entries = [
      runOf(),
      runOf({ claim: "claim-2", phase: "succeeded", group: { bootId: null, pidNamespace: null, pid: 7, startTicks: null } }),
      runOf({ claim: "claim-3", group: { bootId: null, pidNamespace: null, pid: 8, startTicks: 1, sharesGroup: true } }),
    ];
    for (const entry of entries) journal.saveRun(entry);
    expect(reopened().runs("restart")).toEqual(entries);
    journal.removeRun("restart", "claim-1");
    journal.removeRun("restart", "claim-1");
    expect(reopened().runs("restart")).toEqual(entries.slice(1));
    expect(journal.runs("other")).toEqual([]);
  });

  test.each(["settling", "running", "verifying", "succeeded", "failed"] as const)(
    "the phase %s takes the place of the one before",
    (phase) => {
      journal.saveRun(runOf({ phase: "settling" }));
      journal.saveRun(runOf({ phase }));
      expect(journal.runs("restart")).toEqual([runOf({ phase })]);
    },
  );
});

describe("the journal", () => {
  test("lists actions, sorted, and only those of which it knows something", () => {
    expect(journal.actions()).toEqual([]);
    journal.addAttempt("b", moment(1));
    journal.saveRun(runOf({ action: "a" }));
    expect(reopened().actions()).toEqual(["a", "b"]);
    journal.clearAttempts("b");
    journal.removeRun("a", "claim-1");
    expect(journal.actions()).toEqual([]);
  });

  test("belongs to one node", () => {
    const other = openJournal(stateDir, "web-08", log);
    journal.addAttempt("restart", moment(1));
    other.saveRun(runOf());
    expect(other.attempts("restart")).toBeNull();
    expect(journal.runs("restart")).toEqual([]);
  });

  const odd = [
    "",
    ".",
    "..",
    "../../etc",
    "a/b",
    "/",
    "~",
    "%2F",
    "a b",
    "Ü",
    "\n",
    ".new-x",
    "x".repeat(200),
    "x".repeat(201),
    "é".repeat(4_000),
  ];
  test.each(odd)("takes an action of any name: %j", (name) => {
    const node = openJournal(stateDir, name, log);
    node.addAttempt(name, moment(1));
    node.saveRun(runOf({ action: name, claim: name }));
    const again = openJournal(stateDir, name, log);
    expect(again.attempts(name)).toEqual({ latest: moment(1), count: 1 });
    expect(again.runs(name)).toEqual([runOf({ action: name, claim: name })]);
    expect(again.actions()).toEqual([name]);
    expect(readdirSync(stateDir)).toEqual(["journal"]);
    expect(readdirSync(join(stateDir, ".."))).toEqual(["state"]);
    again.removeRun(name, name);
    again.clearAttempts(name);
    expect(again.actions()).toEqual([]);
    expect(warnings()).toEqual([]);
  });
});

describe("on disk, the journal", () => {
  test("shows itself to its owner alone", () => {
    const before = process.umask(0);
    try {
      const open = openJournal(join(stateDir, "deeper", "still"), "web-07", log);
      open.addAttempt("restart", moment(1));
      open.addAttempt("x".repeat(300), moment(1));
      open.saveRun(runOf());
    } finally {
      process.umask(before);
    }
    for (const path of [stateDir, ...allPaths(stateDir)]) {
      const stat = statSync(path);
      expect([path, (stat.mode & 0o777).toString(8)]).toEqual([path, stat.isDirectory() ? "700" : "600"]);
    }
  });

  test("loses the temporary file of a write that crashed long ago, and keeps that of one that goes on", () => {
    journal.addAttempt("restart", moment(1));
    const [old, young] = [".new-old", ".new-young"].map((name) => join(placeOf("restart"), name)) as [string, string];
    writeFileSync(old, "{");
    writeFileSync(young, "{");
    utimesSync(old, 1_000, 1_000);
    expect(reopened().actions()).toEqual(["restart"]);
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
  });

  test("leaves alone what does not belong to it, and names it", () => {
    journal.addAttempt("restart", moment(1));
    writeFileSync(join(home(), "Read Me"), "hello");
    mkdirSync(join(home(), `~${"0".repeat(64)}`));
    expect(reopened().actions()).toEqual(["restart"]);
    expect(readFileSync(join(home(), "Read Me"), "utf8")).toBe("hello");
    expect(warnings().map(({ details }) => details)).toEqual([
      { path: join(home(), "Read Me") },
      { path: join(home(), `~${"0".repeat(64)}`) },
    ]);
  });
});

describe("damage", () => {
  const runFile = () => join(placeOf("restart"), "run-claim-1.json");
  const attemptsFile = () => join(placeOf("restart"), "attempts.jsonl");

  const spoil: [string, (path: string) => void][] = [
    ["empty", (path) => truncateSync(path, 0)],
    ["cut off", (path) => truncateSync(path, statSync(path).size - 10)],
    ["no JSON", (path) => writeFileSync(path, "hello\n")],
    ["bytes", (path) => writeFileSync(path, Buffer.alloc(100, 0xff))],
    ["of another version", (path) => writeFileSync(path, readFileSync(path, "utf8").replace('"v":1', '"v":2'))],
    ["of an unknown phase", (path) => writeFileSync(path, readFileSync(path, "utf8").replace("running", "sleeping"))],
    ["without its agent", (path) => writeFileSync(path, readFileSync(path, "utf8").replace("4242", '"4242"'))],
    [
      "of another action",
      (path) => writeFileSync(path, readFileSync(path, "utf8").replace('"action":"restart"', '"action":"reboot"')),
    ],
    ["of another claim", (path) => writeFileSync(path, readFileSync(path, "utf8").replace("claim-1", "claim-2"))],
    [
      "with a group that is none",
      (path) => writeFileSync(path, readFileSync(path, "utf8").replace('"group":null', '"group":{"pid":0}')),
    ],
    ["a list", (path) => writeFileSync(path, "[]\n")],
    ["huge", (path) => truncateSync(path, 100_000_000)],
    ["a directory", (path) => (renameSync(path, `${path}.was`), mkdirSync(path))],
    ["a link", (path) => (renameSync(path, `${path}.was`), symlinkSync(`${path}.was`, path))],
    ["a link to itself", (path) => (renameSync(path, `${path}.was`), symlinkSync(path, path))],
    ["a pipe", (path) => (renameSync(path, `${path}.was`), spawnSync("mkfifo", [path]))],
  ];

  test.each(spoil)("a run that is %s is set aside, once, with a word, and the others stay", (_, damage) => {
    journal.saveRun(runOf());
    journal.saveRun(runOf({ claim: "claim-9" }));
    damage(runFile());
    expect(reopened().runs("restart")).toEqual([runOf({ claim: "claim-9" })]);
    expect(warnings().map(({ details }) => details)).toEqual([{ file: `${runFile()}.damaged`, action: "restart" }]);
    expect(() => lstatSync(`${runFile()}.damaged`)).not.toThrow();
    expect(reopened().runs("restart")).toHaveLength(1);
    expect(warnings()).toHaveLength(1);
    // And the name is free again.
    journal.saveRun(runOf());
    expect(journal.runs("restart")).toHaveLength(2);
  });

  test("attempts with a bad line lose that line and no other", () => {
    for (const ticks of [1, 2, 3]) journal.addAttempt("restart", moment(ticks));
    const lines = readFileSync(attemptsFile(), "utf8").split("\n");
    writeFileSync(attemptsFile(), ["{", ...lines.slice(1)].join("\n"));
    expect(journal.attempts("restart")).toEqual({ latest: moment(3), count: 2 });
    expect(warnings().map(({ details }) => details)).toEqual([{ file: `${attemptsFile()}.damaged`, kept: 2 }]);
    expect(readFileSync(`${attemptsFile()}.damaged`, "utf8")).toContain("{\n");
    expect(journal.addAttempt("restart", moment(4))).toEqual({ latest: moment(4), count: 3 });
    expect(warnings()).toHaveLength(1);
  });

  test("an attempt that a crash has cut off does not spoil the next", () => {
    journal.addAttempt("restart", moment(1));
    appendFileSync(attemptsFile(), '{"v":1,"bootId":"bo');
    expect(journal.addAttempt("restart", moment(2))).toEqual({ latest: moment(2), count: 2 });
    expect(warnings()).toHaveLength(1);
  });

  test.each(spoil.filter(([what]) => !/run|phase|agent|action|claim|group|empty|cut off/.test(what)))(
    "attempts that are %s are set aside, and counting begins anew",
    (_, damage) => {
      journal.addAttempt("restart", moment(1));
      damage(attemptsFile());
      expect(journal.attempts("restart")).toBeNull();
      expect(warnings()).toHaveLength(1);
      expect(journal.addAttempt("restart", moment(2))).toEqual({ latest: moment(2), count: 1 });
      expect(warnings()).toHaveLength(1);
    },
  );

  test("an empty file of attempts is no attempt", () => {
    journal.addAttempt("restart", moment(1));
    truncateSync(attemptsFile(), 0);
    expect(journal.attempts("restart")).toBeNull();
    expect(journal.actions()).toEqual([]);
  });

  test("no write follows a link that stands for a directory", () => {
    const elsewhere = temporaryDirectory();
    symlinkSync(elsewhere, placeOf("restart"));
    expect(() => journal.addAttempt("restart", moment(1))).toThrow(HoldlineError);
    expect(() => journal.saveRun(runOf())).toThrow(/no directory/);
    expect(readdirSync(elsewhere)).toEqual([]);
  });
});

describe("a state directory that will not do", () => {
  const refusal = (open: () => unknown): HoldlineError => {
    try {
      open();
    } catch (error) {
      if (error instanceof HoldlineError) return error;
      throw error;
    }
    throw new Error("it opened");
  };

  test("is an error of the configuration that names it", () => {
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    for (const path of [file, join(file, "below"), "/proc/holdline", "/dev/null/x"]) {
      const error = refusal(() => openJournal(path, "web-07", log));
      expect(error.code).toBe("configuration");
      expect(error.message).toContain(path);
      expect(error.hint).toContain("state_dir");
    }
  });

  test("is found out when the journal is opened, though reading would work", async ({ skip }) => {
    journal.addAttempt("restart", moment(1));
    if (process.getuid?.() !== 0) {
      chmodSync(home(), 0o500);
      expect(refusal(reopened).message).toContain(home());
      chmodSync(home(), 0o700);
      return;
    }
    // Only a file system can refuse root. The mount belongs to the program, and ends with it.
    skip(spawnSync("unshare", ["--mount", "true"]).status !== 0, "this container may not mount anything");
    const program = await bundle("proc-attempts", temporaryDirectory());
    openJournal(stateDir, "node", log).addAttempt("restart", moment(1));
    const script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" "$3" "$1" restart 1';
    const { stderr, stdout } = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", stateDir, process.execPath, program], {
      input: "go",
    });
    expect(stdout.toString()).toBe("");
    expect(stderr.toString()).toMatch(/HoldlineError: .*could not be .*EROFS/);
    expect(stderr.toString()).toContain("code: 'configuration'");
  });
});
