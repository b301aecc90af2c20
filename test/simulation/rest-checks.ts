// What must be true whenever everything that could go on has gone on, and only time can bring anything new: whoever has the lock knows it,
// and others can see that the process of a claim in hand lives.
import type { Agent } from "./agent.js";
import type { SeenEntry } from "./store.js";
import type { World } from "./world.js";

// That its session has ended a process hears with the next renewal, which comes a third of the timeout after the answer to the one
// before; that may take two thirds of it. After a broken connection it pauses as well before it asks again.
const RECOVERS_WITHIN_MS = 11_000;

// Where nothing is told a waiter looks by itself after at most a session's timeout. Nothing is told of a freeze whose time is over
// either, and what a waiter has heard of the store's time may have been late.
const LOOKS_WITHIN_MS = 10_000;

export function checkAtRest(world: World): void {
  const { store, checks } = world;
  for (const [id, at] of world.takenOutWaiting) demandTold(world, id, at);
  for (const lock of store.locks()) {
    for (const entry of store.stored(lock)) {
      if (!checks.stories.isHeld(entry)) break;
      const agent = undisturbedOwner(world, entry.id);
      if (agent === null) continue;
      if (entry.session === null) demandLiveness(world, entry, agent);
      else demandSettled(world, entry, agent);
    }
  }
}

/** A process whose claim was taken out of the line by hand waits no longer, unless it has joined anew. */
function demandTold(world: World, id: string, at: number): void {
  const agent = undisturbedOwner(world, id);
  if (agent === null || world.scheduler.now <= at + LOOKS_WITHIN_MS) return;
  world.checks.fail(`${agent.name} does not know that ${world.checks.nameOf(id)} was taken out of the line`);
}

/** The process whose claim it is, if it lives and has had no trouble with the store for long enough. */
function undisturbedOwner(world: World, claim: string): Agent | null {
  const story = world.checks.stories.of(claim);
  const name = story?.adoptedBy ?? story?.by;
  const agent = name === undefined ? undefined : world.agents.get(name);
  if (agent === undefined || !agent.isAlive || agent.isDone || agent.isStopped) return null;
  const isUndisturbed = agent.link.isOpen && !agent.link.isLagging && world.scheduler.now - agent.disturbedAt > RECOVERS_WITHIN_MS;
  return isUndisturbed ? agent : null;
}

/** A claim that is to become durable does so as soon as it is held on all of its locks. */
function demandSettled({ store, checks }: World, entry: SeenEntry, agent: Agent): void {
  if (agent.isEphemeral || !store.lives(entry.session)) return;
  const { stories } = checks;
  const story = stories.ofEntries([entry]);
  const isHeldOn = (lock: string): boolean => store.stored(lock).some((other) => other.id === entry.id && stories.isHeld(other));
  if (story.locks.some((lock) => checks.freezes.binding(agent, lock, LOOKS_WITHIN_MS).length > 0)) return;
  if (story.locks.every(isHeldOn))
    checks.fail(`${agent.name} does not know that it has its turn on ${entry.lock} with ${story.name}`);
}

function demandLiveness({ store, checks }: World, entry: SeenEntry, agent: Agent): void {
  if (entry.record === null || entry.record.lease !== null || store.lives(entry.livesBy)) return;
  checks.fail(`others cannot see that ${agent.name} lives, which has ${checks.nameOf(entry.id)} in hand on ${entry.lock}`);
}
