// Every point at which a run with hooks and a soak can be killed, as crash.test.ts has it for the others: what `resume` makes of it.
// The command runs again only where its check had not passed, a hook `after` that is owed always runs, and the lock is free in the end.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CRASH_STORES, type Ended, type Fleet, type Node, openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { killAtEach } from "./each-point.js";
import { parseRecord } from "./points.js";
import { shareCrashProgram } from "./program.js";

failOnLeaks();

const LOCK = "drained";

interface Scenario {
  readonly name: string;
  /** The points between which it is killed. */
  readonly between: readonly [string, string];
  /** How `before` and the command end in the run that is killed; 0 by default. What comes next always ends well. */
  readonly exitCodes?: { readonly before?: number; readonly command?: number };
  /** An earlier run was killed at this point, and what is killed now is the `resume` of it. */
  readonly leftAt?: string;
  /** The point from which on nothing may make the command run again. */
  readonly verifiedAt: string | null;
  /** Which call of `commands.run` is the command's own; `null`: it is not run. */
  readonly commandIs: number | null;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a run with hooks and a soak",
    between: ["commands.run:before#1", ""],
    verifiedAt: "journal.saveRun:after#4",
    commandIs: 2,
  },
  {
    name: "a failed before",
    between: ["commands.run:before#1", ""],
    exitCodes: { before: 3 },
    verifiedAt: null,
    commandIs: null,
  },
  {
    name: "a command that says not now",
    between: ["commands.run:after#2", ""],
    exitCodes: { command: 75 },
    verifiedAt: null,
    commandIs: 2,
  },
  {
    name: "the resume of a run that was killed in its hook after",
    between: ["coordinator.adopt:before#1", ""],
    leftAt: "commands.run:during#4",
    verifiedAt: "machine.open:before#1",
    commandIs: null,
  },
  {
    name: "the resume of a run that was killed while it soaked",
    between: ["coordinator.adopt:before#1", ""],
    leftAt: "commands.run:during#5",
    verifiedAt: "machine.open:before#1",
    commandIs: null,
  },
];

const program = shareCrashProgram();

describe.each(CRASH_STORES)("on %s", (kind) => {
  test.each(SCENARIOS)("every crash point of $name", { timeout: 120_000 }, async (scenario) => {
    const record = await recordPoints(await openFleet(kind), scenario);
    await killAtEach({ kind, openFleet: () => openFleet(kind) }, scenario.name, record, scenario.between, (fleet, point) =>
      checkCrash(fleet, scenario, record, point),
    );
  });
});

async function recordPoints(fleet: Fleet, scenario: Scenario): Promise<string[]> {
  const file = `${fleet.directory}/points`;
  await leave(fleet, scenario);
  await killed(fleet, scenario, { HOLDLINE_TEST_POINTS: file });
  return parseRecord(readFileSync(file, "utf8"));
}

async function checkCrash(fleet: Fleet, scenario: Scenario, record: readonly string[], point: string): Promise<void> {
  await leave(fleet, scenario);
  const { signal, stderr } = await killed(fleet, scenario, { HOLDLINE_TEST_CRASH: point });
  expect(signal, stderr).toBe("SIGKILL");
  const claim = (await fleet.queue(LOCK)).find(({ durable }) => durable);
  const startsBefore = countOf(fleet, "start");
  const isBegun = scenario.commandIs !== null && hasCome(record, `commands.run:during#${scenario.commandIs}`, point);
  expect(startsBefore, "how often the command has begun").toBe(isBegun || scenario.leftAt !== undefined ? 1 : 0);
  const isVerified = scenario.verifiedAt !== null && hasCome(record, scenario.verifiedAt, point);

  const next = node(fleet, {});
  const resumed = await next.run("resume", "--json");
  expect(resumed.code, resumed.stderr).toBe(0);
  const { results } = JSON.parse(resumed.stdout) as { readonly results: readonly { readonly outcome: string }[] };
  if (claim !== undefined) expect(results).toMatchObject([{ outcome: isVerified ? "already-done" : "ran", claim: claim.id }]);
  const starts = startsBefore + (results[0]?.outcome === "ran" ? 1 : 0);
  expect(countOf(fleet, "start"), "how often the command has begun after resume").toBe(starts);
  if (isVerified) expect(starts).toBe(1);
  // What was never wished for durably is not resumed, and is owed nothing.
  if (starts === 0) expect((await next.runAction("drain")).result.outcome).toBe("ran");

  const lines = fleet.lines();
  const hooks = lines.filter((line) => line === "before" || line.startsWith("after "));
  expect(hooks.at(-1), `a drained node has come back: ${lines.join(", ")}`).toBe("after ran");
  expect(lines.filter((line) => line === "overlap" || line === "survived")).toEqual([]);
  expect(await fleet.queue(LOCK)).toEqual([]);
  expect(next.journal("drain")).toEqual({});
}

/** Whether a point has come by the time of another. */
function hasCome(record: readonly string[], what: string, by: string): boolean {
  if (what === by) return true;
  const indexOf = (id: string) => record.indexOf(id.replace(":during#", ":before#"));
  return what.includes(":during#")
    ? record.indexOf(what.replace(":during#", ":after#")) >= 0 && record.indexOf(what.replace(":during#", ":after#")) <= indexOf(by)
    : record.indexOf(what) <= indexOf(by);
}

/** What an earlier run has left, where the scenario has one. */
async function leave(fleet: Fleet, { leftAt }: Scenario): Promise<void> {
  if (leftAt === undefined) return;
  const { signal, stderr } = await node(fleet, { HOLDLINE_TEST_CRASH: leftAt }).start("run", "drain").ended;
  expect(signal, stderr).toBe("SIGKILL");
}

function killed(fleet: Fleet, { leftAt, exitCodes }: Scenario, env: Readonly<Record<string, string>>): Promise<Ended> {
  const agent = node(fleet, env, exitCodes);
  return leftAt === undefined ? agent.run("run", "drain") : agent.run("resume");
}

function node(fleet: Fleet, env: Readonly<Record<string, string>>, exitCodes: Scenario["exitCodes"] = {}): Node {
  const isToDie = env["HOLDLINE_TEST_CRASH"] !== undefined;
  return fleet.node(
    "web-01",
    { drain: actionOf(fleet, exitCodes) },
    {
      program: program.path,
      env,
      settings: { session_timeout: isToDie ? "2 s" : "10 s", acquire: { sleep_time: "60 s", timeout: "60 s" } },
    },
  );
}

/** The agent is the parent of each command: the shell has become what was the latch. */
function actionOf(
  fleet: Fleet,
  { before = 0, command = 0 }: NonNullable<Scenario["exitCodes"]>,
): Readonly<Record<string, unknown>> {
  const busy = `${fleet.directory}/busy`;
  const say = (text: string) => `echo "${text}" >> '${fleet.log}'`;
  // Which command of its agent it is says a file of that agent's.
  const shellOf = (text: string, exitCode: number) =>
    [
      `if [ -e '${busy}' ] && grep -qs '^State:.[RSDTt]' "/proc/$(cat '${busy}')/status"; then ${say("overlap")}; fi`,
      `echo $$ > '${busy}'`,
      say(text),
      `echo >> '${fleet.directory}/'$PPID`,
      `number=$(wc -l < '${fleet.directory}/'$PPID)`,
      `if [ "$HOLDLINE_TEST_CRASH" = "commands.run:during#$number" ]; then kill -KILL $PPID; sleep 20; ${say("survived")}; fi`,
      `rm '${busy}'`,
      `exit ${exitCode}`,
    ].join("\n");
  return {
    lock: LOCK,
    before: { shell: shellOf("before", before) },
    shell: shellOf("start", command),
    not_now: [75],
    // The soak is shorter than a pause, so that there is one check in it.
    verify: { shell: shellOf("check", 0), interval: "5 s", timeout: "30 s" },
    after: { shell: shellOf("after $HOLDLINE_OUTCOME", 0) },
    soak: "0.1 s",
  };
}

function countOf(fleet: Fleet, line: string): number {
  return fleet.lines().filter((written) => written === line).length;
}
