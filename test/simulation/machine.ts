// The machine as one simulated process sees it: the same interface that src/actions has of the real one. Journal writes
// are where the process may be killed before or after; all else is parked at the scheduler.
import type { CommandEnd, Commands, CommandSpec, Facts, Journal, Machine, Processes, RunEntry } from "../../src/actions/machine.js";
import { laterOf, type ProcessIdentity } from "../../src/locks/claim.js";
import type { Agent } from "./agent.js";
import { AgentKilled } from "./agent.js";
import { isOpenAt } from "./gate-checks.js";
import { drawNature, Group } from "./node.js";
import type { World } from "./world.js";

export function createMachine(world: World, agent: Agent): Machine {
  const clock = {
    now: () => world.scheduler.now,
    sleep: (ms: number, signal?: AbortSignal) => sleep(world, agent, ms, signal),
  };
  const { sightings } = agent.node;
  return {
    id: agent.node.machine,
    clock,
    processes: processesOf(world, agent),
    commands: commandsOf(world, agent),
    journal: journalOf(world, agent),
    sightings: {
      latest: (store) => sightings.get(store) ?? null,
      save: (store, sighting) => void sightings.set(store, sighting),
      fileOf: (store) => store,
    },
    facts: factsOf(world, agent),
  };
}

function factsOf(world: World, agent: Agent): Facts {
  const { node, job } = agent;
  const { gates } = world.checks;
  return {
    wallNow: () => {
      const { wallMs } = node.moment();
      const windows = job.kind === "run" || job.kind === "resume" ? job.action.windows : [];
      gates.asked(agent, "window", isOpenAt(windows, wallMs));
      return wallMs;
    },
    zone: () => "UTC",
    file: async (path) => {
      await agent.pause("looks whether it is needed");
      gates.asked(agent, "needed", node.isNeeded);
      return { sign: "file", path, isThere: node.isNeeded };
    },
    changed: async () => ({ found: "no-process" }),
    outdated: async () => ({ found: "no-process" }),
    alerts: async ({ name }) => {
      await agent.pause("looks whether it is blocked");
      gates.asked(agent, "blockers", !node.isBlocked);
      return { type: "prometheus", name, alerts: node.isBlocked ? ["Fire"] : [] };
    },
  };
}

function sleep(world: World, agent: Agent, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const callOff = agent.after(ms, "", () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = (): void => {
      callOff();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function processesOf(world: World, agent: Agent): Processes {
  const { node, identity } = agent;
  const isAlive = (other: ProcessIdentity): boolean | null => {
    if (other.bootId !== node.bootId) return null;
    if ([...node.agents].some(({ identity: one }) => one.pid === other.pid)) return true;
    return node.groupOf(other)?.isAtWork ?? false;
  };
  return {
    self: identity,
    moment: () => node.moment(),
    isAlive,
    matching: async () => {
      await agent.pause("lists processes");
      agent.seenService = node.service;
      world.checks.commands.sawProcesses(agent);
      return [{ pid: 77, started: node.service }];
    },
    unseenCarriers: () => null,
    endCarriers: async (claim, _service, killAfterMs) => {
      const carriers = node.groups.filter((one) => one.claim === claim && one.leader.bootId === node.bootId && !one.nature.hides);
      for (const group of carriers) {
        await endGroup(group.leader, killAfterMs);
      }
    },
    endGroup,
  };
  async function endGroup(leader: ProcessIdentity, killAfterMs: number): Promise<void> {
    const group = leader.bootId === node.bootId ? node.groupOf(leader) : undefined;
    if (group === undefined || group.isGone) return;
    world.checks.commands.killed(group, agent);
    world.scheduler.say(agent.name, `ends the group of ${group.agent.name}`);
    node.end(group, killAfterMs);
    await new Promise<void>((resolve) => group.whenGone(() => agent.park("its group has ended", resolve)));
  }
}

function commandsOf(world: World, agent: Agent): Commands {
  const { node } = agent;
  return {
    run: async (spec, control) => {
      if (isAborted(control.signal) || isAborted(control.calledOff)) return neverStarted(CALLED_OFF);
      await agent.pause("");
      // Such as a program that is not there.
      if (world.choices.percent(world.troublePercent / 10)) return neverStarted("it could not be started");
      const group = groupFor(world, agent, spec);
      node.groups.push(group);
      const unsubscribe = control.relayed?.subscribe(() => node.end(group, Number.POSITIVE_INFINITY));
      try {
        await control.onGroup(group.leader);
        // Code that swallows this error is dead all the same.
        if (!agent.isAlive) throw new AgentKilled();
        if (isAborted(control.signal) || isAborted(control.calledOff)) {
          group.die("SIGKILL");
          return neverStarted(CALLED_OFF);
        }
        const { endsWith } = spec;
        if (endsWith !== undefined && endsWith.heldUntil() <= node.uptime()) {
          group.die("SIGKILL");
          return neverStarted("its claim may have ended before it started");
        }
        return await supervise(world, agent, group, spec, control.signal);
      } catch (error) {
        group.die("SIGKILL");
        throw error;
      } finally {
        unsubscribe?.();
      }
    },
  };
}

function groupFor(world: World, agent: Agent, spec: CommandSpec): Group {
  const [program] = spec.argv;
  const kind = program === "check" || program === "before" || program === "after" ? program : "main";
  const claim = spec.env["HOLDLINE_CLAIM"] ?? "";
  const locks = (spec.env["HOLDLINE_LOCK"] ?? "").split(" ");
  return new Group(
    agent.node.newProcess(),
    agent,
    kind,
    claim,
    Number(spec.env["HOLDLINE_FENCING_TOKEN"]),
    locks,
    spec.endsWith !== undefined,
    // What a caller of the library does is done by its own process, and nothing outside it watches over that.
    spec.argv[0] !== "several",
  );
}

function supervise(
  world: World,
  agent: Agent,
  group: Group,
  spec: CommandSpec,
  signal: AbortSignal | undefined,
): Promise<CommandEnd> {
  const { node } = agent;
  const { scheduler, choices } = world;
  return new Promise((resolve) => {
    const begunAt = scheduler.now;
    let timedOut = false;
    let isEnding = false;
    const end = (killAfterMs: number): void => {
      isEnding = true;
      node.end(group, killAfterMs);
    };
    const endInGrace = (): void => end(Math.min(spec.killAfterMs, spec.endsWith?.graceMs ?? spec.killAfterMs));
    signal?.addEventListener("abort", endInGrace, { once: true });
    const callOff =
      spec.timeoutMs === null
        ? () => undefined
        : agent.after(spec.timeoutMs, "the command's time is over", () => {
            timedOut = true;
            end(spec.killAfterMs);
          });
    group.onLeaderExit = () => {
      callOff();
      signal?.removeEventListener("abort", endInGrace);
      const report = (): void =>
        agent.park("learns that its command has ended", () => {
          const { exitCode, signal: killedBy } = group;
          group.hasReported = true;
          group.reportedAt = scheduler.now;
          world.checks.commands.ended(group, exitCode === 0 && !timedOut && killedBy === null);
          resolve({ exitCode, signal: killedBy, timedOut, startProblem: null, tail: "", ranMs: scheduler.now - begunAt });
        });
      // The leader may be gone before the rest of its group.
      if (isEnding) group.whenGone(report);
      else report();
    };
    const nature = drawNature(choices, group.kind, spec.timeoutMs !== null, world.troublePercent);
    node.begin(group, nature);
    const { endsWith } = spec;
    if (endsWith !== undefined && group.isWatched) node.watch(group, () => endsWith.heldUntil());
    scheduler.say(agent.name, `its ${group.what} begins under ${world.checks.nameOf(group.claim)}, token ${group.fencingToken}`);
    world.checks.commands.started(group);
  });
}

// As a function, so that it is looked at anew after an await.
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

const CALLED_OFF = "it was called off before it started";

function neverStarted(startProblem: string): CommandEnd {
  return { exitCode: null, signal: null, timedOut: false, startProblem, tail: "", ranMs: 0 };
}

function journalOf(world: World, agent: Agent): Journal {
  const { runs, attempts } = agent.node;
  /** A write to the disk, before or after which the process may be killed. */
  const write = (what: string, effect: () => void): void => {
    if (!agent.isAlive) throw new AgentKilled();
    const dies = world.mayFault() && world.choices.percent(2);
    const isDone = dies && world.choices.percent(50);
    if (!dies || isDone) effect();
    if (!dies) return world.scheduler.say(agent.name, `journal: ${what}`);
    world.noteFault(agent.name, `is killed ${isDone ? "after" : "before"} it has noted: ${what}`);
    agent.kill(true);
    throw new AgentKilled();
  };
  return {
    attempts: (action) => {
      const seen = attempts.get(action) ?? null;
      if (seen !== null) agent.hasSeenAttempts = true;
      agent.sawWish(seen?.latest ?? null);
      return seen;
    },
    addAttempt(action, moment) {
      const before = attempts.get(action);
      const now = { latest: before === undefined ? moment : laterOf(before.latest, moment), count: (before?.count ?? 0) + 1 };
      write(`an attempt at ${action}`, () => attempts.set(action, now));
      agent.hasNotedAttempt = true;
      return now;
    },
    clearAttempts: (action) => {
      if (attempts.has(action)) write(`no attempts at ${action}`, () => attempts.delete(action));
    },
    runs: (action) => [...(runs.get(action)?.values() ?? [])],
    saveRun: (entry: RunEntry) =>
      write(`${world.checks.nameOf(entry.claim)} is ${entry.phase}`, () => {
        const ofAction = runs.get(entry.action) ?? new Map<string, RunEntry>();
        runs.set(entry.action, ofAction.set(entry.claim, entry));
      }),
    removeRun: (action, claim) => {
      if (runs.get(action)?.has(claim) === true)
        write(`${world.checks.nameOf(claim)} is over`, () => runs.get(action)?.delete(claim));
    },
    actions: () => [...runs.keys()],
  };
}
