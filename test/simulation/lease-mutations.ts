// Small changes of what is done with leases, each a mistake that someone could make, which the simulation must notice.
import type { Mutation } from "./mutations.js";

export const LEASE_MUTATIONS: readonly Mutation[] = [
  {
    name: "a lease's time is counted by the node's own clock",
    in: "settleThawed",
    find: "expiryOf(request.ttlMs, (await coordinator.sync(signal)).ms)",
    replacement: "expiryOf(request.ttlMs, Date.now())",
  },
  {
    name: "whether a lease's time is over is judged by the node's own clock",
    in: "endExpired",
    find: "const now = await coordinator.sync(signal);",
    replacement: "const now = { ms: Date.now(), errorMs: 0 };",
  },
  {
    name: "a lease is ended a little before its time is over",
    in: "hasExpired",
    find: "return expiresAt !== null && expiresAt <= ms - errorMs;",
    replacement: "return expiresAt !== null && expiresAt <= ms - errorMs + 1_000;",
  },
  {
    name: "a lease whose time is over is not ended by those who wait behind it",
    in: "waitInLine",
    find: "(await endExpired(coordinator, others, ended.signal)) > 0;",
    replacement: "false;",
  },
  {
    name: "a lease whose time is over keeps others from the lock",
    in: "readObstacles",
    find: "while ((await endExpired(coordinator, all, signal)) > 0) all =",
    replacement: 'if (lock === "") all =',
  },
  {
    name: "a lease whose time is over counts as held",
    in: "findHeld",
    find: "if (!hasExpired(claim, now)) return claim;",
    replacement: "if (now.ms >= 0) return claim;",
  },
  {
    name: "a lease on several locks expires on one of them",
    in: "readAllEntries",
    find: "return [claim, ...queues.flat().filter(({ id }) => id === claim.id)];",
    replacement: "return [claim];",
  },
  {
    name: "a renewal brings a lease back whose time is over",
    in: "renewLease",
    find: 'return hasExpired(present, time) ? "again" :',
    replacement: 'return hasExpired(present, { ...time, ms: time.ms - 3_600_000 }) ? "again" :',
  },
  {
    name: "a renewal is counted from when the lease was made",
    in: "renewLease",
    find: "expiresAt: ttlMs === null ? null : expiryOf(ttlMs, time.ms)",
    replacement: "expiresAt: ttlMs === null ? null : expiryOf(ttlMs, present.since)",
  },
  {
    name: "a renewal adds to what is left",
    in: "renewLease",
    find: "expiresAt: ttlMs === null ? null : expiryOf(ttlMs, time.ms)",
    replacement: "expiresAt: ttlMs === null ? null : expiryOf(ttlMs, present.expiresAt ?? time.ms)",
  },
  {
    name: "a renewal puts back the data that it has read first",
    in: "renewLease",
    find: "const claim = await rewrite(coordinator, lock, id, asking.signal, async (present) => { refuseUnlessLease(present);",
    replacement: `let first: Claim | null = null;
  const claim = await rewrite(coordinator, lock, id, asking.signal, async (read) => {
    const present: Claim = { ...read, data: (first ??= read).data };
    refuseUnlessLease(present);`,
  },
  {
    name: "a write that another was faster than counts as done",
    in: "rewrite",
    find: 'if (typeof settled !== "string") return',
    replacement: 'if (typeof settled === "string") return { ...claim, ...record };\n    else return',
  },
  {
    name: "changing the data gives a lease no end",
    in: "changeData",
    find: "Promise.resolve({ ...recordOf(present), data: change(present.data) })",
    replacement: "Promise.resolve({ ...recordOf(present), expiresAt: null, data: change(present.data) })",
  },
  {
    name: "whoever holds the lock is taken for the lease",
    in: "findHeld",
    find: ".find((holder) => holder.id === id)",
    replacement: ".find(() => true)",
  },
  {
    name: "the claim of a process is released like a lease",
    in: "releaseLease",
    find: "refuseUnlessLease(claim);",
    replacement: "",
  },
  {
    name: "a release that came too late says that it was in time",
    in: "releaseLease",
    find: 'if (left === "done") return "released";',
    replacement: 'if (left !== "changed") return "released";',
  },
  {
    name: "a lease that was changed while it was released is said to be gone",
    in: "releaseLease",
    find: 'if (left === "done") return "released";',
    replacement: 'return left === "done" ? "released" : "gone";',
  },
  {
    name: "a lease that could not be settled stays in line",
    in: "attemptLease",
    find: "await coordinator.withdraw(positions); if (error instanceof ClaimLostError)",
    replacement: "if (error instanceof ClaimLostError)",
  },
  {
    name: "a lease that was taken out of one of its queues stays in the others",
    in: "attemptLease",
    find: "if (error instanceof SessionLostError) return UNDECIDED;",
    replacement: "if (error instanceof SessionLostError || error instanceof ClaimLostError) return UNDECIDED;",
  },
  {
    name: "a lease that wants to be alone stands beside others",
    in: "attemptLease",
    find: "(request.alone && !isAlone)",
    replacement: "(!request.alone && request.waitMs === -1 && !isAlone)",
  },
  {
    name: "a lease that is refused because it is not alone stays in line",
    in: "attemptLease",
    find: "if (request.alone && !isAlone) { await coordinator.withdraw(positions);",
    replacement: "if (request.alone && !isAlone) {",
  },
  {
    name: "a lease that waits for another of its locks counts as held",
    in: "isLeaseHeld",
    find: "return claim !== null && (claim.durable || claim.lease === null);",
    replacement: "return claim !== null;",
  },
  {
    name: "another's lease is as good as one's own",
    in: "refuseOthers",
    find: "if (owner.principal === by) return",
    replacement: "if (owner.principal !== null) return",
  },
  {
    name: "a lease belongs to the process that has taken it",
    in: "leasedRecordOf",
    find: "owner: { ...owner, process: null }",
    replacement: "owner",
  },
];
