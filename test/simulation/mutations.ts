// Small changes of the real code, each a mistake that someone could make, which the simulation must notice. Those of
// hooks and soaks are hook-mutations.ts's, those of freezes and gates freeze-mutations.ts's and gate-mutations.ts's, those of leases lease-mutations.ts's; those of the queue engine and of the store below it, engine-mutations.ts's and store-mutations.ts's.
import { FREEZE_MUTATIONS } from "./freeze-mutations.js";
import { GATE_MUTATIONS } from "./gate-mutations.js";
import { HOOK_MUTATIONS } from "./hook-mutations.js";
import { LEASE_MUTATIONS } from "./lease-mutations.js";
import { ENGINE_MUTATIONS } from "./engine-mutations.js";
import { STORE_MUTATIONS } from "./store-mutations.js";

export interface Mutation {
  readonly name: string;
  /** The function, the constant or the `Class.method` that is changed, in whatever file it stands. */
  readonly in: string;
  /** Stands in it exactly once, however it is laid out. */
  readonly find: string;
  readonly replacement: string;
}

// Not here: giving a fencing token without a look at the line. The engine reads the line after every change anyway; ZooKeeper's
// coordinator does not, and test/coordinators/zookeeper/waiting.test.ts sees it there.
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "the claim is not settled at all",
    in: "settleBehindGates",
    find: "return { settled: await coordinator.settle(draft, joined, record, undefined, checks), record, askedAt };",
    replacement: `const { ms } = await coordinator.sync();
      return { settled: { entries: joined.positions, fencingToken: ms, since: ms }, record, askedAt };`,
  },
  {
    name: "the command starts before the settle is confirmed",
    in: "settleBehindGates",
    find: "return { settled: await coordinator.settle(draft, joined, record, undefined, checks), record, askedAt };",
    replacement: `coordinator.settle(draft, joined, record, undefined, checks).catch(() => undefined);
      const { ms } = await coordinator.sync();
      return { settled: { entries: joined.positions, fencingToken: ms, since: ms }, record, askedAt };`,
  },
  {
    name: "a run that ends because the store is away leaves its claim in line",
    in: "settleClaim",
    find: "await coordinator.withdraw(joined.positions); throw error;",
    replacement: "throw error;",
  },
  {
    name: "success is never noted in the journal",
    in: "noteSuccess",
    find: 'await notes.phase(held.claim, "succeeded", null);',
    replacement: "void notes;",
  },
  {
    name: "success is noted after the release instead of before it",
    in: "next",
    find: "return noteSuccess(run, state);",
    replacement: `return letGo(run, { ...state.done, held: state.held, at: "leaving" }).then(async (end) => {
        if (end.at === "over" && end.result?.outcome === "unreachable") await noteSuccess(run, state);
        return end;
      });`,
  },
  {
    name: "a success whose release failed is forgotten",
    in: "letGo",
    find: 'if (left.outcome === "unreachable" && outcome !== "failed") {',
    replacement:
      'if (left.outcome === "unreachable") await notes.forget(held.claim);\n  if (left.outcome === "unreachable" && outcome !== "failed") {',
  },
  {
    name: "the journal learns of a command only once it runs",
    in: "executeCommand",
    find: 'notes.command(held.claim, leader, isReboot ? "rebooting" : "running");',
    replacement: 'void Promise.resolve().then(() => Promise.resolve()).then(() => notes.command(held.claim, leader, "running"));',
  },
  {
    name: "an attempt that timed out is not noted",
    in: "RunReport.notRun",
    find: 'const wish = this.#wish === "wished" ? processes.moment() :',
    replacement: "const wish =",
  },
  {
    name: "a run is fulfilled by a restart that was before it",
    in: "openRun",
    find: 'mayBeFulfilled: wish !== "wished" || action.alreadyRestarted === "skip",',
    replacement: "mayBeFulfilled: true,",
  },
  {
    name: "what was wished while a run waited is fulfilled by a restart that was before it",
    in: "settleClaim",
    find: "await hasRestartedSince(run, latest)",
    replacement: "await hasRestartedSince(run, wishedAt)",
  },
  {
    name: "of what was left the wish of the claim alone counts",
    in: "wishBehind",
    find: "return latestWish([...leftovers.map(({ made }) => made), attempts?.latest ?? null], processes.moment());",
    replacement: "return attempts === undefined ? null : (leftovers[0]?.made ?? null);",
  },
  {
    name: "nothing outside the agent watches over its command",
    in: "executeEphemerally",
    find: 'output: "inherit", endsWith: session }',
    replacement: 'output: "inherit" }',
  },
  {
    name: "a store that has gone back in time is trusted",
    in: "StoreAge.problem",
    find: "if (seen !== null && isOlder(now, seen)) return",
    replacement: "if (seen !== null && isOlder(now, seen) && seen.at < 0) return",
  },
  {
    name: "the time that a machine sleeps does not count",
    in: "SimulatedNode.uptime",
    find: "return this.#scheduler.now;",
    replacement: "return this.#scheduler.now - this.sleptMs;",
  },
  {
    name: "what the journal does not know is not looked for",
    in: "adoptLeftover",
    find: "await processes.endCarriers(claim.id, serviceOf(action), action.killAfterMs);",
    replacement: "",
  },
  {
    name: "the health check is left out",
    in: "verifyAction",
    find: "afterCheck(ran, await runCheck(run.action, run.context, launchOfCheck(run, held)))",
    replacement: "ran",
  },
  {
    name: "what succeeded before is run again",
    in: "takeUpLeftover",
    find: 'entry.claim === leftover.id && entry.phase === "succeeded"',
    replacement: 'entry.claim === leftover.id && entry.phase === "failed"',
  },
  {
    name: "on_failure: hold is taken for release",
    in: "keepOrLeave",
    find: 'if (action.onFailure === "release")',
    replacement: 'if (action.onFailure === "hold")',
  },
  {
    name: "resume runs what nobody has left",
    in: "lookForLeftovers",
    find: 'if (wish === "if-left" && attempts === null) return over(null);',
    replacement: "",
  },
  {
    name: "a finished run stays in the journal",
    in: "createRunNotes",
    find: "() => journal.removeRun(action, id)",
    replacement: "() => void id",
  },
  {
    name: "further leftovers are released while their commands may run",
    in: "lookForLeftovers",
    find: "await endLeftover(run, other, ending);",
    replacement: "await run.coordinator.leave(other.id, [other], ending);",
  },
  {
    name: "an adopter keeps the former holder's fencing token",
    in: "takeUpLeftover",
    find: "takeInHand(run, adopted,",
    replacement: "takeInHand(run, { ...adopted, settled: { ...adopted.settled, fencingToken: leftover.fencingToken ?? 0 } },",
  },
  {
    name: "claims of another machine of one's name are taken for leftovers",
    in: "createPerspective",
    find: "owner.node === node && isOnMachine(owner, lock)",
    replacement: "owner.node === node",
  },
  {
    name: "claims of other actions are taken for leftovers",
    in: "isLeftover",
    find: "claim.owner.action !== action || ",
    replacement: "",
  },
  {
    name: "nobody asks whether a claim's owner is gone",
    in: "isLeftover",
    find: "return claim.failure !== null || perspective.isOwnerGone(claim);",
    replacement: "return true;",
  },
  {
    name: "an owner whose session has ended is taken for dead although it lives",
    in: "createPerspective",
    find: "return lives === null ? !alive : !lives;",
    replacement: "return !alive;",
  },
  {
    name: "a claim that another was faster to adopt counts as adopted",
    in: "adoptLeftover",
    find: 'if (settled === "gone" || settled === "changed") return null;',
    replacement:
      'if (typeof settled === "string") return { id: claim.id, lock: claim.lock, settled: { entries: [claim], fencingToken: claim.fencingToken ?? 0 }, record };',
  },
  {
    name: "the orphaned command of an adopted claim goes on",
    in: "adoptLeftover",
    find: "if (entry?.group != null && processes.isAlive(entry.agent) !== true) await processes.endGroup(entry.group, action.killAfterMs);",
    replacement: "",
  },
  {
    name: "runs of living processes are cleared out of the journal",
    in: "findLeftovers",
    find: "processes.isAlive(entry.agent) === true || holders",
    replacement: "holders",
  },
  {
    name: "nobody asks whether the process has restarted",
    in: "restartedSince",
    find: "return hasRestarted(moment, await processes.matching(action.process));",
    replacement: "return hasRestarted(moment, []);",
  },
  {
    name: "exec keeps its claim when its command has ended",
    in: "withEphemeralClaim",
    find: "await coordinator.withdraw(positions);",
    replacement: "",
  },
  {
    name: "a claim that someone else has taken over counts as one's own",
    in: "DurableClaim.#takeUpChange",
    find: "!isSameProcess(this.#record.owner.process, claim.owner.process)",
    replacement: "claim.owner.process?.pid === 0",
  },
  {
    name: "a release that failed is not tried again",
    in: "DurableClaim.#untilTimeout",
    find: "if (signal.aborted) return",
    replacement: "return",
  },
  {
    name: "a waiter whose session was lost does not join again",
    in: "takeTurn",
    find: "options.onRejoin?.(); continue;",
    replacement: "throw error;",
  },
  {
    name: "a wait that times out leaves its claim in line",
    in: "takeTurn",
    find: "if (!joined.session.lost.aborted) await coordinator.withdraw(joined.positions);",
    replacement: "",
  },
  {
    name: "a claim that was taken out of one of its queues stays in the others",
    in: "takeTurn",
    find: "if (!joined.session.lost.aborted) await",
    replacement: 'if ((error as { code?: string }).code !== "claim-lost" && !joined.session.lost.aborted) await',
  },
  {
    name: "the first to leave makes the next one the holder",
    in: "waitUntilGranted",
    find: "const left = near.filter((place) => !gone.includes(place.ref));",
    replacement: "const left = gone.length > 0 ? [] : near;",
  },
  {
    name: "a waiter takes those that it watches for all that are ahead",
    in: "waitUntilGranted",
    find: "const isKnown = gone.length > 0 && claimsAhead === near.length;",
    replacement: "const isKnown = gone.length > 0;",
  },
  {
    name: "only the first of several locks is waited for",
    in: "waitUntilGranted",
    find: "const line = lines.find(({ isBlocked }) => isBlocked);",
    replacement: "const line = lines.find(({ isBlocked }, index) => index === 0 && isBlocked);",
  },
  {
    name: "keys are not compared",
    in: "isHeld",
    find: "if (other.key !== claim.key) return false;",
    replacement: "",
  },
  {
    name: "one more than the slots may hold",
    in: "isHeld",
    find: "return position < slots;",
    replacement: "return position <= slots;",
  },
  {
    name: "the slots of those ahead do not count",
    in: "isHeld",
    find: "if (other.slots < slots) slots = other.slots;",
    replacement: "",
  },
  {
    name: "a claim that blocks alone is overlooked",
    in: "blockers",
    find: "return [ahead];",
    replacement: "return [];",
  },
  ...HOOK_MUTATIONS,
  ...FREEZE_MUTATIONS,
  ...GATE_MUTATIONS,
  ...LEASE_MUTATIONS,
  ...ENGINE_MUTATIONS,
  ...STORE_MUTATIONS,
];
