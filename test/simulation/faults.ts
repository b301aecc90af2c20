// The faults that can come over a simulated fleet at any step. What commands do wrong by themselves is node.ts's, and a
// death in the middle of a journal write is machine.ts's.
import type { Agent } from "./agent.js";
import type { World } from "./world.js";

type Fault = (world: World) => boolean;

/** Each gives whether there was anything that it could be done to. */
const FAULTS: readonly Fault[] = [cut, cut, kill, kill, partition, freezeStore, expire, reboot, clear, interrupt, jump];

/** Has a fault come over the fleet, perhaps. */
export function perhapsFault(world: World): void {
  if (!world.mayFault() || !world.choices.percent(world.scenario.faultPercent)) return;
  world.choices.pick(FAULTS)(world);
}

/** A connection breaks: a request is lost before it takes effect, or a reply after it. */
function cut(world: World): boolean {
  return withAgent(
    world,
    ({ link }) => link.isBusy,
    (agent) => {
      world.noteFault(agent.name, "its connection is cut");
      agent.link.cut();
    },
  );
}

function kill(world: World): boolean {
  return withAgent(
    world,
    () => true,
    (agent) => {
      const delivers = world.choices.percent(50);
      world.noteFault(
        agent.name,
        `is killed${agent.link.isBusy ? `; what it has sent ${delivers ? "still arrives" : "is lost"}` : ""}`,
      );
      agent.kill(delivers);
    },
  );
}

/** Long enough for a session to survive it, to be lost and not ended, or to be ended. */
const OUTAGES_MS = [2_000, 9_000, 12_000, 40_000] as const;

function partition(world: World): boolean {
  return withAgent(
    world,
    ({ link }) => link.isOpen,
    (agent) => {
      const lastsMs = world.choices.pick(OUTAGES_MS);
      const isSilent = world.choices.percent(50);
      world.noteFault(agent.name, `cannot reach the store for ${lastsMs} ms${isSilent ? ", and is not told" : ""}`);
      if (isSilent) agent.link.freeze();
      else agent.link.refuse();
      world.scheduler.after(lastsMs, "store", "", () => {
        if (!world.isStoreFrozen) agent.link.serve();
      });
    },
  );
}

function freezeStore(world: World): boolean {
  if (world.isStoreFrozen) return false;
  const lastsMs = world.choices.pick(OUTAGES_MS);
  world.noteFault("store", `is frozen for ${lastsMs} ms`);
  world.isStoreFrozen = true;
  for (const { link } of world.living) link.freeze();
  world.scheduler.after(lastsMs, "store", "is back", () => {
    world.isStoreFrozen = false;
    for (const { link } of world.agents.values()) link.serve();
  });
  return true;
}

function expire(world: World): boolean {
  return withAgent(
    world,
    ({ coordinator }) => coordinator?.session != null,
    (agent) => {
      const id = agent.coordinator?.session?.id as string;
      world.noteFault(agent.name, "its session is ended by the store");
      world.checks.stories.force(id);
      world.store.expireSession(id);
    },
  );
}

function reboot(world: World): boolean {
  const nodes = world.nodes.filter(({ agents, groups }) => agents.size > 0 || groups.some(({ isAtWork }) => isAtWork));
  if (nodes.length === 0) return false;
  const node = world.choices.pick(nodes);
  const delivers = world.choices.percent(50);
  world.noteFault(node.name, "reboots");
  for (const agent of [...node.agents]) agent.kill(delivers);
  node.reboot();
  return true;
}

function clear(world: World): boolean {
  const durable = world.store.entries().filter(({ session, record }) => session === null && record !== null);
  if (durable.length === 0) return false;
  const { id, lock } = world.choices.pick(durable);
  world.noteFault("admin", `clears ${world.checks.nameOf(id)} on ${lock}`);
  world.clear(id);
  return true;
}

function interrupt(world: World): boolean {
  return withAgent(
    world,
    () => true,
    (agent) => {
      world.noteFault(agent.name, "is asked to end by SIGTERM");
      agent.interrupt();
    },
  );
}

function jump(world: World): boolean {
  const node = world.choices.pick(world.nodes);
  node.wallOffsetMs += world.choices.pick([-3_600_000, 3_600_000, 30_000_000]);
  world.noteFault(node.name, "its wall clock jumps");
  return true;
}

function withAgent(world: World, isFit: (agent: Agent) => boolean, deed: (agent: Agent) => void): boolean {
  const fit = world.living.filter(isFit);
  if (fit.length === 0) return false;
  deed(world.choices.pick(fit));
  return true;
}
