// Small changes of the real code, each a mistake that someone could make, which the simulation must notice. `text` occurs
// exactly once in its file. Those of leases are lease-mutations.ts's, and those of the store that the code relies on are
// store-mutations.ts's.
import { LEASE_MUTATIONS } from "./lease-mutations.js";
import { STORE_MUTATIONS } from "./store-mutations.js";

export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

const GUARD = "src/actions/guard.ts";
const HELD_RUN = "src/actions/held-run.ts";
const RECOVERY = "src/actions/recovery.ts";
const TURN = "src/line/turn.ts";
const RULE = "src/locks/rule.ts";

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "the claim is not settled at all",
    file: GUARD,
    text: "settled = await coordinator.settle(draft, line.joined, record);",
    replacement: "settled = { entries: line.joined.positions, fencingToken: line.fencingToken };",
  },
  {
    name: "the command starts before the settle is confirmed",
    file: GUARD,
    text: "settled = await coordinator.settle(draft, line.joined, record);",
    replacement: `coordinator.settle(draft, line.joined, record).catch(() => undefined);
      settled = { entries: line.joined.positions, fencingToken: line.fencingToken };`,
  },
  {
    name: "a run that ends because the store is away leaves its claim in line",
    file: GUARD,
    text: "await coordinator.withdraw(line.joined.positions);\n        throw error;",
    replacement: "throw error;",
  },
  {
    name: "success is never noted in the journal",
    file: HELD_RUN,
    text: 'await this.#journal("succeeded", null);',
    replacement: "",
  },
  {
    name: "success is noted after the release instead of before it",
    file: HELD_RUN,
    text: 'await this.#journal("succeeded", null);\n      return this.letGo(event, "ran", "", end);',
    replacement: `const result = await this.letGo(event, "ran", "", end);
      if (result.outcome === "unreachable") await this.#journal("succeeded", null);
      return result;`,
  },
  {
    name: "a success whose release failed is forgotten",
    file: HELD_RUN,
    text: 'if (left.outcome === "unreachable" && outcome !== "failed") {',
    replacement:
      'if (left.outcome === "unreachable") await this.#forget();\n    if (left.outcome === "unreachable" && outcome !== "failed") {',
  },
  {
    name: "the journal learns of a command only once it runs",
    file: HELD_RUN,
    text: "this.#remember(phase, leader);\n    this.#mayHaveBegun = true;",
    replacement:
      "void Promise.resolve().then(() => Promise.resolve()).then(() => this.#remember(phase, leader));\n    this.#mayHaveBegun = true;",
  },
  {
    name: "an attempt that timed out is not noted",
    file: GUARD,
    text: 'const wish = when === "wished" ? processes.moment() :',
    replacement: "const wish =",
  },
  {
    name: "a run is fulfilled by a restart that was before it",
    file: GUARD,
    text: 'return when !== "wished" || this.#action.alreadyRestarted === "skip";',
    replacement: "return true;",
  },
  {
    name: "of what was left the wish of the claim alone counts",
    file: GUARD,
    text: "return latestWish([...leftovers.map(({ made }) => made), attempts?.latest ?? null], this.#machine.processes.moment());",
    replacement: "return attempts === undefined ? null : (leftovers[0]?.made ?? null);",
  },
  {
    name: "nothing outside the agent watches over its command",
    file: "src/actions/exec.ts",
    text: 'output: "inherit", endsWith: session }',
    replacement: 'output: "inherit" }',
  },
  {
    name: "a store that has gone back in time is trusted",
    file: "src/actions/store-age.ts",
    text: "if (seen !== null && isOlder(now, seen)) return",
    replacement: "if (seen !== null && isOlder(now, seen) && seen.at < 0) return",
  },
  {
    name: "the time that a machine sleeps does not count",
    file: "test/simulation/node.ts",
    text: `    return this.#scheduler.now;
  }

  /** Nothing moves`,
    replacement: `    return this.#scheduler.now - this.sleptMs;
  }

  /** Nothing moves`,
  },
  {
    name: "what the journal does not know is not looked for",
    file: RECOVERY,
    text: "await processes.endCarriers(claim.id, serviceOf(action), action.killAfterMs);",
    replacement: "",
  },
  {
    name: "the health check is left out",
    file: "src/actions/execution.ts",
    text: "if (action.verify === null) return success(end, clock.now() - started);",
    replacement: "return success(end, clock.now() - started);",
  },
  {
    name: "what succeeded before is run again",
    file: GUARD,
    text: 'entry.claim === leftover.id && entry.phase === "succeeded"',
    replacement: 'entry.claim === leftover.id && entry.phase === "failed"',
  },
  {
    name: "on_failure: hold is taken for release",
    file: HELD_RUN,
    text: 'if (this.#action.onFailure === "release")',
    replacement: 'if (this.#action.onFailure === "hold")',
  },
  {
    name: "resume runs what nobody has left",
    file: GUARD,
    text: 'if (when === "if-left" && attempts === null) return null;',
    replacement: "",
  },
  {
    name: "a finished run stays in the journal",
    file: HELD_RUN,
    text: "() => journal.removeRun(this.#action.name, this.#hold.id),",
    replacement: "() => undefined,",
  },
  {
    name: "further leftovers are released while their commands may run",
    file: GUARD,
    text: "await endLeftover(this.#action, other, this.#owner, ending, coordinator, this.#machine);",
    replacement: "await coordinator.leave(other.id, [other], ending);",
  },
  {
    name: "an adopter keeps the former holder's fencing token",
    file: GUARD,
    text: "new Hold(leftover.id, leftover.lock, adopted.settled, adopted.record,",
    replacement:
      "new Hold(leftover.id, leftover.lock, { ...adopted.settled, fencingToken: leftover.fencingToken ?? 0 }, adopted.record,",
  },
  {
    name: "claims of another machine of one's name are taken for leftovers",
    file: RECOVERY,
    text: "if (!isOwnMachine(owner, self)) return false;",
    replacement: "",
  },
  {
    name: "claims of other actions are taken for leftovers",
    file: RECOVERY,
    text: "owner.node !== self.node || owner.action !== action",
    replacement: "owner.node !== self.node",
  },
  {
    name: "nobody asks whether a claim's owner is gone",
    file: RECOVERY,
    text: "return claim.failure !== null || isOwnerGone(claim, processes);",
    replacement: "return true;",
  },
  {
    name: "an owner whose session has ended is taken for dead although it lives",
    file: RECOVERY,
    text: "return lives === null ? !claim.alive : !lives;",
    replacement: "return !claim.alive;",
  },
  {
    name: "a claim that another was faster to adopt counts as adopted",
    file: RECOVERY,
    text: 'if (settled === "gone" || settled === "changed") return null;',
    replacement:
      'if (typeof settled === "string") return { settled: { entries: [claim], fencingToken: claim.fencingToken ?? 0 }, record };',
  },
  {
    name: "the orphaned command of an adopted claim goes on",
    file: RECOVERY,
    text: "if (entry?.group != null && processes.isAlive(entry.agent) !== true)",
    replacement: "if (entry === null)",
  },
  {
    name: "runs of living processes are cleared out of the journal",
    file: RECOVERY,
    text: "processes.isAlive(entry.agent) === true || holders",
    replacement: "holders",
  },
  {
    name: "nobody asks whether the process has restarted",
    file: RECOVERY,
    text: "return hasRestarted(moment, await processes.matching(action.process));",
    replacement: "return hasRestarted(moment, []);",
  },
  {
    name: "exec keeps its claim when its command has ended",
    file: "src/actions/exec.ts",
    text: "await coordinator.withdraw(positions);",
    replacement: "",
  },
  {
    name: "a claim that someone else has taken over counts as one's own",
    file: "src/actions/hold.ts",
    text: "!isSameProcess(this.#record.owner.process, claim.owner.process)",
    replacement: "claim.owner.process?.pid === 0",
  },
  {
    name: "a release that failed is not tried again",
    file: "src/actions/hold.ts",
    text: "if (deadline.signal.aborted) return",
    replacement: "return",
  },
  {
    name: "a waiter whose session was lost does not join again",
    file: TURN,
    text: "options.onRejoin?.();\n        continue;",
    replacement: "throw error;",
  },
  {
    name: "a wait that times out leaves its claim in line",
    file: TURN,
    text: "if (!joined.session.lost.aborted) await coordinator.withdraw(joined.positions);",
    replacement: "",
  },
  {
    name: "a claim that was taken out of one of its queues stays in the others",
    file: TURN,
    text: "if (!joined.session.lost.aborted) await",
    replacement: 'if ((error as { code?: string }).code !== "claim-lost" && !joined.session.lost.aborted) await',
  },
  {
    name: "the first to leave makes the next one the holder",
    file: TURN,
    text: "const left = near.filter((place) => !gone.includes(place.ref));",
    replacement: "const left = gone.length > 0 ? [] : near;",
  },
  {
    name: "a waiter takes those that it watches for all that are ahead",
    file: TURN,
    text: "const isKnown = gone.length > 0 && claimsAhead === near.length;",
    replacement: "const isKnown = gone.length > 0;",
  },
  {
    name: "a fencing token is given without a look at the line",
    file: TURN,
    text: "options.needsFencingToken !== true || ",
    replacement: "true || ",
  },
  {
    name: "only the first of several locks is waited for",
    file: TURN,
    text: "const line = lines.find(({ isBlocked }) => isBlocked);",
    replacement: "const line = lines.find(({ isBlocked }, index) => index === 0 && isBlocked);",
  },
  {
    name: "keys are not compared",
    file: RULE,
    text: "if (other.key !== claim.key) return false;",
    replacement: "",
  },
  {
    name: "one more than the slots may hold",
    file: RULE,
    text: "return position < slots;",
    replacement: "return position <= slots;",
  },
  {
    name: "the slots of those ahead do not count",
    file: RULE,
    text: "if (other.slots < slots) slots = other.slots;",
    replacement: "",
  },
  {
    name: "a claim that blocks alone is overlooked",
    file: RULE,
    text: "return [ahead];",
    replacement: "return [];",
  },
  ...LEASE_MUTATIONS,
  ...STORE_MUTATIONS,
];
