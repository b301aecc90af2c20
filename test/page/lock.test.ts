import { expect, test } from "vitest";
import { lockItem } from "../../src/page/lock.js";
import type { ClaimJson } from "../../src/views/json.js";

const AT = "2025-11-21T09:00:00.000Z";
const FAILURE = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: AT };

/** The page's words on a lock with this holder, for a viewer with all rights. */
function wordsOf(changes: Partial<ClaimJson>): string {
  const claim: ClaimJson = {
    ...{ id: "c", state: "held", condition: "stale", durable: true, key: null, slots: 1, lease: null, since: AT, expiresAt: null },
    ...{ fencingToken: 7, reason: null, data: null, failure: null },
    owner: { node: "web-07", group: "default", machine: null, principal: "ops@web-07", action: "restart", pid: 42 },
    ...changes,
  };
  const viewer = { name: "ann", may: ["read", "lock", "clear"], locks: ["*"] } as const;
  const view = { viewer, now: Date.parse(AT), isFull: true };
  return lockItem({ lock: "l", holders: [claim], waiting: [] }, "{}", view).text.replace(/\s+/g, " ");
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
