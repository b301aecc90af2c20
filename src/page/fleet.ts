// The fleet as HTML: groups with their rollouts, one rollout in full, and nodes. The server alone makes it; the page's script asks for
// it anew when something changes. Pure.
import { formatDuration, isoTime } from "../locks/durations.js";
import { sanitize, shortened } from "../locks/text.js";
import type { NodeJson, RolloutJson } from "../views/fleet.js";
import { age, moment } from "./ages.js";
import { html, joined, said } from "./html.js";
import type { Html } from "./html.js";
import { counted, nodeBadge, NODE_WORDS, ROLLOUT_WORDS } from "./words.js";
import type { NodeState, RolloutState } from "./words.js";

/** What of the fleet is asked for, in an address. */
export interface FleetQuery {
  /** "" for all. */
  readonly group: string;
  /** The action whose rollout is shown in full; "" for none. */
  readonly action: string;
  /** A text in the nodes; "" for all. */
  readonly find: string;
  readonly state: NodeState | "";
}

export function parseFleetQuery(query: { get(name: string): string | null }): FleetQuery {
  const state = query.get("state") ?? "";
  return {
    ...{ group: query.get("group") ?? "", action: query.get("action") ?? "", find: query.get("find") ?? "" },
    state: Object.hasOwn(NODE_WORDS, state) ? (state as NodeState) : "",
  };
}

/** How many nodes are in each state. */
export type StateCounts = { readonly [S in NodeState]: number };

export interface GroupShown {
  readonly group: string;
  readonly nodes: number;
  readonly states: StateCounts;
}

export interface NodeShown {
  readonly node: NodeJson;
  readonly state: NodeState;
}

/** The fleet as one reader sees it. */
export interface FleetShown {
  readonly groups: readonly GroupShown[];
  /** The newest first. */
  readonly rollouts: readonly RolloutJson[];
  /** How many there are beside these. */
  readonly moreRollouts: number;
  /** The one that was asked for; `null` where none was, or nothing is known of it. */
  readonly chosen: RolloutJson | null;
  /** The first of those that match. */
  readonly nodes: readonly NodeShown[];
  readonly matching: number;
}

// As many as people read, and a phone lays out quickly.
const MOST_GROUPS = 100;
const MOST_EACH = 50;
const MOST_ACTIONS = 8;
const LONGEST_MESSAGE = 300;
const LONGEST_NAME = 120;

/** What the script replaces when something changes. */
export function fleetContent(shown: FleetShown, query: FleetQuery, now: number): Html {
  const { groups, rollouts, moreRollouts, chosen, nodes, matching } = shown;
  return html`<p id="summary">${summaryWords(groups)}</p>
    ${query.action === "" ? null : chosenSection(chosen, query, now)}
    <h2 id="rollouts">Rollouts</h2>
    ${
      rollouts.length === 0
        ? html`<p class="nothing">No node has told of an action yet.</p>`
        : html`<ul class="rollouts" role="list" aria-labelledby="rollouts">
            ${rollouts.map((rollout) => rolloutItem(rollout, now))}
          </ul>`
    }
    ${moreRollouts > 0 ? html`<p class="rest">and ${counted(moreRollouts, "older rollout")}</p>` : null}
    ${groups.length > 1 ? groupsList(groups) : null}
    <h2 id="nodes-title">Nodes</h2>
    <p id="found" role="status">${nodesWords(matching, nodes.length, groups)}</p>
    <ul id="nodes" class="nodes" role="list" aria-labelledby="nodes-title">
      ${nodes.map(({ node, state }) => nodeItem(node, state, now))}
    </ul>`;
}

function summaryWords(groups: readonly GroupShown[]): string {
  const all = groups.reduce((sum, { nodes }) => sum + nodes, 0);
  if (all === 0) return "No node has told of itself yet.";
  const states = stateWords(totalOf(groups));
  return `${counted(all, "node")} in ${counted(groups.length, "group")}: ${states}.`;
}

function totalOf(groups: readonly GroupShown[]): StateCounts {
  const sum = (state: NodeState): number => groups.reduce((all, { states }) => all + states[state], 0);
  return Object.fromEntries(STATES.map((state) => [state, sum(state)])) as StateCounts;
}

const STATES = Object.keys(NODE_WORDS) as readonly NodeState[];

function stateWords(states: StateCounts): string {
  return STATES.flatMap((state) => (states[state] === 0 ? [] : [`${states[state]} ${NODE_WORDS[state].word}`])).join(", ");
}

function nodesWords(matching: number, shown: number, groups: readonly GroupShown[]): string {
  const all = groups.reduce((sum, { nodes }) => sum + nodes, 0);
  const first = shown < matching ? `, the first ${shown} of which are shown` : "";
  return matching === all
    ? `${counted(all, "node")}${first}`
    : `${matching.toLocaleString("en")} of ${counted(all, "node")}${first}`;
}

function groupsList(groups: readonly GroupShown[]): Html {
  return html`<h2 id="groups">Groups</h2>
    <ul class="groups" role="list" aria-labelledby="groups">
      ${groups
        .slice(0, MOST_GROUPS)
        .map(
          ({ group, nodes, states }) =>
            html`<li>
              <a href="${fleetAddress({ group })}" data-key="group-${group}">${cut(group, LONGEST_NAME)}</a>:
              ${counted(nodes, "node")} (${stateWords(states)})
            </li>`,
        )}
    </ul>
    ${groups.length > MOST_GROUPS ? html`<p class="rest">and ${groups.length - MOST_GROUPS} more</p>` : null}`;
}

/** The address of the fleet's page with a query. */
export function fleetAddress(query: Partial<FleetQuery>): string {
  const given = Object.entries(query).filter(([, value]) => value !== "");
  return given.length === 0 ? "/fleet" : `/fleet?${new URLSearchParams(given).toString()}`;
}

function rolloutItem(rollout: RolloutJson, now: number): Html {
  const { action, group } = rollout;
  return html`<li class="rollout${rollout.failed > 0 ? " stuck" : ""}">
    <h3>
      <a href="${fleetAddress({ group, action })}" data-key="rollout-${group}-${action}">${cut(action, LONGEST_NAME)}</a> in
      ${cut(group, LONGEST_NAME)}
    </h3>
    ${progress(rollout, now)}
  </li>`;
}

function progress(rollout: RolloutJson, now: number): Html {
  const { nodes, done, since } = rollout;
  return html`${bar(rollout)}
    <p>
      <strong>${done} of ${nodes}</strong>
      done${countWords(rollout)}${since === null ? null : html`; begun ${age("ago", since, now)}`}${etaWords(rollout, now)}
    </p>`;
}

function countWords(rollout: RolloutJson): string {
  const others = (["failed", "running", "waiting", "pending", "notYet"] as const).filter((state) => rollout[state] > 0);
  return others.map((state) => `, ${rollout[state]} ${ROLLOUT_WORDS[state].word}`).join("");
}

function etaWords({ etaMs, done, nodes }: RolloutJson, now: number): Html | null {
  if (done === nodes || etaMs === null) return null;
  return html`; at this pace over ${age("until", isoTime(now + etaMs), now)}`;
}

// In the order of the bar.
const BAR = ["done", "running", "waiting", "pending", "failed"] as const;

/** A bar in pieces; the words beside it say the same. */
function bar(rollout: RolloutJson): Html {
  const { nodes, done } = rollout;
  let from = 0;
  const pieces = BAR.map((state) => {
    const width = nodes === 0 ? 0 : (100 * rollout[state]) / nodes;
    const piece = html`<rect class="${state}" x="${from}" y="0" width="${width}" height="4" />`;
    from += width;
    return piece;
  });
  return html`<svg
    class="bar"
    viewBox="0 0 100 4"
    preserveAspectRatio="none"
    role="img"
    aria-label="${done} of ${nodes} done, ${rollout.failed} failed"
  >
    ${pieces}
  </svg>`;
}

function chosenSection(chosen: RolloutJson | null, { action, group }: FleetQuery, now: number): Html {
  const where = group === "" ? null : html` in ${cut(group, LONGEST_NAME)}`;
  if (chosen === null) {
    return html`<section class="chosen" aria-label="Rollout">
      <h2>${cut(action, LONGEST_NAME)}${where}</h2>
      <p>Nothing is known of it${group === "" ? "; choose a group" : ""}.</p>
    </section>`;
  }
  const lists = (["failed", "pending", "running", "waiting", "notYet"] as const).flatMap(
    (state) => eachList(chosen, state, now) ?? [],
  );
  return html`<section class="chosen" aria-label="Rollout">
    <h2>${cut(chosen.action, LONGEST_NAME)} in ${cut(chosen.group, LONGEST_NAME)}</h2>
    ${progress(chosen, now)} ${chosen.since === null ? null : html`<p class="by">since ${moment(chosen.since)}</p>`} ${lists}
  </section>`;
}

function eachList({ each }: RolloutJson, state: RolloutState, now: number): Html | null {
  const those = each.filter((one) => one.state === state);
  if (those.length === 0) return null;
  const shown = those.slice(0, MOST_EACH).map(({ node, at, message }) => {
    const time = at === null ? null : html` <span class="when">${age(state === "failed" ? "ago" : "for", at, now)}</span>`;
    const why = message === "" ? null : html`: <span class="why">${cut(message, LONGEST_MESSAGE)}</span>`;
    return html`<li><strong>${cut(node, LONGEST_NAME)}</strong>${time}${why}</li>`;
  });
  const { symbol, word } = ROLLOUT_WORDS[state];
  return html`<h3 class="${state}"><span aria-hidden="true">${symbol}</span> ${those.length} ${word}</h3>
    <ul class="each ${state}" role="list">
      ${shown}
    </ul>
    ${those.length > MOST_EACH ? html`<p class="rest">and ${those.length - MOST_EACH} more</p>` : null}`;
}

function nodeItem({ node, group, version, seenAt, actions }: NodeJson, state: NodeState, now: number): Html {
  const all = Object.entries(actions).sort(([, one], [, other]) => (one.at < other.at ? 1 : -1));
  const more = all.length - MOST_ACTIONS;
  return html`<li class="node${state === "failed" ? " stuck" : ""}" data-node="${node}">
    <p>
      ${nodeBadge(state)} <strong>${cut(node, LONGEST_NAME)}</strong> in
      <a href="${fleetAddress({ group })}" data-key="node-${node}">${cut(group, LONGEST_NAME)}</a>, seen ${age("ago", seenAt, now)},
      version ${cut(version, LONGEST_NAME)}
    </p>
    ${
      all.length === 0
        ? null
        : html`<ul class="actions" role="list">
            ${all.slice(0, MOST_ACTIONS).map(([name, action]) => actionItem(name, action, now))}
          </ul>`
    }
    ${more > 0 ? html`<p class="rest">and ${counted(more, "more action")}</p>` : null}
  </li>`;
}

function actionItem(name: string, action: NodeJson["actions"][string], now: number): Html {
  const { outcome, at, ranMs, message, pendingSince } = action;
  const facts = [
    html`${cut(outcome.replaceAll("-", " "), LONGEST_NAME)} ${age("ago", at, now)}`,
    ...(ranMs === null ? [] : [html`took ${formatDuration(ranMs)}`]),
    ...(pendingSince === null ? [] : [html`<strong>pending</strong> for ${age("for", pendingSince, now)}`]),
    ...(message === "" ? [] : [html`<span class="why">${cut(message, LONGEST_MESSAGE)}</span>`]),
  ];
  return html`<li class="${outcome === "failed" ? "failure" : ""}">${cut(name, LONGEST_NAME)}: ${joined(facts, ", ")}</li>`;
}

function cut(text: string, longest: number): Html {
  return said(shortened(text, longest));
}

/** The filter, as a form that also works without JavaScript. */
export function fleetForm({ group, action, find, state }: FleetQuery, groups: readonly GroupShown[]): Html {
  const option = (value: string, chosen: string, word: string): Html =>
    value === chosen
      ? html`<option value="${value}" selected>${sanitize(shortened(word, LONGEST_NAME))}</option>`
      : html`<option value="${value}">${sanitize(shortened(word, LONGEST_NAME))}</option>`;
  const names = groups.slice(0, MOST_GROUPS).map((one) => one.group);
  const offered = group === "" || names.includes(group) ? names : [group, ...names];
  return html`<form class="filters" id="fleet-filter" method="get" action="/fleet" role="search">
    <label
      >Find
      <input
        type="search"
        name="find"
        value="${find}"
        autocomplete="off"
        spellcheck="false"
        placeholder="node, action, message, version"
    /></label>
    <label
      >Group
      <select name="group">
        ${option("", group, "all")} ${offered.map((name) => option(name, group, name))}
      </select></label
    >
    <label
      >State
      <select name="state">
        ${option("", state, "all")} ${STATES.map((one) => option(one, state, NODE_WORDS[one].word))}
      </select></label
    >
    ${action === "" ? null : html`<input type="hidden" name="action" value="${action}" />`}
    <button>Show</button>
  </form>`;
}
