// The faults that can come over a simulated fleet at any step. What commands do wrong by themselves is node.ts's, and a
// death in the middle of a journal write is machine.ts's.
import type { Agent } from "./agent.js";
import { UNREADABLE_FREEZES } from "./freeze-checks.js";
import type { World } from "./world.js";

type Fault = (world: World) => boolean;

/** Each gives whether there was anything that it could be done to. */
const FAULTS: readonly Fault[] = [
  cutConnection,
  cutConnection,
  kill,
  killAll,
  loseJournal,
  partition,
  lag,
  lag,
  loseReply,
  loseReply,
  loseRequest,
  loseRequest,
  answerLate,
  freezeStore,
  refuseHistory,
  expire,
  reboot,
  clear,
  takeOut,
  stop,
  suspend,
  interrupt,
  jump,
  turnGates,
  garbleFreezes,
];

/** Has a fault come over the fleet, perhaps. */
export function perhapsFault(world: World): void {
  if (!world.mayFault() || !world.choices.percent(world.scenario.faultPercent)) return;
  const fault = world.scenario.isRestored && world.choices.percent(40) ? goBack : world.choices.pick(FAULTS);
  if (fault(world)) world.met.set(fault.name, (world.met.get(fault.name) ?? 0) + 1);
}

/** A connection breaks: a request is lost before it takes effect, or a reply after it. */
function cutConnection(world: World): boolean {
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
    ({ node }) => !node.isAsleep,
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

/** Every process of a node, as when it is out of memory; what they have started goes on. */
function killAll(world: World): boolean {
  const nodes = world.nodes.filter(({ agents, isAsleep }) => agents.size > 0 && !isAsleep);
  if (nodes.length === 0) return false;
  const node = world.choices.pick(nodes);
  world.noteFault(node.name, "has all its agents killed");
  for (const agent of [...node.agents]) agent.kill(world.choices.percent(50));
  return true;
}

/** Every process of a node, and what it has on its disk with them, as when a state directory is deleted or is another user's. */
function loseJournal(world: World): boolean {
  const nodes = world.nodes.filter(
    ({ agents, runs, isAsleep }) => agents.size > 0 && !isAsleep && [...runs.values()].some(({ size }) => size > 0),
  );
  if (nodes.length === 0) return false;
  const node = world.choices.pick(nodes);
  world.noteFault(node.name, "has all its agents killed, and its journal deleted");
  for (const agent of [...node.agents]) agent.kill(world.choices.percent(50));
  // What had succeeded is not known to have, and may be done again.
  for (const claim of [...node.runs.values()].flatMap((runs) => [...runs.keys()])) world.checks.stories.forgetSuccess(claim);
  // What hides from a search by its claim was known by the journal alone.
  for (const group of node.groups) if (group.nature.hides) group.isExcused = true;
  node.runs.clear();
  node.attempts.clear();
  return true;
}

/** Long enough for a session to survive it, to be lost and not ended, or to be ended. */
const OUTAGES_MS = [2_000, 9_000, 12_000, 40_000] as const;

function partition(world: World): boolean {
  // Half of them while something is on its way: then the request may have had its effect, and its sender does not hear of it for long.
  const midway = world.choices.percent(50) && world.living.some(({ link }) => link.isOpen && link.isBusy);
  return withAgent(
    world,
    ({ link }) => link.isOpen && (!midway || link.isBusy),
    (agent) => {
      const lastsMs = world.choices.pick(OUTAGES_MS);
      const isSilent = world.choices.percent(50);
      world.noteFault(agent.name, `cannot reach the store for ${lastsMs} ms${isSilent ? ", and is not told" : ""}`);
      if (isSilent) agent.link.freeze();
      else agent.link.refuse();
      world.scheduler.after(lastsMs, "store", "", () => agent.reconnect());
    },
  );
}

/** Long enough for a session that the leader hears nothing of to live on, to be lost, or to be ended. */
const LAGS_MS = [2_000, 9_000, 12_000, 15_000] as const;

/** The server that a process is connected to is cut off from the others: it answers pings and reads from what it knows. */
function lag(world: World): boolean {
  const midway = world.choices.percent(50) && world.living.some(isAtWork);
  return withAgent(
    world,
    (agent) => agent.link.isOpen && !agent.link.isLagging && (!midway || isAtWork(agent)),
    (agent) => {
      const lastsMs = world.choices.pick(LAGS_MS);
      world.noteFault(agent.name, `is connected to a server that hears nothing of the others for ${lastsMs} ms`);
      agent.link.lag();
      world.scheduler.after(lastsMs, "store", "", () => {
        if (agent.link.isLagging) agent.link.cut();
      });
    },
  );
}

function isAtWork(agent: Agent): boolean {
  return agent.link.isOpen && !agent.link.isLagging && agent.node.groups.some((group) => group.agent === agent && group.isAtWork);
}

const WRITES: readonly string[] = ["settle", "adopt", "update", "leave"];

/** The next write of a process takes effect, and it does not hear of it for long: others have the time to act upon it. */
function loseReply(world: World): boolean {
  return withAgent(
    world,
    ({ link }) => link.isOpen && link.onReply === null,
    (agent) => {
      const { link, name } = agent;
      const lastsMs = world.choices.pick(OUTAGES_MS);
      world.noteFault(name, `will not hear of its next write for ${lastsMs} ms`);
      link.onReply = ({ operation, claim }) => {
        if (!WRITES.includes(operation) || !link.isOpen) return;
        link.onReply = null;
        world.scheduler.say(name, "⚡ loses the reply");
        if ((operation === "settle" || operation === "adopt") && world.choices.percent(50)) changeMeanwhile(world, claim);
        // It is for the next session then to show that its process lives.
        if (operation === "adopt" && world.choices.percent(50)) endSession(world, agent);
        link.refuse();
        world.scheduler.after(lastsMs, "store", "", () => agent.reconnect());
      };
    },
  );
}

/** Somebody else writes to a claim whose owner does not know yet that it is settled, or adopted. */
function changeMeanwhile(world: World, claim: string | null): void {
  world.launch(world.choices.pick(world.nodes), { kind: "by-id", claim, deeds: [{ kind: "change", afterMs: 0 }] });
}

/** The next request of a process that changes something is lost, or is late by so much that its sender has asked again. */
function loseRequest(world: World): boolean {
  return withAgent(
    world,
    ({ link }) => link.isOpen,
    (agent) => {
      const { link, name, node, job } = agent;
      const kinds = world.choices.pick([["join"], ["adopt", "update"], WRITES]);
      const lastsMs = world.choices.pick([0, 0, 2_000, 9_000]);
      world.noteFault(name, `loses its next ${kinds.join(" or ")} for ${lastsMs} ms`);
      link.losesRequest = ({ operation, claim }) => {
        if (!kinds.includes(operation) || !link.isOpen) return false;
        link.losesRequest = () => false;
        world.scheduler.say(name, "⚡ loses the request");
        if (operation === "join" && world.choices.percent(50)) agent.interrupt();
        // Others do the same, or write to the same claim, before it can ask again.
        if (operation === "adopt") world.launch(node, job);
        if (operation === "update") changeMeanwhile(world, claim);
        if (lastsMs === 0) link.cut();
        else {
          link.refuse();
          world.scheduler.after(lastsMs, "store", "", () => agent.reconnect());
        }
        return true;
      };
    },
  );
}

// Less than after which a connection counts as dead, and more than the margins of a session.
const LATE_ANSWER_MS = 4_500;

/** The answer of which a session counts comes late, and soon after it nothing more comes for long. */
function answerLate(world: World): boolean {
  return withAgent(
    world,
    ({ link, coordinator }) => link.isOpen && link.onReply === null && coordinator !== null,
    (agent) => {
      const { link, name } = agent;
      const silentInMs = world.choices.pick([100, 1_000, 2_500]);
      world.noteFault(name, `hears late of its session, and nothing more ${silentInMs} ms after that`);
      link.onReply = ({ operation }) => {
        if ((operation !== "renew" && operation !== "openSession") || !link.isOpen) return;
        link.onReply = null;
        world.scheduler.say(name, "⚡ will hear late of that");
        link.freeze();
        world.scheduler.after(LATE_ANSWER_MS, "store", "", () => agent.reconnect());
        world.scheduler.after(LATE_ANSWER_MS + silentInMs, "store", "", () => {
          world.scheduler.say(name, "⚡ hears nothing more");
          link.freeze();
        });
        world.scheduler.after(LATE_ANSWER_MS + silentInMs + 15_000, "store", "", () => agent.reconnect());
      };
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
    for (const agent of world.agents.values()) agent.reconnect();
  });
  return true;
}

/** Nothing can be recorded any more: a quota is used up, or the rights are not there. */
function refuseHistory(world: World): boolean {
  const { store, scheduler, choices } = world;
  if (store.hasNoRoom) return false;
  const lastsMs = choices.pick(OUTAGES_MS);
  world.noteFault("store", `takes no records for ${lastsMs} ms`);
  store.hasNoRoom = true;
  scheduler.after(lastsMs, "store", "", () => (store.hasNoRoom = false));
  return true;
}

function expire(world: World): boolean {
  return withAgent(
    world,
    ({ coordinator }) => coordinator?.session != null,
    (agent) => {
      world.noteFault(agent.name, "its session is ended by the store");
      endSession(world, agent);
    },
  );
}

function endSession(world: World, agent: Agent): void {
  const id = agent.coordinator?.session?.id;
  if (id === undefined) return;
  world.checks.stories.force(id);
  agent.disturb();
  world.store.expireSession(id);
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
  const durable = world.store.present().filter(({ session, record }) => session === null && record !== null);
  if (durable.length === 0) return false;
  const { id, lock } = world.choices.pick(durable);
  world.noteFault("admin", `clears ${world.checks.nameOf(id)} on ${lock}`);
  world.clear(id);
  return true;
}

function takeOut(world: World): boolean {
  const ephemeral = world.store.present().filter(({ session }) => session !== null);
  if (ephemeral.length === 0) return false;
  const entry = world.choices.pick(ephemeral);
  world.noteFault("admin", `takes ${world.checks.nameOf(entry.id)} out of the queue of ${entry.lock} by hand`);
  world.takeOut(entry);
  return true;
}

/** A process is stopped for a while and does not know it; others may well think it dead. */
function stop(world: World): boolean {
  // Half of them while a command runs that something else must end with the session.
  const isAtRisk = ({ isStopped, node, name }: Agent): boolean =>
    !isStopped &&
    node.groups.some((group) => group.agent.name === name && group.isAtWork && group.endsWithAgent && group.isWatched);
  const risky = world.choices.percent(50) && world.living.some(isAtRisk);
  return withAgent(
    world,
    (agent) => (risky ? isAtRisk(agent) : !agent.isStopped),
    (agent) => {
      const lastsMs = risky ? 40_000 : world.choices.pick(OUTAGES_MS);
      world.noteFault(agent.name, `is stopped for ${lastsMs} ms`);
      excuseUnwatched([agent]);
      agent.stop();
      world.scheduler.after(lastsMs, "fleet", "", () => agent.goOn());
    },
  );
}

/** What goes on in a process that does nothing cannot be ended by it, and nothing else does. */
function excuseUnwatched(agents: readonly Agent[]): void {
  for (const agent of agents)
    for (const group of agent.node.groups)
      if (group.agent === agent && group.endsWithAgent && !group.isWatched) group.isExcused = true;
}

/** A machine sleeps for a while, with all that runs on it; its uptime goes on. */
function suspend(world: World): boolean {
  const awake = world.nodes.filter(({ agents, isAsleep }) => agents.size > 0 && !isAsleep);
  // Half of them while a command runs that is to end with its session, for somewhat longer than that: others have their turn.
  const atRisk = awake.filter(({ groups }) => groups.some(({ isAtWork, endsWithAgent }) => isAtWork && endsWithAgent));
  const isAtRisk = atRisk.length > 0 && world.choices.percent(50);
  const fit = isAtRisk ? atRisk : awake;
  if (fit.length === 0) return false;
  const node = world.choices.pick(fit);
  const lastsMs = isAtRisk ? 12_000 : world.choices.pick(OUTAGES_MS);
  world.noteFault(node.name, `sleeps for ${lastsMs} ms`);
  excuseUnwatched([...node.agents]);
  node.fallAsleep();
  world.scheduler.after(lastsMs, "fleet", "", () => {
    node.wake();
    // Nobody else may begin anything just then, and what runs on beside others would go unseen.
    world.scheduler.after(1, "fleet", "", () => world.checks.commands.demandRules(node));
  });
  return true;
}

/** Something stands in the way of a node's actions for a while, or what they are for is no longer needed, or is again. */
function turnGates(world: World): boolean {
  const node = world.choices.pick(world.nodes);
  if (world.choices.percent(40)) {
    node.isNeeded = !node.isNeeded;
    world.noteFault(node.name, node.isNeeded ? "needs its actions" : "needs its actions no longer");
    return true;
  }
  const lastsMs = world.choices.pick(OUTAGES_MS);
  node.isBlocked = true;
  world.noteFault(node.name, `has an alert for ${lastsMs} ms`);
  world.scheduler.after(lastsMs, "fleet", "", () => (node.isBlocked = false));
  return true;
}

/** Another program, or a later holdline, has written the freezes: nobody knows what they say, until an admin thaws all. */
function garbleFreezes(world: World): boolean {
  const lastsMs = world.choices.pick(OUTAGES_MS);
  world.noteFault("admin", `has freezes for ${lastsMs} ms that nobody can read`);
  world.writeFreezes(UNREADABLE_FREEZES);
  world.scheduler.after(lastsMs, "fleet", "", () => world.writeFreezes(null));
  return true;
}

/** The store is restored from a backup that was made at some earlier step. */
function goBack(world: World): boolean {
  if (world.choices.percent(50)) {
    world.backUp();
    return false;
  }
  if (!world.goBack()) return false;
  world.noteFault("store", "is restored from a backup: it has forgotten what was since");
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
