// What must be true whenever everything that could go on has gone on, and only time can bring anything new: whoever has the lock knows it,
// and others can see that the process of a claim in hand lives.
import type { Agent } from "./agent.js";
import type { SeenEntry } from "./store.js";
import type { World } from "./world.js";

// After a broken connection a process pauses before it asks again, and that its session has ended it hears with the next renewal.
const RECOVERS_WITHIN_MS = 6_000;

export function checkAtRest(world: World): void {
  const { store, checks } = world;
  for (const lock of store.locks()) {
    for (const entry of store.stored(lock)) {
      if (!checks.stories.isHeld(entry)) break;
      const agent = undisturbedOwner(world, entry);
      if (agent === null) continue;
      if (entry.session === null) demandLiveness(world, entry, agent);
      else demandSettled(world, entry, agent);
    }
  }
}

/** The process whose claim it is, if it lives and has had no trouble with the store for long enough. */
function undisturbedOwner(world: World, entry: SeenEntry): Agent | null {
  const story = world.checks.stories.of(entry.id);
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
  if (story.locks.every(isHeldOn))
    checks.fail(`${agent.name} does not know that it has its turn on ${entry.lock} with ${story.name}`);
}

function demandLiveness({ store, checks }: World, entry: SeenEntry, agent: Agent): void {
  if (entry.record === null || entry.record.lease !== null || store.lives(entry.livesBy)) return;
  checks.fail(`others cannot see that ${agent.name} lives, which has ${checks.nameOf(entry.id)} in hand on ${entry.lock}`);
}
