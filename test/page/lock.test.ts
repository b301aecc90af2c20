import { expect, test } from "vitest";
import { lockItem } from "../../src/page/lock.js";
import type { ClaimJson } from "../../src/views/json.js";

const AT = "2025-11-21T09:00:00.000Z";
const FAILURE = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: AT };

function claimWith(changes: Partial<ClaimJson>): ClaimJson {
  return {
    ...{ id: "c", state: "held", condition: "stale", durable: true, key: null, slots: 1, lease: null, since: AT, expiresAt: null },
    ...{ fencingToken: 7, reason: null, data: null, failure: null, percent: null, stage: null },
    owner: { node: "web-07", group: "default", machine: null, principal: "ops@web-07", action: "restart", pid: 42 },
    ...changes,
  };
}

/** The page's words on a lock with this holder, for a viewer with all rights. */
function wordsOf(changes: Partial<ClaimJson>, waiting: readonly ClaimJson[] = []): string {
  const viewer = { name: "ann", may: ["read", "lock", "clear"], locks: ["*"] } as const;
  const view = { viewer, now: Date.parse(AT), isFull: true };
  return lockItem({ lock: "l", holders: [claimWith(changes)], waiting: [...waiting] }, "{}", view).text.replace(/\s+/g, " ");
}

const EXEC = {
  node: "web-07",
  group: "default",
  machine: null,
  principal: "ops@web-07",
  action: "exec backup 0123456789ab",
  pid: 42,
};

test("a stuck claim says what ends it: its node's next run, or for a durable exec the same command", () => {
  const failed = { condition: "failed", failure: FAILURE } as const;
  expect(wordsOf(failed)).toContain("or the node's next run succeeds.");
  const same = "the same <code>holdline exec --durable</code> on that node";
  expect(wordsOf({ ...failed, owner: EXEC })).toContain(`or ${same} succeeds.`);
  expect(wordsOf({ owner: EXEC })).toContain(`its agent is gone, and it ends with ${same}`);
  expect(wordsOf({})).not.toContain("exec");
});

test("the button of a stale claim names the node on which to look; a failed one has none, because nothing runs there any more", () => {
  expect(wordsOf({})).toContain('data-stale-on="web-07"');
  expect(wordsOf({ condition: "failed", failure: FAILURE })).toContain('data-stale-on=""');
});

test("a stage is told with how long it has been, or how long it still takes", () => {
  const [before, after] = ["2025-11-21T08:58:00.000Z", "2025-11-21T09:03:00.000Z"];
  const inStage = (name: NonNullable<ClaimJson["stage"]>["name"], until: string | null = null): string => {
    const words = wordsOf({ condition: name, stage: { name, since: before, until, drained: false } });
    return words.replace(/<[^>]*>/g, "").replace(/\s+/g, " ");
  };
  expect(inStage("soaking", after)).toContain("≈ soaking web-07 by ops@web-07: restart, held for 0 s; soaking, 3 min left");
  expect(inStage("soaking")).toContain("; soaking for 2 min");
  expect(inStage("draining")).toContain("; its node has been draining for 2 min");
  expect(inStage("verifying")).toContain("; its check has not passed for 2 min");
  expect(inStage("rebooting", after)).toContain(
    "; its node has been rebooting for 2 min, and has failed unless it is back in 3 min",
  );
  expect(inStage("open")).toContain("; begun by hand, and open for 2 min until holdline end");
  expect(inStage("running")).toContain("restart, held for 0 s Claim");
  // The stage in which a claim became stale says nothing of what goes on.
  expect(wordsOf({ condition: "stale", stage: { name: "soaking", since: before, until: after, drained: true } })).not.toContain(
    "left",
  );
});

test("a claim in whatever stage is cleared only by those who confirm that it goes on; a machine that reboots has no owner to see", () => {
  for (const condition of ["running", "draining", "verifying", "soaking"] as const)
    expect([condition, wordsOf({ condition })]).toEqual([condition, expect.stringContaining('data-alive="yes"')]);
  for (const condition of ["rebooting", "open"] as const)
    expect([condition, wordsOf({ condition })]).toEqual([condition, expect.stringContaining('data-alive="no"')]);
});

test("those who wait are told by their own names, and not by that of the server that they asked", () => {
  const lease = { type: "lease", caller: null, path: null } as const;
  const owner = { node: "srv", group: "default", machine: null, action: null, pid: null };
  const waiting = [
    claimWith({ condition: "waiting", state: "waiting", lease, owner: { ...owner, principal: "ci" } }),
    claimWith({
      condition: "waiting",
      state: "waiting",
      lease: { ...lease, caller: "OPS-7" },
      owner: { ...owner, principal: "ci" },
    }),
    claimWith({ condition: "waiting", state: "waiting" }),
  ];
  const words = wordsOf({ condition: "failed", failure: FAILURE }, waiting).replace(/<[^>]*>/g, "");
  expect(words.replace(/\s+/g, " ")).toContain("Blocks ci for 0 s, OPS-7 for 0 s, web-07 for 0 s.");
  expect(words).toMatch(/ci on srv: lease, waiting for .* OPS-7 by ci on srv: lease, waiting for/s);
});

test("slots that are a percentage are told as both", () => {
  expect(wordsOf({ slots: 12, percent: 10 })).toContain("12 (10% of the group)");
  expect(wordsOf({ slots: 12 })).not.toContain("of the group");
});
