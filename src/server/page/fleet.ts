// What the page of the fleet shows one reader: chosen from the mirror, and no more than a page holds.
import type { FleetQuery, FleetShown, GroupShown, NodeShown, StateCounts } from "../../page/fleet.js";
import { nodeAsJson, rolloutAsJson } from "../../views/fleet.js";
import type { Caller } from "../access.js";
import type { MirroredNode } from "../documents-copy.js";
import { coursesIn, fleetSeenBy, NODE_STATES, rolloutIn, statesOf } from "../fleet.js";
import type { Course, Fleet, NodeState } from "../fleet.js";
import type { Mirror } from "../mirror.js";

// More than people read, and few enough to send once a second.
const MOST_ROLLOUTS = 20;
const MOST_NODES = 100;

export function fleetShownTo(caller: Caller, mirror: Mirror, query: FleetQuery): FleetShown {
  const fleet = fleetSeenBy(caller, mirror);
  const states = statesOf(fleet);
  const courses = coursesIn(fleet).filter(({ group }) => query.group === "" || group === query.group);
  const wanted = fleet.nodes.filter((node) => matches(query, node, states.get(node.node.node)));
  const urgent = NODE_STATES.flatMap((state) => wanted.filter(({ node }) => states.get(node.node) === state));
  const chosen = courseOf(courses, query);
  return {
    groups: groupsOf(fleet, states),
    rollouts: courses.slice(0, MOST_ROLLOUTS).map((course) => rolloutAsJson(rolloutIn(fleet, course, null))),
    moreRollouts: Math.max(0, courses.length - MOST_ROLLOUTS),
    chosen: chosen === null ? null : rolloutAsJson(rolloutIn(fleet, chosen, null)),
    nodes: urgent
      .slice(0, MOST_NODES)
      .map(({ node }): NodeShown => ({ node: nodeAsJson(node), state: stateIn(states, node.node) })),
    matching: wanted.length,
  };
}

/** The rollout that was asked for. Without a group it has to be the only one of the action. */
function courseOf(courses: readonly Course[], { action }: FleetQuery): Course | null {
  const [course, ...others] = courses.filter((one) => one.action === action);
  return course === undefined || others.length > 0 ? null : course;
}

function groupsOf({ byGroup }: Fleet, states: ReadonlyMap<string, NodeState>): readonly GroupShown[] {
  const groups = [...byGroup].map(([group, nodes]): GroupShown => {
    const counts = Object.fromEntries(NODE_STATES.map((state) => [state, 0])) as { -readonly [S in keyof StateCounts]: number };
    for (const { node } of nodes) counts[stateIn(states, node)] += 1;
    return { group, nodes: nodes.length, states: counts };
  });
  return groups.sort(({ group: one }, { group: other }) => (one < other ? -1 : Number(one > other)));
}

function stateIn(states: ReadonlyMap<string, NodeState>, node: string): NodeState {
  return states.get(node) ?? "idle";
}

function matches({ group, find, state }: FleetQuery, { node }: MirroredNode, its: NodeState | undefined): boolean {
  if (group !== "" && node.group !== group) return false;
  if (state !== "" && its !== state) return false;
  const wanted = find.trim().toLowerCase();
  return wanted === "" || textsOf(node).includes(wanted);
}

/** What is looked for, in lower case, kept because most nodes stay the same between two requests. */
const texts = new WeakMap<MirroredNode["node"], string>();

function textsOf(node: MirroredNode["node"]): string {
  const known = texts.get(node);
  if (known !== undefined) return known;
  const actions = Object.entries(node.actions).flatMap(([name, { outcome, message }]) => [
    name,
    outcome.replaceAll("-", " "),
    message,
  ]);
  const made = [node.node, node.group, node.version, ...actions].join("\n").toLowerCase();
  texts.set(node, made);
  return made;
}
