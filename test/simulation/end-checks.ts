// What must be true when a simulated process is done, and when everything is: nothing is left, nothing is claimed that was
// not so, and everything is recorded once.
import { actionOf, decodeNode, documentOfNode } from "../../src/fleet/node.js";
import type { RunEntry } from "../../src/actions/machine.js";
import { type Agent, type JobEnd, RELEASE_TIMEOUT_MS } from "./agent.js";
import type { Job } from "./scenario.js";
import type { SeenEntry } from "./store.js";
import type { World } from "./world.js";

// Each but the last is answered that somebody has changed the claim, which people do some few times.
const MOST_CHANGES = 6;

/** What is said where a gate is shut: the wish stands, and nothing is held. */
const SHUT = ["frozen", "outside-window", "blocked"];

/** Ephemeral claims that a process has in a session that it has not given up. */
export function ephemeralOf(world: World, agent: Agent): readonly SeenEntry[] {
  const session = agent.coordinator?.session ?? null;
  if (session === null || session.lost.aborted) return [];
  return world.store.present().filter((entry) => entry.session === session.id);
}

/** A process has told its caller how its job has ended. */
export function checkJob(world: World, agent: Agent, { outcome }: JobEnd): void {
  const { store, checks } = world;
  const { stories, commands } = checks;
  const { job } = agent;
  if (outcome === "frozen" && job.kind !== "lease") checks.freezes.saysFrozen(agent, locksOf(job));
  if (outcome === "claim gone" && checks.endedTheirs.has(agent.name))
    checks.fail(`${agent.name} is told that its claim is gone, which it has ended itself`);
  if (job.kind !== "run" && job.kind !== "resume") return;
  const done = commands.successesOf(agent);
  const last = job.action.verify === null ? "main" : "check";
  if (outcome === "ran" && !done.some(({ kind }) => kind === last)) checks.fail(`${agent.name} says that it ran, and did not`);
  const hasStarted = commands.hasStarted(agent);
  // One that is asked to end while its success soaks says so.
  const mayHaveRun = outcome === "interrupted" && job.action.soakMs > 0 && done.some(({ kind }) => kind === last);
  if (["timed-out", "interrupted", "already-done", "nothing to do"].includes(outcome) && hasStarted && !mayHaveRun) {
    checks.fail(`${agent.name} says "${outcome}", but has started a command`);
  }
  if (outcome === "frozen") checks.freezes.hasGivenUp(agent, job.action);
  const isNotBegun =
    ["timed-out", "not-now", ...SHUT].includes(outcome) || (outcome === "unreachable" && agent.coordinator === null);
  if (job.kind === "run" && isNotBegun && !agent.hasNotedAttempt)
    checks.fail(`${agent.name} says "${outcome}", and has not noted that the action is still to be run`);
  if (outcome === "outside-window") checks.gates.saysShut(agent, "window");
  if (outcome === "not-needed") checks.gates.saysShut(agent, "needed");
  if (outcome === "blocked" && job.action.acquire.behindFailed !== "leave") checks.gates.saysShut(agent, "blockers");
  if (outcome === "ran") demandTold(world, agent, job.action.name);
  if (!mayHaveRun) demandNothingHeld(world, agent, outcome);
  if (outcome === "unreachable") {
    // The release is tried again until its time is over: from then on the journal has to do.
    const succeeded = done.filter(({ kind }) => kind === last).at(-1);
    const triedForMs = succeeded === undefined ? Infinity : world.scheduler.now - succeeded.reportedAt;
    if (triedForMs < RELEASE_TIMEOUT_MS) checks.fail(`${agent.name} gives up its release after ${triedForMs} ms`);
    const answers = agent.link.answered.get("leave") ?? 0;
    if (answers > MOST_CHANGES)
      checks.fail(`${agent.name} could not let go of its claim although it was answered ${answers} times`);
    return;
  }
  // While it soaks it does not look at its claim, which somebody may have cleared.
  if (mayHaveRun) return;
  const held = new Set(store.present().map(({ id }) => id));
  for (const entry of agent.node.runs.get(job.action.name)?.values() ?? []) {
    if (entry.agent.pid === agent.identity.pid && !held.has(entry.claim)) {
      checks.fail(`${agent.name} is done, and its journal still speaks of ${stories.nameOf(entry.claim)}, which is gone`);
    }
  }
}

function locksOf(job: Job): readonly string[] {
  if (job.kind === "run" || job.kind === "resume") return [job.action.lock];
  return job.kind === "exec" ? [job.spec.lock] : [];
}

/** The fleet hears of what was done, where the store took that. */
function demandTold({ store, checks, scheduler }: World, agent: Agent, action: string): void {
  if (!agent.link.wasAlwaysOpen || store.hasRefused) return;
  const node = decodeNode(store.document(documentOfNode(agent.node.hostName))?.value ?? "");
  const told = node === null ? undefined : actionOf(node, action);
  if (told === undefined) return checks.fail(`${agent.name} ran ${action}, and its node's document does not say so`);
  // Another run of that node may have told of itself since.
  const isOld = told.at < store.now() - (scheduler.now - agent.startedAt);
  if (isOld) checks.fail(`${agent.name} ran ${action}, and its node's document tells of an earlier run`);
}

/** A job that says that nothing was done holds nothing, where it could reach the store. */
function demandNothingHeld(world: World, agent: Agent, outcome: string): void {
  if (
    !["timed-out", "interrupted", "not-now", ...SHUT, "nothing to do"].includes(outcome) ||
    !agent.link.wasAlwaysOpen ||
    agent.link.isBusy
  )
    return;
  const { stories } = world.checks;
  for (const entry of world.store.present()) {
    const story = stories.of(entry.id);
    // What was adopted was left by somebody else, and stays left.
    if (entry.session !== null || story === undefined || story.adopted !== null || !stories.isOwner(entry, agent.name)) continue;
    world.checks.fail(`${agent.name} says "${outcome}" and keeps ${story.name} on ${entry.lock}`);
  }
}

/**
 * After everything: nothing is left, and everything was recorded once.
 * @param ended how often each claim has ended on each lock, by "claim lock"
 */
export function checkEnd(world: World, ended: ReadonlyMap<string, number>): void {
  const { store, nodes, checks } = world;
  const { stories } = checks;
  for (const entry of store.present()) checks.fail(`in the end ${stories.nameOf(entry.id)} is still on ${entry.lock}`);
  const recorded = new Map<string, number>();
  for (const { claim, lock, isKept, event } of store.history(null, Number.POSITIVE_INFINITY)) {
    if (isKept || event === "frozen" || event === "thawed") continue;
    recorded.set(`${claim} ${lock}`, (recorded.get(`${claim} ${lock}`) ?? 0) + 1);
  }
  for (const place of new Set([...recorded.keys(), ...ended.keys()])) {
    const expected = checks.unrecorded.has(place) ? undefined : 1;
    if (recorded.get(place) !== expected || ended.get(place) !== 1) {
      const [claim, lock] = place.split(" ") as [string, string];
      checks.fail(
        `${stories.nameOf(claim)} has ended ${ended.get(place) ?? 0} times on ${lock}, and is recorded ${recorded.get(place) ?? 0} times`,
      );
    }
  }
  for (const node of nodes) {
    for (const action of node.attempts.keys()) checks.fail(`in the end ${node.name} still has to make up for ${action}`);
    for (const run of [...node.runs.values()].flatMap((runs): RunEntry[] => [...runs.values()])) {
      checks.fail(`in the end the journal of ${node.name} still speaks of ${stories.nameOf(run.claim)}`);
    }
  }
}
