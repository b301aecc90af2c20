// One claim on several locks, taken, settled and let go of through the seam, as a caller of the library does it that takes
// a host and all that it depends on: src/actions has no action with more than one lock.
import { randomUUID } from "node:crypto";
import { type GuardContext, perspectiveOn } from "../../src/actions/context.js";
import { waitInLine } from "../../src/line/waiting.js";
import type { CommandSpec } from "../../src/actions/machine.js";
import type { ClaimRecord } from "../../src/locks/claim.js";
import type { Coordinator, Draft, EntryRef, Settled } from "../../src/locks/coordinator.js";
import { ClaimLostError, SessionLostError, UnreachableError } from "../../src/locks/errors.js";
import { watchClaim } from "../../src/line/claim-watch.js";
import type { JobEnd } from "./agent.js";
import type { Job } from "./scenario.js";

const SLEEP_TIME_MS = 3_000;

type SeveralJob = Extract<Job, { kind: "several" }>;

export async function holdSeveral(job: SeveralJob, context: GuardContext): Promise<JobEnd> {
  const { machine, stop, node, principal } = context;
  const coordinator = await context.coordinator(job.locks[0] as string);
  for (;;) {
    const owner = { node, principal, action: null, process: machine.processes.self };
    const draft: Draft = {
      id: randomUUID(),
      locks: job.locks,
      key: job.key,
      slots: job.slots,
      owner,
      reason: null,
      data: null,
      settles: job.durable,
      lease: null,
    };
    const turn = await waitInLine(coordinator, draft, {
      clock: machine.clock,
      acquire: { timeoutMs: null, sleepTimeMs: SLEEP_TIME_MS },
      progress: context.progress,
      perspective: perspectiveOn(coordinator, context),
      stop: stop.signal,
    });
    if (turn.outcome === "taken-out") return { outcome: "taken-out", message: turn.message };
    if (turn.outcome !== "granted") throw new Error("it left the line without being asked to");
    if (!job.durable) {
      const { positions: standings, session } = turn.joined;
      const watch = watchClaim(coordinator, turn.joined);
      try {
        const spec = { ...specOf(draft, session.latestRevision(), session.graceMs), endsWith: session };
        await machine.commands.run(spec, { onGroup: () => undefined, signal: watch.lost, relayed: stop });
      } finally {
        watch.close();
        await coordinator.withdraw(standings);
      }
      return { outcome: watch.lost.aborted ? "claim-lost" : "ended", message: "" };
    }
    const { key, slots, reason, data } = draft;
    const record: ClaimRecord = {
      owner,
      key,
      slots,
      reason,
      data,
      made: machine.processes.moment(),
      lease: null,
      expiresAt: null,
      failure: null,
    };
    let settled: Settled;
    try {
      settled = await coordinator.settle(draft, turn.joined, record);
    } catch (error) {
      if (error instanceof SessionLostError) continue;
      // It may be in line still: in another of its locks, or because the store does not answer.
      await coordinator.withdraw(turn.joined.positions);
      if (error instanceof ClaimLostError) continue;
      throw error;
    }
    await machine.commands.run(specOf(draft, settled.fencingToken, 3_000), { onGroup: () => undefined, relayed: stop });
    return { outcome: await release(coordinator, draft, settled, context), message: "" };
  }
}

async function release(coordinator: Coordinator, draft: Draft, settled: Settled, context: GuardContext): Promise<string> {
  let entries: readonly EntryRef[] = settled.entries;
  // What was asked for when the store did not answer may have ended it.
  let isDoubtful = false;
  for (;;) {
    try {
      const ending = { event: "released", by: context.principal, reason: null } as const;
      const outcome = await coordinator.leave(draft.id, entries, ending);
      if (outcome !== "changed") return outcome === "done" || isDoubtful ? "ended" : `claim ${outcome}`;
      // Somebody has changed its data; nobody but its owner can have it otherwise.
      entries = await coordinator.find(draft.id);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      isDoubtful = true;
      await context.machine.clock.sleep(1_000);
    }
  }
}

function specOf(draft: Draft, fencingToken: number, killAfterMs: number): CommandSpec {
  const env = { HOLDLINE_CLAIM: draft.id, HOLDLINE_LOCK: draft.locks.join(" "), HOLDLINE_FENCING_TOKEN: String(fencingToken) };
  return { argv: ["several"], cwd: null, env, timeoutMs: null, killAfterMs, output: "keep" };
}
