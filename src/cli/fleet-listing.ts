// Renders nodes and rollouts for people. Names and messages come from others, and are made safe for terminals by the tables.
import type { NodeAction, NodeDocument } from "../fleet/node.js";
import { isFulfilled } from "../fleet/node.js";
import { ROLLOUT_STATES, type Rollout, type RolloutNode, type RolloutState } from "../fleet/rollout.js";
import { formatDuration, isoTime } from "../locks/durations.js";
import type { Colour } from "./io.js";
import { ago, type Cell, sanitize, truncate, widthOf } from "./render.js";
import { type Column, renderTable, renderText, type Row, type View } from "./table.js";

const NODE_COLUMNS: readonly Column[] = [
  { heading: "NODE" },
  { heading: "GROUP" },
  { heading: "SEEN", label: "seen" },
  { heading: "ACTION" },
  { heading: "LAST" },
  { heading: "WHEN" },
  { heading: "WHY" },
];

/** Nodes as lines of text, with what became last of each of their actions. */
export function renderNodes(nodes: readonly NodeDocument[], now: number, view: View): string[] {
  const when = (at: number) => (view.isExact ? isoTime(at) : ago(at, now));
  const rows = nodes.flatMap(({ node, group, seenAt, version, machine, actions }): Row[] => {
    const about = [node, group, when(seenAt)];
    const notes: Cell[] = view.isExact ? [dim(`version ${version}${machine === null ? "" : `, machine ${machine}`}`, view)] : [];
    const named = Object.entries(actions);
    if (named.length === 0) return [{ cells: [...about, "", "", "", ""], notes }];
    return named.map(([name, action], index) => ({
      cells: [...(index === 0 ? about : ["", "", ""]), name, lastOf(action, view), when(action.at), whyOf(action, when)],
      notes: index === named.length - 1 ? notes : [],
    }));
  });
  return renderTable(NODE_COLUMNS, rows, view);
}

function lastOf(action: NodeAction, view: View): Cell {
  const colour = isFulfilled(action) ? "green" : action.outcome === "failed" ? "red" : "yellow";
  return { text: action.outcome.replaceAll("-", " "), paint: (text) => view.paint(colour, text) };
}

function whyOf({ message, pendingSince }: NodeAction, when: (at: number) => string): string {
  const pending = pendingSince === null ? "" : `pending since ${when(pendingSince)}`;
  return [pending, message].filter((words) => words !== "").join(": ");
}

const WORDS: { readonly [S in RolloutState]: { readonly word: string; readonly colour: Colour; readonly mark: string } } = {
  done: { word: "done", colour: "green", mark: "=" },
  running: { word: "running", colour: "green", mark: ">" },
  failed: { word: "failed", colour: "red", mark: "!" },
  waiting: { word: "waiting", colour: "dim", mark: "." },
  pending: { word: "pending", colour: "yellow", mark: "." },
  notYet: { word: "not yet", colour: "dim", mark: "." },
};

// What somebody has to look at comes first.
const SHOWN: readonly RolloutState[] = ["failed", "running", "pending", "waiting", "notYet", "done"];
const ROLLOUT_COLUMNS: readonly Column[] = [
  { heading: "STATE" },
  { heading: "NODES" },
  { heading: "SINCE", label: "since" },
  { heading: "WHY" },
];

/** A rollout as lines of text: how far it is, and who is not done, and why. With `-v` every node has a row of its own. */
export function renderRollout(rollout: Rollout, now: number, view: View): string[] {
  const rows = SHOWN.flatMap((state) => {
    const nodes = rollout.each.filter((one) => one.state === state);
    if (view.isExact) return nodes.map((one) => rowOf(state, [one], now, view));
    // Done is done: those rows would be most of the listing.
    return state === "done" ? [] : byReason(nodes).map((alike) => rowOf(state, alike, now, view));
  });
  return [...renderProgress(rollout, now, view), ...(rows.length === 0 ? [] : ["", ...renderTable(ROLLOUT_COLUMNS, rows, view)])];
}

/** How far a rollout is, in two lines and a bar. */
function renderProgress(rollout: Rollout, now: number, view: View): string[] {
  const { action, group, since, counts, each } = rollout;
  const began = since === null ? "" : `, since ${view.isExact ? isoTime(since) : ago(since, now)}`;
  const share = each.length === 0 ? 0 : Math.floor((counts.done * 100) / each.length);
  return [
    ...renderText({ text: `${action} in group ${group}${began}`, paint: (text) => view.paint("bold", text) }, view),
    `${barOf(rollout, view)} ${share} %`,
    ...renderText(progressWords(rollout), view),
  ];
}

/** "12 of 40 nodes are done, 1 failed, 2 running, 25 waiting; about 14 min left". */
export function progressWords({ counts, each, etaMs }: Rollout): string {
  const others = SHOWN.flatMap((state) =>
    state === "done" || counts[state] === 0 ? [] : [`${counts[state]} ${WORDS[state].word}`],
  );
  const left = etaMs === null ? "" : etaMs === 0 ? "; over" : `; about ${formatDuration(etaMs)} left`;
  const nodes = each.length === 1 ? "node is" : "nodes are";
  return `${[`${counts.done} of ${each.length} ${nodes} done`, ...others].join(", ")}${left}`;
}

const WIDEST_BAR = 40;
const BESIDE_BAR = "[] 100 %".length;

function barOf({ counts, each }: Rollout, view: View): string {
  const width = Math.max(1, Math.min(WIDEST_BAR, view.columns - BESIDE_BAR));
  // Where each state ends, so that the parts always fill the bar.
  let before = 0;
  let shown = 0;
  const parts = [...ROLLOUT_STATES]
    .sort((one, other) => BAR_ORDER.indexOf(one) - BAR_ORDER.indexOf(other))
    .map((state) => {
      before += counts[state];
      const until = each.length === 0 ? 0 : Math.round((before * width) / each.length);
      const part = WORDS[state].mark.repeat(until - shown);
      shown = until;
      return view.paint(WORDS[state].colour, part);
    });
  return `[${parts.join("")}${" ".repeat(width - shown)}]`;
}

const BAR_ORDER: readonly RolloutState[] = ["done", "failed", "running", "waiting", "pending", "notYet"];

/** Nodes that say the same, together: after a freeze, hundreds do. */
function byReason(nodes: readonly RolloutNode[]): readonly (readonly RolloutNode[])[] {
  const groups = new Map<string, RolloutNode[]>();
  for (const node of nodes) {
    const reason = node.message.replace(LAST_SEEN, UNSEEN).replace(AMOUNTS, "#");
    const alike = groups.get(reason);
    if (alike === undefined) groups.set(reason, [node]);
    else alike.push(node);
  }
  return [...groups.values()];
}

// Places in line and times that have passed differ from node to node where the reason is one. Times of day and exit codes stay.
const AMOUNTS = /\b\d+(?:\.\d+)?(?: (?:ms|s|min|h|d)\b|st\b|nd\b|rd\b|th\b)(?: \d+ (?:s|min|h)\b)?/g;

const LAST_SEEN = /^last seen .*/;
const UNSEEN = "last seen before it began";

// The names of a few say enough where many say the same.
const NAMES_WIDTH = 48;

function rowOf(state: RolloutState, nodes: readonly RolloutNode[], now: number, view: View): Row {
  const { word, colour } = WORDS[state];
  const message = nodes[0]?.message ?? "";
  const times = nodes.flatMap(({ at }) => at ?? []);
  const oldest = times.length === 0 ? null : Math.min(...times);
  const cells: Cell[] = [
    { text: word, paint: (text) => view.paint(colour, text) },
    namesOf(nodes.map(({ node }) => sanitize(node))),
    oldest === null ? "" : view.isExact ? isoTime(oldest) : ago(oldest, now),
    // Of several, each was seen at its own time.
    nodes.length === 1 ? message : message.replace(LAST_SEEN, UNSEEN),
  ];
  return { cells, notes: [] };
}

function namesOf(names: readonly string[]): string {
  const shown: string[] = [];
  let width = 0;
  for (const name of names) {
    width += widthOf(name) + 2;
    if (shown.length > 0 && width > NAMES_WIDTH) break;
    shown.push(name);
  }
  const more = names.length - shown.length;
  return `${shown.length === 1 ? truncate(shown[0] as string, NAMES_WIDTH) : shown.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

function dim(text: string, view: View): Cell {
  return { text, paint: (shown) => view.paint("dim", shown) };
}

/** What has changed between two looks, a line for each node: for logs. */
export function renderRolloutChange(rollout: Rollout, before: Rollout): string[] {
  const known = new Map(before.each.map((one) => [one.node, one]));
  const changed = rollout.each.filter(({ node, state, message }) => {
    const old = known.get(node);
    return old?.state !== state || old.message !== message;
  });
  const words = changed.map(({ node, state, message }) => `${node}: ${WORDS[state].word}${message === "" ? "" : `, ${message}`}`);
  return [progressWords(rollout), ...words.map((line) => sanitize(line))];
}
