// What must be true of the gates of a simulated fleet: nothing joins a line or begins behind a gate that was shut when it was asked last,
// and it is asked late enough. Judges windows in its own words.
import type { WindowSettings } from "../../src/gates/windows.js";
import type { GuardedAction } from "../../src/actions/action.js";
import type { Agent } from "./agent.js";
import type { Group } from "./node.js";
import type { World } from "./world.js";

export type AskedGate = "needed" | "window" | "blockers";

/** What a gate has answered last, and after which transaction of the store. */
interface Answer {
  readonly isOpen: boolean;
  readonly at: number;
}

const DAY_MS = 86_400_000;

export class GateChecks {
  readonly #world: World;
  readonly #fail: (what: string) => void;
  readonly #answers = new Map<Agent, Map<AskedGate, Answer>>();

  constructor(world: World, fail: (what: string) => void) {
    this.#world = world;
    this.#fail = fail;
  }

  /** A process looks at its surroundings. */
  asked(agent: Agent, gate: AskedGate, isOpen: boolean): void {
    const answers = this.#answers.get(agent) ?? new Map<AskedGate, Answer>();
    this.#answers.set(agent, answers.set(gate, { isOpen, at: this.#world.store.revision }));
  }

  /** No place in line is held while a gate is shut. */
  joined(by: string): void {
    const agent = this.#world.agents.get(by);
    if (agent?.job.kind !== "run" && agent?.job.kind !== "resume") return;
    for (const gate of gatesOf(agent.job.action)) this.#demandOpen(agent, gate, 0, `${by} joins the line`);
  }

  /** A command or a hook begins: the gates were open at the turn of its claim, or after it was taken up. */
  begun(group: Group): void {
    const { agent, claim, kind, fencingToken } = group;
    if (agent.job.kind !== "run" && agent.job.kind !== "resume") return;
    const { action } = agent.job;
    if (kind !== (action.before === null ? "main" : "before")) return;
    const { stories } = this.#world.checks;
    const story = stories.of(claim);
    const isAdopted = story?.adoptedBy === agent.name;
    const entry = this.#world.store.stored(action.lock).find(({ id }) => id === claim);
    const since = isAdopted ? fencingToken : entry === undefined ? 0 : stories.heldSince(entry);
    // What was left may have to be put in order although nothing else needs it.
    const gates = gatesOf(action).filter((gate) => !(isAdopted && gate === "needed"));
    for (const gate of gates) this.#demandOpen(agent, gate, since, `the ${group.what} of ${agent.name} starts`);
  }

  /** A process says that it has not begun because a gate was shut. */
  saysShut(agent: Agent, gate: AskedGate): void {
    if (this.#answers.get(agent)?.get(gate)?.isOpen !== false)
      this.#fail(`${agent.name} says that its gate ${gate} is shut, and it is not`);
  }

  #demandOpen(agent: Agent, gate: AskedGate, since: number, does: string): void {
    const answer = this.#answers.get(agent)?.get(gate);
    if (answer === undefined || answer.at < since)
      return this.#fail(`${does} without having asked the gate ${gate} since its turn`);
    if (!answer.isOpen) this.#fail(`${does} although the gate ${gate} is shut`);
  }
}

function gatesOf({ needed, windows, blockers }: GuardedAction): readonly AskedGate[] {
  return [
    ...(needed === null ? [] : (["needed"] as const)),
    ...(windows.length === 0 ? [] : (["window"] as const)),
    ...(blockers.length === 0 ? [] : (["blockers"] as const)),
  ];
}

/** Windows of the simulation open every day, by UTC. @param wallMs since 1970 */
export function isOpenAt(windows: readonly WindowSettings[], wallMs: number): boolean {
  return windows.some(({ startMinute, forMs }) => (((wallMs - startMinute * 60_000) % DAY_MS) + DAY_MS) % DAY_MS < forMs);
}
