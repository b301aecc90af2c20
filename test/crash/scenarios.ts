// The runs that are killed at each of their points: how each is set up, and what has to be so after a kill. The real program kills itself
// with SIGKILL, and the test checks what the table "What happens when" (docs/design.md) says of it: the queue, what another node sees,
// what the next run on this node does, and that the action ran as often as it may and never twice at once.
import { randomUUID } from "node:crypto";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect } from "vitest";
import { createPerspective } from "../../src/line/perspective.js";
import { createProcessSight } from "../../src/line/process-sight.js";
import { ticksNow } from "../../src/proc.js";
import { type Claim, conditionOf } from "../../src/locks/claim.js";
import type { Draft } from "../../src/locks/coordinator.js";
import { takeTurn } from "../../src/line/turn.js";
import type { Ended, Fleet, Node } from "../e2e/nodes.js";
import { until } from "../support/wait.js";
import { type Ground, killAtEach } from "./each-point.js";
import { parseRecord, progressAt } from "./points.js";
import type { CrashProgram } from "./program.js";

const LOCK = "restart";

const COMMAND_RUNS = "commands.run:during#1";
const CHECKS_RUN = ["commands.run:during#2", "commands.run:during#3"] as const;

export interface Scenario {
  readonly name: string;
  /** The points between which the run is killed; those outside are another scenario's. `""`: to the end. */
  readonly between: readonly [string, string];
  /** How the command ends; 0 by default. The next run's always ends well. */
  readonly exitCode?: number;
  readonly action?: Readonly<Record<string, unknown>>;
  /** An earlier run was killed while its command ran. */
  readonly afterKill?: true;
  /** Since then the process that the action restarts has restarted. */
  readonly restarted?: true;
  /** Somebody else holds the lock at first. */
  readonly behindAnother?: "waits" | "gives up";
}

export const SCENARIOS: readonly Scenario[] = [
  { name: "a fresh run", between: ["machine.open:before#1", ""] },
  {
    name: "a run that waits in line",
    between: ["coordinator.join:before#1", "coordinator.settle:before#1"],
    behindAnother: "waits",
  },
  {
    name: "a run that gives up waiting",
    between: ["coordinator.withdraw:before#1", ""],
    behindAnother: "gives up",
    action: { acquire: { timeout: 0 } },
  },
  { name: "a failed action", between: ["coordinator.sync:before#1", ""], exitCode: 3 },
  { name: "a check that succeeds at last", between: ["commands.run:before#2", "coordinator.leave:before#1"] },
  { name: "the adoption of a stale claim", between: ["coordinator.queue:before#1", ""], afterKill: true },
  {
    name: "a claim whose process has restarted",
    between: ["coordinator.adopt:before#1", ""],
    afterKill: true,
    restarted: true,
  },
];

/** Kills the scenario's run at each of its points that are worth it on this store, and looks at what comes of it. */
export async function killWherever(program: CrashProgram, ground: Ground, scenario: Scenario): Promise<void> {
  const record = await recordPoints(program, await ground.openFleet(), scenario);
  await killAtEach(ground, scenario.name, record, scenario.between, (fleet, point) =>
    checkCrash(program, fleet, scenario, record, point),
  );
}

const PERSPECTIVE = createPerspective({ node: "web-01", machineOn: () => null, processes: createProcessSight() });

/** What a run that is left alone comes by. */
async function recordPoints(program: CrashProgram, fleet: Fleet, scenario: Scenario): Promise<string[]> {
  const file = `${fleet.directory}/points`;
  const world = await prepare(program, fleet, scenario);
  await world.run({ HOLDLINE_TEST_POINTS: file });
  await world.close();
  return parseRecord(readFileSync(file, "utf8"));
}

async function checkCrash(
  program: CrashProgram,
  fleet: Fleet,
  scenario: Scenario,
  record: readonly string[],
  point: string,
): Promise<void> {
  const world = await prepare(program, fleet, scenario);
  try {
    const before = scenario.afterKill === true;
    const { signal, stderr } = await world.run({ HOLDLINE_TEST_CRASH: point });
    expect(signal, stderr).toBe("SIGKILL");
    const progress = progressAt(record, point);
    const claim = (await fleet.queue(LOCK)).find(({ durable }) => durable);
    const wasSettled = before || progress.settled;
    expectOneOf(
      claim !== undefined,
      wasSettled !== false && progress.left !== true,
      wasSettled === "maybe" || progress.left === "maybe",
    );
    const starts = (before ? 1 : 0) + (progress.began ? 1 : 0);
    expect(countOf(fleet, "start"), "how often the action has begun").toBe(starts);

    // What another node sees, and whether it is kept out.
    if (claim === undefined) {
      await goThrough(fleet);
    } else {
      const condition = conditionOf(claim, true, PERSPECTIVE.isOwnerGone(claim));
      expectOneOf(condition === "failed", progress.failed !== false, progress.failed === "maybe");
      expect(["failed", "stale"]).toContain(condition);
      expect(await lookAsAnother(fleet)).toEqual([claim.id]);
    }

    // What the next run on this node does.
    const { code, result, stderr: said } = await world.next.runAction("restart");
    expect(code, said).toBe(0);
    const expected =
      claim === undefined ? "ran" : progress.succeeded ? "already-done" : scenario.restarted === true ? "already-restarted" : "ran";
    expect(result.outcome).toBe(expected);
    if (claim !== undefined) expect(result.claim, "the claim of the next run").toBe(claim.id);
    expect(countOf(fleet, "start"), "how often the action has begun").toBe(starts + (expected === "ran" ? 1 : 0));
    expect(fleet.lines().filter((line) => line === "overlap" || line === "survived")).toEqual([]);
    expect(await fleet.queue(LOCK)).toEqual([]);
    expect(world.next.journal("restart")).toEqual({});
    const history = await (await fleet.coordinator()).history(LOCK, 10);
    const hadFailed = claim !== undefined && claim.failure !== null;
    if (hadFailed) expect(history, "the failure").toContainEqual(expect.objectContaining({ claim: claim.id, isKept: true }));
    const ended = history.filter(({ isKept }) => !isKept).map((ending) => ending.claim);
    expect(new Set(ended).size, "one record for each claim").toBe(ended.length);
    const wasReleased = claim === undefined && (before || progress.settled !== false) && progress.left !== false;
    expect(ended).toHaveLength(claim === undefined ? 1 + (wasReleased ? 1 : 0) : 1);
  } finally {
    await world.close();
  }
}

/** Where an outcome is open, either will do. */
function expectOneOf(actual: boolean, expected: boolean, isOpen: boolean): void {
  if (!isOpen) expect(actual).toBe(expected);
}

interface World {
  /** Runs the action with crash points, as far as it comes. */
  run(env: Readonly<Record<string, string>>): Promise<Ended>;
  /** The node afterwards: no crash points, and an action that succeeds. */
  readonly next: Node;
  close(): Promise<void>;
}

async function prepare(program: CrashProgram, fleet: Fleet, scenario: Scenario): Promise<World> {
  const nodeWith = (env: Readonly<Record<string, string>>, exitCode: number): Node =>
    fleet.node(
      "web-01",
      { restart: actionOf(fleet, scenario, exitCode) },
      {
        program: program.path,
        env,
        // One look is enough: what wakes the waiter is the other's leaving. The session of one that is to die is short, so
        // that it goes soon; the others' are not to be lost on a busy machine.
        settings: {
          session_timeout: env["HOLDLINE_TEST_CRASH"] === undefined ? "10 s" : "2 s",
          acquire: { sleep_time: "60 s", timeout: "60 s" },
        },
      },
    );
  const closers: (() => Promise<unknown>)[] = [];
  if (scenario.afterKill === true) {
    const { signal } = await nodeWith({ HOLDLINE_TEST_CRASH: COMMAND_RUNS }, 0).start("run", "restart").ended;
    expect(signal).toBe("SIGKILL");
    if (scenario.restarted === true) closers.push(await startDaemon(fleet));
  }
  const letGo = scenario.behindAnother === undefined ? null : await holdAsAnother(fleet);
  return {
    get next() {
      return nodeWith({}, 0);
    },
    async run(env) {
      const points = `${fleet.directory}/points`;
      const agent = nodeWith({ HOLDLINE_TEST_POINTS: points, ...env }, scenario.exitCode ?? 0).start("run", "restart");
      if (scenario.behindAnother === "waits") {
        // After its look nothing happens any more before the other leaves.
        const hasLooked = () => readFileSync(points, "utf8").includes("coordinator.sync:after#1\n");
        await Promise.race([agent.ended, until(hasLooked, { what: "the waiter to have looked", deadlineMs: 50_000 })]);
        await letGo?.();
      }
      const ended = await agent.ended;
      if (scenario.behindAnother === "gives up") await letGo?.();
      return ended;
    },
    async close() {
      for (const close of closers) await close();
    },
  };
}

function actionOf(fleet: Fleet, scenario: Scenario, exitCode: number): Readonly<Record<string, unknown>> {
  const busy = `${fleet.directory}/busy`;
  const healthy = `${fleet.directory}/healthy`;
  // The agent is its parent: the shell has become what was the latch. What outlives the agent says so if it is let.
  const dieAt = (point: string) =>
    `if [ "$HOLDLINE_TEST_CRASH" = '${point}' ]; then kill -KILL $PPID; sleep 20; echo survived >> '${fleet.log}'; fi`;
  const shell = [
    `if [ -e '${busy}' ] && grep -qs '^State:.[RSDTt]' "/proc/$(cat '${busy}')/status"; then echo overlap >> '${fleet.log}'; fi`,
    `echo $$ > '${busy}'`,
    `echo start >> '${fleet.log}'`,
    dieAt(COMMAND_RUNS),
    `rm '${busy}'`,
    `echo end >> '${fleet.log}'`,
    `exit ${exitCode}`,
  ].join("\n");
  // Not healthy at the first look, so that there is a second.
  const [atFirst, atLast] = CHECKS_RUN.map(dieAt);
  const check = `if [ -e '${healthy}' ]; then ${atLast}; exit 0; fi; ${atFirst}; echo > '${healthy}'; exit 1`;
  const process = { command_string: daemonOf(fleet), full_cmd: true, must_restart: false };
  const restarts = { mode: "serialize_process", process, already_restarted: "skip" };
  const verify = scenario.name.startsWith("a check")
    ? { verify: { command: ["sh", "-c", check], interval: "20 ms", timeout: "30 s" } }
    : {};
  return { shell, lock: LOCK, ...verify, ...(scenario.restarted === true ? restarts : {}), ...scenario.action };
}

/** What the command line of a process has that the action restarts: of this case's alone, since several run at a time. */
function daemonOf(fleet: Fleet): string {
  return `daemon-of-${basename(fleet.directory)}`;
}

/** A process such as the action restarts, which started after the claim was made. */
async function startDaemon(fleet: Fleet): Promise<() => Promise<unknown>> {
  const [claim] = (await fleet.queue(LOCK)) as [Claim];
  // The kernel's ticks tell starts apart.
  await until(() => Number(ticksNow()) > Number(claim.made?.ticks), "the next tick");
  const daemon: ChildProcess = spawn("sh", ["-c", "read holdline; exit", daemonOf(fleet)], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = once(daemon, "exit");
  await once(daemon, "spawn");
  return () => {
    daemon.stdin?.end();
    return ended;
  };
}

function draftOf(node: string): Draft {
  return {
    id: randomUUID(),
    locks: [LOCK],
    key: null,
    slots: 1,
    owner: { node, principal: "test", action: null, process: null },
    reason: null,
    lease: null,
    data: null,
    settles: false,
  };
}

async function holdAsAnother(fleet: Fleet): Promise<() => Promise<void>> {
  const coordinator = await fleet.coordinator();
  const turn = await takeTurn(coordinator, draftOf("web-02"), { signal: AbortSignal.timeout(20_000) });
  if (turn.outcome !== "granted") throw new Error("the lock was not free");
  return () => coordinator.withdraw(turn.joined.positions);
}

/** Another node's turn comes, once what was ephemeral has gone with its session. */
async function goThrough(fleet: Fleet): Promise<void> {
  const letGo = await holdAsAnother(fleet);
  await letGo();
}

/** Another node joins, sees whom it waits for, and leaves. */
async function lookAsAnother(fleet: Fleet): Promise<readonly string[]> {
  const coordinator = await fleet.coordinator();
  let ahead: readonly Claim[] = [];
  const turn = await takeTurn(coordinator, draftOf("web-02"), {
    signal: AbortSignal.timeout(20_000),
    look: async () => {
      ahead = (await coordinator.queue(LOCK)).filter(({ owner }) => owner.node !== "web-02");
      return "leave";
    },
  });
  expect(turn.outcome).toBe("left");
  return ahead.map(({ id }) => id);
}

function countOf(fleet: Fleet, line: string): number {
  return fleet.lines().filter((written) => written === line).length;
}
