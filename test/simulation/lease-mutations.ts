// Small changes of what is done with leases, each a mistake that someone could make, which the simulation must notice.
import type { Mutation } from "./mutations.js";

const LEASE = "src/leases/lease.ts";
const HELD = "src/leases/held.ts";
const HOLDERS = "src/line/holders.ts";

export const LEASE_MUTATIONS: readonly Mutation[] = [
  {
    name: "a lease's time is counted by the node's own clock",
    file: LEASE,
    text: "endOf(request.ttlMs, (await coordinator.sync(context.signal)).ms)",
    replacement: "endOf(request.ttlMs, Date.now())",
  },
  {
    name: "whether a lease's time is over is judged by the node's own clock",
    file: HOLDERS,
    text: "const now = await coordinator.sync(signal);",
    replacement: "const now = { ms: Date.now(), errorMs: 0 };",
  },
  {
    name: "a lease is ended a little before its time is over",
    file: HOLDERS,
    text: "return expiresAt !== null && expiresAt <= ms - errorMs;",
    replacement: "return expiresAt !== null && expiresAt <= ms - errorMs + 1_000;",
  },
  {
    name: "a lease whose time is over is not ended by those who wait behind it",
    file: "src/line/waiting.ts",
    text: "(await endExpired(coordinator, others, ended.signal)) > 0;",
    replacement: "false;",
  },
  {
    name: "a lease whose time is over keeps others from the lock",
    file: HOLDERS,
    text: "while ((await endExpired(coordinator, all, signal)) > 0) all =",
    replacement: 'if (lock === "") all =',
  },
  {
    name: "a lease whose time is over counts as held",
    file: HELD,
    text: "if (!isOver(claim, now)) return claim;",
    replacement: "if (now >= 0) return claim;",
  },
  {
    name: "a lease on several locks expires on one of them",
    file: HOLDERS,
    text: "return [claim, ...queues.flat().filter(({ id }) => id === claim.id)];",
    replacement: "return [claim];",
  },
  {
    name: "a renewal brings a lease back whose time is over",
    file: LEASE,
    text: 'return isOver(present, time) ? "again" :',
    replacement: 'return isOver(present, { ...time, ms: time.ms - 3_600_000 }) ? "again" :',
  },
  {
    name: "a renewal is counted from when the lease was made",
    file: LEASE,
    text: "expiresAt: ttlMs === null ? null : endOf(ttlMs, time.ms)",
    replacement: "expiresAt: ttlMs === null ? null : endOf(ttlMs, present.since)",
  },
  {
    name: "a renewal adds to what is left",
    file: LEASE,
    text: "expiresAt: ttlMs === null ? null : endOf(ttlMs, time.ms)",
    replacement: "expiresAt: ttlMs === null ? null : endOf(ttlMs, present.expiresAt ?? time.ms)",
  },
  {
    name: "a renewal puts back the data that it has read first",
    file: LEASE,
    text: "const claim = await rewrite(coordinator, lock, id, asking.signal, async (present) => {\n    refuseUnlessLease(present);",
    replacement: `let first: Claim | null = null;
  const claim = await rewrite(coordinator, lock, id, asking.signal, async (read) => {
    const present: Claim = { ...read, data: (first ??= read).data };
    refuseUnlessLease(present);`,
  },
  {
    name: "a write that another was faster than counts as done",
    file: HELD,
    text: 'if (typeof settled !== "string") return',
    replacement: 'if (typeof settled === "string") return { ...claim, ...record };\n    else return',
  },
  {
    name: "changing the data gives a lease no end",
    file: LEASE,
    text: "Promise.resolve({ ...recordOf(present), data: change(present.data) }),",
    replacement: "Promise.resolve({ ...recordOf(present), expiresAt: null, data: change(present.data) }),",
  },
  {
    name: "whoever holds the lock is taken for the lease",
    file: HELD,
    text: ".find((holder) => holder.id === id)",
    replacement: ".find(() => true)",
  },
  {
    name: "the claim of a process is released like a lease",
    file: LEASE,
    text: "refuseUnlessLease(claim);",
    replacement: "",
  },
  {
    name: "a release that came too late says that it was in time",
    file: LEASE,
    text: 'if (left === "done") return "released";',
    replacement: 'if (left !== "changed") return "released";',
  },
  {
    name: "a lease that was changed while it was released is said to be gone",
    file: LEASE,
    text: 'if (left === "done") return "released";',
    replacement: 'return left === "done" ? "released" : "gone";',
  },
  {
    name: "a lease that could not be settled stays in line",
    file: LEASE,
    text: "await coordinator.withdraw(positions);\n    if (error instanceof ClaimLostError)",
    replacement: "if (error instanceof ClaimLostError)",
  },
  {
    name: "a lease that was taken out of one of its queues stays in the others",
    file: LEASE,
    text: "if (error instanceof SessionLostError) return UNDECIDED;",
    replacement: "if (error instanceof SessionLostError || error instanceof ClaimLostError) return UNDECIDED;",
  },
  {
    name: "a lease that wants to be alone stands beside others",
    file: LEASE,
    text: "(request.alone && !isAlone)",
    replacement: "(!request.alone && request.waitMs === -1 && !isAlone)",
  },
  {
    name: "a lease that is refused because it is not alone stays in line",
    file: LEASE,
    text: "if (isGranted) await coordinator.withdraw(line.joined.positions);",
    replacement: "",
  },
  {
    name: "a lease that waits for another of its locks counts as held",
    file: LEASE,
    text: "return claim !== null && (claim.durable || claim.lease === null);",
    replacement: "return claim !== null;",
  },
  {
    name: "another's lease is as good as one's own",
    file: "src/leases/ownership.ts",
    text: "if (owner.principal === by) return",
    replacement: "if (owner.principal !== null) return",
  },
  {
    name: "a lease belongs to the process that has taken it",
    file: "src/leases/draft.ts",
    text: "owner: { ...owner, process: null }",
    replacement: "owner",
  },
];
