// Is a claim's owner gone? What this node sees of processes, what its boots tell, and what is left to the liveness entry.
import { expect, test } from "vitest";
import { createPerspective } from "../../src/line/perspective.js";
import type { Claim, ProcessIdentity, StageName } from "../../src/locks/claim.js";

const SELF: ProcessIdentity = { bootId: "boot-2", pidNamespace: "pid:[1]", pid: 7, startTicks: 1 };
const MACHINE = "-.-.0123456789abcdef";

/** A node that sees the processes of its own boot. */
const perspective = createPerspective({
  node: "web-01",
  machineOn: () => MACHINE,
  processes: { self: SELF, isAlive: ({ bootId, pid }) => (bootId === SELF.bootId ? pid === 42 : null) },
});

interface Given {
  readonly node?: string;
  readonly machine?: string;
  readonly process?: Partial<ProcessIdentity> | null;
  readonly alive?: boolean;
  readonly stage?: StageName;
}

function claimOf({ node = "web-01", machine = MACHINE, process = {}, alive = false, stage }: Given): Claim {
  const owner = { node, principal: "p", action: "a", machine, process: process === null ? null : { ...SELF, pid: 42, ...process } };
  return {
    ...{ id: "c", lock: "l", ref: "r", revision: 1, durable: true, alive, since: 0, fencingToken: 1, key: null, slots: 1 },
    ...{ owner, made: null, lease: null, expiresAt: null, reason: null, data: null, failure: null },
    ...(stage === undefined ? {} : { stage: { name: stage, since: 0, until: null, drained: false } }),
  };
}

test.each<readonly [string, Given, boolean]>([
  ["a process that this node sees live, whose session has ended", {}, false],
  ["a process that this node sees is gone, whose session has not ended", { process: { pid: 43 }, alive: true }, true],
  [
    "a process of this machine before its latest boot, whose session has not ended",
    { process: { bootId: "boot-1" }, alive: true },
    true,
  ],
  ["a process of another machine of this name", { process: { bootId: "x" }, machine: "-.-.fedcba9876543210", alive: true }, false],
  ["a process of another node, whose session has ended", { node: "web-02", process: { bootId: "x" } }, true],
  ["an open claim of another node, which has no session", { node: "web-02", process: { bootId: "x" }, stage: "open" }, false],
  ["an open claim whose caller this node sees live", { stage: "open" }, false],
  ["an open claim whose caller this node sees is gone", { process: { pid: 43 }, stage: "open" }, true],
  ["an open claim of a caller before this machine's latest boot", { process: { bootId: "boot-1" }, stage: "open" }, true],
  ["an open claim that depends on no process", { process: null, stage: "open" }, false],
])("%s", (_, given, isGone) => {
  expect(perspective.isOwnerGone(claimOf(given))).toBe(isGone);
});
