// Chaos as a test, for as long as the effort allows; and that the verdict sees what it must see.
import { describe, expect, test } from "vitest";
import { CHAOS_MINUTES } from "../support/effort.js";
import { canStartServers } from "../support/zookeeper-server.js";
import { campaign } from "./campaign.js";
import { LOCKS } from "./fleet.js";
import { openNemesisStore } from "./stores/zookeeper.js";
import type { ChaosLock } from "./verdict.js";
import { judgeHistory, judgeLock, judgeTold, parseLog } from "./verdict.js";

// The ensemble starts before it, and the fleet has three minutes to finish after it.
const DEADLINE_MS = (CHAOS_MINUTES + 5) * 60_000;

test("a nemesis violates nothing", { timeout: DEADLINE_MS }, async ({ skip }) => {
  if (!(await canStartServers())) skip("an ensemble needs a local installation of ZooKeeper");
  const report = await campaign({ minutes: CHAOS_MINUTES, nodes: 12, openStore: openNemesisStore });
  expect(report.violations, `the evidence is in ${report.evidence}`).toEqual([]);
  expect(report.actionsRun).toBeGreaterThan(20);
  expect(Object.keys(report.faults).length, "kinds of faults").toBeGreaterThan(10);
  expect(Object.keys(report.faults).filter((name) => name.includes("cut off")).length, "servers cut off").toBeGreaterThan(0);
});

describe("the verdict", () => {
  const [mutex, slots, racks, exec] = LOCKS as readonly [ChaosLock, ChaosLock, ChaosLock, ChaosLock];
  const log = (...lines: readonly string[]) => parseLog(lines.join("\n"));

  test("is that all is well when it is", () => {
    expect(judgeLock(mutex, log("start mutex a 1 10", "end mutex a 1 10", "start mutex b 2 11", "end mutex b 2 11"))).toEqual([]);
    expect(judgeLock(slots, log("start slots a 1 10", "start slots b 2 11", "start slots c 3 12"))).toEqual([]);
    expect(judgeLock(racks, log("start racks r0 1 10", "start racks r2 2 11", "end racks r0 1 10"))).toEqual([]);
    // Adopted: what ran under the claim was ended without a word.
    expect(judgeLock(mutex, log("start mutex a 1 10", "start mutex a 1 12", "end mutex a 1 12"))).toEqual([]);
  });

  test("sees two at once, a fourth in three slots, and two racks", () => {
    expect(judgeLock(mutex, log("start mutex a 1 10", "start mutex b 2 11"))).toHaveLength(1);
    expect(judgeLock(slots, log("start slots a 1 1", "start slots b 2 2", "start slots c 3 3", "start slots d 4 4"))).toHaveLength(
      1,
    );
    expect(judgeLock(racks, log("start racks r0 1 10", "start racks r1 2 11"))).toHaveLength(1);
    expect(judgeLock(exec, log("overlap exec a 1 10"))).toHaveLength(1);
    // One that was ended without a word says nothing more; one that still does has run beside the next.
    expect(judgeLock(exec, log("start exec a 1 10", "start exec b 2 11", "end exec b 2 11"))).toEqual([]);
    expect(judgeLock(exec, log("start exec a 1 10", "start exec b 2 11", "end exec a 1 10"))).toHaveLength(1);
  });

  test("sees a token that does not grow", () => {
    expect(judgeLock(mutex, log("start mutex a 1 10", "end mutex a 1 10", "start mutex b 2 9"))).toHaveLength(1);
    expect(judgeLock(mutex, log("start mutex a 1 10", "start mutex a 1 10"))).toHaveLength(1);
    expect(judgeLock(exec, log("start exec a 1 10", "end exec a 1 10", "start exec b 2 10"))).toHaveLength(1);
    const racksInTurn = (token: number) => log("start racks r0 1 10", "end racks r0 1 10", `start racks r1 2 ${token}`);
    expect(judgeLock(racks, racksInTurn(9))).toHaveLength(1);
    expect(judgeLock(racks, racksInTurn(11))).toEqual([]);
    // In the same slots the order in which they were held says nothing of the order in which they start.
    expect(judgeLock(slots, log("start slots a 1 10", "start slots b 2 9"))).toEqual([]);
  });

  test("sees a command that goes on after its claim was adopted", () => {
    expect(judgeLock(mutex, log("start mutex a 1 10", "start mutex a 1 12", "end mutex a 1 10"))).toHaveLength(1);
    expect(judgeLock(mutex, log("end mutex a 1 10"))).toHaveLength(1);
  });

  test("sees an agent that tells of what never happened", () => {
    const told = [{ lock: "mutex", node: "a", claim: "1", token: 10 }];
    expect(judgeTold(told, log("start mutex a 1 10", "end mutex a 1 10"))).toEqual([]);
    expect(judgeTold(told, log("start mutex a 1 10", "end mutex a 1 11"))).toHaveLength(1);
    expect(judgeTold(told, [])).toHaveLength(2);
  });

  test("sees a claim whose end nobody knows, and one that ended twice", () => {
    const owner = { node: "a", principal: "p", action: "work", process: null };
    const record = {
      lock: "mutex",
      claim: "1",
      owner,
      event: "released" as const,
      by: "p",
      reason: null,
      claimedAt: 0,
      isKept: false,
      failure: null,
      endedAt: 1,
      description: null,
      lease: null,
      data: null,
    };
    const lines = log("start mutex a 1 10", "end mutex a 1 10");
    expect(judgeHistory(LOCKS, lines, [record])).toEqual([]);
    expect(judgeHistory(LOCKS, lines, [])).toHaveLength(1);
    expect(judgeHistory(LOCKS, lines, [record, record])).toHaveLength(1);
    expect(judgeHistory(LOCKS, lines, [record, { ...record, event: "failed", isKept: true }])).toEqual([]);
    expect(judgeHistory(LOCKS, lines, [{ ...record, event: "cleared" }])).toHaveLength(1);
  });
});
