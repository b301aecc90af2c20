// The metrics of the fleet: nodes, rollouts, what is pending and what is frozen, as one caller may see it. The number of groups and of
// rollouts, and so of series, is bounded.
import { Gauge, Registry } from "prom-client";
import { ROLLOUT_STATES } from "../fleet/rollout.js";
import { shortened } from "../locks/text.js";
import { coursesIn, NODE_STATES, rolloutIn, statesOf } from "./fleet.js";
import type { Fleet, NodeState } from "./fleet.js";

// A fleet has a handful of groups, and some actions in each. Each group has 7 series, and each rollout 6.
const MOST_GROUPS = 200;
const MOST_ROLLOUTS = 100;
// Names come from the nodes' documents, and whoever writes those may write anything.
const LONGEST_LABEL = 255;

export function fleetGauges(fleet: Fleet): Registry {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const { freezes, isUnreadable } = fleet.freezes;
  gauge("holdline_freezes", "Freezes in force that can bind locks which the caller may see").set(freezes.length);
  gauge("holdline_freezes_unreadable", "1 while a store's freezes cannot be read, so that nothing begins there").set(
    isUnreadable ? 1 : 0,
  );
  gaugeNodes(fleet, gauge);
  gaugeRollouts(fleet, gauge);
  return registry;
}

type MakeGauge = <L extends string>(name: string, help: string, ...labelNames: L[]) => Gauge<L>;

function gaugeNodes(fleet: Fleet, gauge: MakeGauge): void {
  const nodes = gauge("holdline_nodes", "Nodes, by how the worst of their actions does", "group", "state");
  const oldest = gauge("holdline_oldest_pending_seconds", "For how long the oldest pending wish has been waiting", "group");
  const states = statesOf(fleet);
  // The largest groups first.
  const groups = [...fleet.byGroup].sort(([, one], [, other]) => other.length - one.length);
  gauge("holdline_groups_left_out", "Groups of nodes without metrics of their own, because there are too many").set(
    Math.max(0, groups.length - MOST_GROUPS),
  );
  for (const [name, members] of groups.slice(0, MOST_GROUPS)) {
    const group = shortened(name, LONGEST_LABEL);
    const counts = new Map<NodeState, number>(NODE_STATES.map((state) => [state, 0]));
    let pendingSince = Number.POSITIVE_INFINITY;
    for (const { node, actions } of members) {
      const state = states.get(node) ?? "idle";
      counts.set(state, (counts.get(state) ?? 0) + 1);
      for (const action of Object.values(actions)) pendingSince = Math.min(pendingSince, action.pendingSince ?? pendingSince);
    }
    for (const [state, count] of counts) nodes.inc({ group, state }, count);
    // 0 where nothing is pending, so that an alert that fires can end.
    oldest.set({ group }, Number.isFinite(pendingSince) ? Math.max(0, fleet.now - pendingSince) / 1_000 : 0);
  }
}

function gaugeRollouts(fleet: Fleet, gauge: MakeGauge): void {
  const nodes = gauge(
    "holdline_rollout_nodes",
    "Nodes of a group, by how far an action has come there",
    "group",
    "action",
    "state",
  );
  const courses = coursesIn(fleet);
  gauge("holdline_rollouts_left_out", "Older rollouts without metrics of their own, because there are too many").set(
    Math.max(0, courses.length - MOST_ROLLOUTS),
  );
  for (const course of courses.slice(0, MOST_ROLLOUTS)) {
    const { counts } = rolloutIn(fleet, course, null);
    const group = shortened(course.group, LONGEST_LABEL);
    const action = shortened(course.action, LONGEST_LABEL);
    for (const state of ROLLOUT_STATES) nodes.inc({ group, action, state }, counts[state]);
  }
}
