// People and scripts with leases, over the real code of src/leases: what they ask of it, one thing after another, and what
// they are told, which lease-checks.ts compares with what has happened in the store.
import type { GuardContext } from "../../src/actions/context.js";
import { perspectiveOn } from "../../src/actions/context.js";
import { applyChanges } from "../../src/leases/data.js";
import { acquireLease } from "../../src/leases/acquiring.js";
import { changeData, isLeaseHeld, releaseById, releaseLease, renewLease } from "../../src/leases/lease.js";
import type { LeaseContext } from "../../src/leases/request.js";
import { HoldlineError } from "../../src/locks/errors.js";
import type { Agent, JobEnd } from "./agent.js";
import type { Told } from "./lease-checks.js";
import { changesIn } from "./lease-checks.js";
import type { ByIdJob, Deed, LeaseJob } from "./lease-jobs.js";
import type { World } from "./world.js";

const SLEEP_TIME_MS = 3_000;

/** Takes a lease, and does with it what the job says, for as long as it is there. */
export async function useLease({ request, deeds }: LeaseJob, world: World, agent: Agent, context: GuardContext): Promise<JobEnd> {
  const { machine, node, principal, progress, stop } = context;
  const [lock] = request.locks as [string];
  const coordinator = await context.coordinator(lock);
  const leases: LeaseContext = {
    subject: { node, group: context.group },
    coordinator,
    node,
    clock: machine.clock,
    progress,
    process: machine.processes.self,
    sleepTimeMs: SLEEP_TIME_MS,
    perspective: perspectiveOn(coordinator, context),
    signal: stop.signal,
  };
  const { checks } = world;
  checks.leases.asked(agent.name, { kind: "acquire", claim: null, forced: false, ...request });
  try {
    const acquired = await acquireLease({ ...request, principal, caller: null, path: null, reason: null, data: null }, leases);
    checks.leases.told(agent.name, acquired);
    if (acquired.outcome !== "acquired") return { outcome: acquired.outcome === "held" ? "held by others" : "frozen", message: "" };
    return await act(deeds, lock, acquired.lease.id, world, agent, context);
  } catch (error) {
    // Somebody has taken it out of the line by hand.
    if (error instanceof HoldlineError && error.code === "conflict") return { outcome: "taken-out", message: error.message };
    throw error;
  }
}

/** Does what the job says to a claim that it names, or to one that is seen in the queues. */
export async function actById({ claim, deeds }: ByIdJob, world: World, agent: Agent, context: GuardContext): Promise<JobEnd> {
  const seen = world.store.present().filter(({ id, record }) => record !== null && (claim === null || id === claim));
  if (seen.length === 0) return { outcome: "nothing to do", message: "" };
  const { id, lock } = world.choices.pick(seen);
  return act(deeds, lock, id, world, agent, context);
}

async function act(
  deeds: readonly Deed[],
  lock: string,
  id: string,
  world: World,
  agent: Agent,
  context: GuardContext,
): Promise<JobEnd> {
  const { leases } = world.checks;
  for (const deed of deeds) {
    await context.machine.clock.sleep(deed.afterMs, context.stop.signal);
    world.scheduler.say(agent.name, `${deed.kind} ${world.checks.nameOf(id)}`);
    const forced = world.choices.percent(70);
    leases.asked(agent.name, {
      kind: deed.kind,
      claim: id,
      ttlMs: deed.kind === "renew" ? deed.ttlMs : null,
      alone: false,
      forced,
    });
    const told = await perform(deed, lock, id, forced, context);
    leases.told(agent.name, told);
    if (told.outcome !== "renewed" && told.outcome !== "changed" && told.outcome !== "is held")
      return { outcome: told.outcome, message: "" };
  }
  return { outcome: "leaves it to its time", message: "" };
}

async function perform(
  deed: Deed,
  lock: string,
  id: string,
  force: boolean,
  { coordinator: open, principal, stop }: GuardContext,
): Promise<Told> {
  const coordinator = await open(lock);
  const asking = { by: principal, signal: stop.signal, force };
  try {
    switch (deed.kind) {
      case "renew":
        return await renewLease(coordinator, lock, id, { ...asking, ttlMs: deed.ttlMs });
      case "change": {
        const changed = await changeData(coordinator, lock, id, oneMore, stop.signal);
        return { outcome: changed === "gone" ? "gone" : "changed" };
      }
      case "ask":
        return { outcome: (await isLeaseHeld(coordinator, lock, id, stop.signal)) ? "is held" : "gone" };
      case "release":
        return { outcome: await releaseLease(coordinator, lock, id, { ...asking, reason: null }) };
      case "unlock":
        return { outcome: await releaseById(coordinator, id, { ...asking, reason: null }) };
    }
  } catch (error) {
    if (error instanceof HoldlineError && error.code === "not-allowed") return { outcome: "refused" };
    throw error;
  }
}

/** Each change counts one up, so that none that is lost goes unnoticed. */
function oneMore(data: unknown): unknown {
  return applyChanges(data, [{ kind: "set", path: ["changes"], value: changesIn(data) + 1 }]);
}
