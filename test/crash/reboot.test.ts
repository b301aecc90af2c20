// Every point at which a run of mode `reboot` can be killed: the machine is asked at most once, whatever `resume` finds, before and
// after the boot, and the lock is free in the end.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import type { Claim } from "../../src/locks/claim.js";
import { CRASH_STORES, type Fleet, type Node, openFleet, STORE_OPTIONS } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { killAtEach } from "./each-point.js";
import { parseRecord } from "./points.js";
import { shareCrashProgram } from "./program.js";

failOnLeaks();

const LOCK = "reboot";

const program = shareCrashProgram();

describe.each(CRASH_STORES)("on %s", (kind) => {
  // Either the node looks once more before it goes down, or it is back already.
  test.each([["on the same boot and on the next"], ["on the next boot"]])(
    "every crash point of a reboot, resumed %s",
    { timeout: 180_000 },
    async (when) => {
      const fleet = await openFleet(kind);
      const file = `${fleet.directory}/points`;
      const { code, stderr } = await node(fleet, "one", { HOLDLINE_TEST_POINTS: file }).run("run", "reboot");
      expect(code, stderr).toBe(0);
      const record = parseRecord(readFileSync(file, "utf8"));
      const looksAgain = when !== "on the next boot";
      await killAtEach(
        { kind, openFleet: () => openFleet(kind) },
        "a reboot",
        record,
        ["coordinator.settle:before#1", ""],
        (killed, point) => checkCrash(killed, point, looksAgain),
      );
    },
  );
});

async function checkCrash(fleet: Fleet, point: string, looksAgain: boolean): Promise<void> {
  const { signal, stderr } = await node(fleet, "one", { HOLDLINE_TEST_CRASH: point }).run("run", "reboot");
  expect(signal, stderr).toBe("SIGKILL");
  const asked = fleet.lines().length;
  const claim = (await queueOf(fleet)).find(({ durable }) => durable);
  if (looksAgain) {
    const results = await resume(node(fleet, "one", {}));
    expect(results).toMatchObject(claim === undefined ? [] : [{ outcome: "rebooting", claim: claim.id }]);
    // Once the claim says that it is about to be asked, nobody knows whether it was.
    const mayAsk = claim !== undefined && claim.stage?.name !== "rebooting";
    expect(fleet.lines()).toHaveLength(asked + (mayAsk ? 1 : 0));
  }
  const hasAsked = fleet.lines().length;
  expect(hasAsked).toBeLessThanOrEqual(1);
  const back = node(fleet, "two", {});
  const isOwnBoot = claim?.stage?.name === "rebooting" || looksAgain;
  expect(await resume(back)).toMatchObject(
    claim === undefined ? [] : [{ outcome: isOwnBoot ? "ran" : "already-restarted", claim: claim.id }],
  );
  expect(fleet.lines()).toHaveLength(hasAsked);
  expect((await queueOf(fleet)).filter(({ durable }) => durable)).toEqual([]);
  expect(back.journal("reboot")).toEqual({});
}

async function resume(of: Node): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await of.run("resume", "--json");
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { readonly results: readonly unknown[] }).results;
}

/** A database is used by processes of one boot alone: this one's reader goes at once. */
async function queueOf(fleet: Fleet): Promise<readonly Claim[]> {
  const store = await openCoordinator(fleet.url, STORE_OPTIONS);
  try {
    return await store.queue(LOCK);
  } finally {
    await store.close();
  }
}

/** Its command asks a machine that goes down at once: the agent is its parent. */
function node(fleet: Fleet, boot: string, env: Readonly<Record<string, string>>): Node {
  const shell = [
    `echo reboot >> '${fleet.log}'`,
    `if [ "$HOLDLINE_TEST_CRASH" = 'commands.run:during#1' ]; then kill -KILL $PPID; else kill -TERM $PPID; fi`,
    "sleep 20",
  ].join("\n");
  const isToDie = env["HOLDLINE_TEST_CRASH"] !== undefined;
  return fleet.node(
    "web-01",
    { reboot: { mode: "reboot", shell } },
    { program: program.path, env, boot, settings: { session_timeout: isToDie ? "2 s" : "10 s" } },
  );
}
