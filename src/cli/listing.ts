// Renders locks and their claims for people: who holds and who waits, since when, why, until when, and whether their agents live.
import { isoTime } from "../locks/durations.js";
import { ordinal } from "../line/words.js";
import type { Perspective } from "../line/perspective.js";
import type { Claim, Condition } from "../locks/claim.js";
import { execProgramOf } from "../locks/exec-actions.js";
import { claimsOn, disagreementsOn } from "../views/lock.js";
import type { ClaimView, Disagreement } from "../views/lock.js";
import type { SeenLock } from "../views/queues.js";
import type { Colour } from "./io.js";
import { ago, lastLineOf, sanitize, until } from "./render.js";
import type { Cell } from "./render.js";
import { renderTable, renderText } from "./table.js";
import type { Column, Row, View } from "./table.js";

const COLUMNS: readonly Column[] = [
  { heading: "LOCK" },
  { heading: "PLACE" },
  { heading: "NODE" },
  { heading: "WHAT" },
  { heading: "SINCE" },
  { heading: "BY", label: "by" },
  { heading: "STATE" },
];

const COLOURS: { readonly [C in Condition]: Colour } = {
  failed: "red",
  stale: "yellow",
  waiting: "dim",
  leased: "green",
  running: "green",
  draining: "green",
  verifying: "green",
  soaking: "green",
  rebooting: "yellow",
  open: "green",
};

/** Locks as lines of text; says so if there are none. @param only the lock that was asked for */
export function renderListing(locks: readonly SeenLock[], only: string | null, view: View): string[] {
  if (locks.length > 0) return renderLocks(locks, view);
  return [only === null ? "nobody holds or waits for any lock" : `nobody holds or waits for ${sanitize(only)}`];
}

/** Locks as lines of text. */
export function renderLocks(locks: readonly SeenLock[], view: View): string[] {
  const rows = locks.flatMap((seen): Row[] => {
    const { lock, holders, now } = seen;
    const claims = claimsOn(seen);
    const disagreements = disagreementsOn(seen).map((disagreement): Cell => warning(disagreementWords(lock, disagreement), view));
    return claims.map((claim, index) => ({
      cells: [index === 0 ? lock : "", placeOf(index, holders.length), ...claimCells(claim, now, view)],
      notes: [...claimNotes(claim, view), ...(index === claims.length - 1 ? disagreements : [])],
    }));
  });
  const stuck = locks.flatMap((seen) => claimsOn(seen).filter(({ condition }) => condition === "failed" || condition === "stale"));
  return [...renderTable(COLUMNS, rows, view), ...(stuck.length > 0 ? waysOut(stuck, view) : [])];
}

/** The place of a claim: waiting claims are counted, and the 1st is next. */
function placeOf(index: number, holders: number): string {
  return index < holders ? "held" : ordinal(index - holders + 1);
}

function waysOut(stuck: readonly ClaimView[], view: View): string[] {
  const [execs, others] = [stuck.filter(isOfExec), stuck.filter((claim) => !isOfExec(claim))];
  const nodes = [...new Set(stuck.flatMap(({ owner, condition }) => (condition === "stale" ? [owner.node] : [])))];
  const words = [
    ...(others.length > 0
      ? ["A failed or stale claim ends when its node runs the action again (there: holdline run, or holdline resume),"]
      : []),
    ...(execs.length > 0
      ? [
          "A failed or stale claim of an exec ends when its node runs the same command again (there: the same holdline exec --durable),",
        ]
      : []),
    "or when an admin ends it: holdline clear LOCK --reason TEXT",
    ...(nodes.length > 0
      ? [`Before you clear a stale one, see on ${namesOf(nodes)} that its command has ended: it may have outlived its agent.`]
      : []),
  ];
  return ["", ...words.flatMap((text) => renderText(dim(text, view), view))];
}

function isOfExec({ owner }: ClaimView): boolean {
  return execProgramOf(owner.action) !== null;
}

/** One claim in one line, for lists of candidates: "web-07: restart-nginx, since 12 min ago, FAILED …, claim 3f…". */
export function describeClaim(claim: ClaimView, now: number, perspective: Perspective): string {
  const { owner } = claim;
  const words = `${owner.node}: ${whatOf(claim)} by ${owner.principal}, since ${ago(claim.since, now)}, ${stateOfClaim(claim, now, { isExact: false, perspective })}`;
  return sanitize(`${words} (claim ${claim.id})`);
}

function claimCells(claim: ClaimView, now: number, view: View): Cell[] {
  return [
    claim.owner.node,
    whatOf(claim),
    view.isExact ? isoTime(claim.since) : ago(claim.since, now),
    claim.owner.principal,
    { text: stateOfClaim(claim, now, view), paint: (text) => view.paint(COLOURS[claim.condition], text) },
  ];
}

function claimNotes(claim: ClaimView, view: View): Cell[] {
  const { condition, failure, lease, reason, data, fencingToken, stage } = claim;
  const notes: string[] = [];
  if (failure !== null) {
    const output = lastLineOf(failure.output);
    if (output !== "") notes.push(`last output: ${output}`);
  }
  if ((condition === "failed" || condition === "stale") && view.perspective.isNamesakes(claim))
    notes.push(`left by another machine that was called ${claim.owner.node}: only an admin ends it`);
  if ((condition === "failed" || condition === "stale") && stage?.drained === true)
    notes.push("its node may still be drained: its hook `after` has not run");
  // Somebody has to name these claims: an admin, or the one who releases or renews.
  const isNamed = condition === "failed" || condition === "stale" || condition === "leased";
  if (isNamed || view.isExact) notes.push(`claim ${claim.id}`);
  if (lease?.caller) notes.push(`caller: ${lease.caller}`);
  if (lease?.path) notes.push(`path: ${lease.path}`);
  if (claim.percent !== undefined) notes.push(`slots ${claim.slots} (${claim.percent} % of ${claim.owner.group ?? "its group"})`);
  if (reason !== null && reason !== "") notes.push(`${reasonWord(claim)}: ${reason}`);
  if (data !== null && data !== undefined) notes.push(`data: ${JSON.stringify(data)}`);
  if (view.isExact && fencingToken !== null) notes.push(`fencing token ${fencingToken}`);
  return notes.map((note) => dim(note, view));
}

/** The name of a claim's reason: that of the option which gave it. */
export function reasonWord({ lease }: Pick<Claim, "lease">): string {
  return lease === null || lease.type === "lease" ? "reason" : "description";
}

/** What the owner does under the lock: the action, or the type of lease. */
export function whatOf({ owner, key, lease }: Pick<Claim, "owner" | "key" | "lease">): string {
  if (lease !== null && lease.type !== "lease") return lease.type;
  const what = lease?.type ?? owner.action ?? (owner.process === null ? "another program" : "a command");
  return key === null ? what : `${what} [${key}]`;
}

// An ephemeral claim whose process this node can see to be gone.
const ENDS_SOON = "its agent is gone: the claim ends with its session";

function stateOfClaim(claim: ClaimView, now: number, { isExact, perspective }: Pick<View, "isExact" | "perspective">): string {
  switch (claim.condition) {
    case "failed": {
      const { failure, owner } = claim;
      if (failure === null) return "FAILED";
      return `FAILED on ${owner.node} ${isExact ? isoTime(failure.at) : ago(failure.at, now)}: ${failure.message}`;
    }
    case "stale":
      return `STALE: ${staleWords(claim)}`;
    case "leased":
      if (claim.expiresAt === null) return "leased until it is released";
      return `leased until ${isExact ? isoTime(claim.expiresAt) : until(claim.expiresAt, now)}`;
    case "draining":
    case "verifying":
    case "soaking":
    case "rebooting":
    case "open":
      return stageWords(claim, now, isExact);
    case "running":
      return perspective.isOwnerGone(claim) ? ENDS_SOON : "running, its agent lives";
    case "waiting":
      return perspective.isOwnerGone(claim) ? ENDS_SOON : "waiting";
  }
}

/** "soaking until 03:25 UTC, 4 min left", "rebooting since 2 min ago, until 03:31 UTC, 13 min left", "open since 2 h ago". */
function stageWords({ condition, stage }: ClaimView, now: number, isExact: boolean): string {
  if (stage === undefined) return condition;
  const since = `since ${isExact ? isoTime(stage.since) : ago(stage.since, now)}`;
  if (stage.until === null) return `${condition} ${since}`;
  const end = `until ${isExact ? isoTime(stage.until) : until(stage.until, now)}`;
  return condition === "soaking" ? `${condition} ${end}` : `${condition} ${since}, ${end}`;
}

/** How far the work had come: who clears a claim wants to know what was cut off. */
function staleWords({ stage }: ClaimView): string {
  switch (stage?.name) {
    case "open":
      return "the process that was to do its work is gone";
    case "draining":
      return "its agent is gone, while it drained the node";
    case "verifying":
      return "its agent is gone, while its check had not passed";
    case "soaking":
      return "its agent is gone; the action had succeeded and soaked";
    default:
      return "its agent is gone";
  }
}

/** Says who disagrees on a lock's slots, and which number counts. */
function disagreementWords(lock: string, { key, slots }: Disagreement): string {
  const said = [...slots].map(([count, nodes]) => {
    return `${Number.isFinite(count) ? count : "unlimited"} (${namesOf(nodes)})`;
  });
  const whose = key === null ? "contenders" : `contenders with the key ${key}`;
  return `${whose} disagree on the slots of ${lock}: ${said.join(", ")}; the smallest among a claim and those before it counts`;
}

function namesOf(nodes: readonly string[]): string {
  const shown = nodes.length > MOST_NODES ? [...nodes.slice(0, MOST_NODES), `${nodes.length - MOST_NODES} more`] : nodes;
  return shown.join(", ");
}

// A few names say enough about a whole fleet.
const MOST_NODES = 3;

function dim(text: string, { paint }: View): Cell {
  return { text, paint: (shown) => paint("dim", shown) };
}

function warning(text: string, { paint }: View): Cell {
  return { text: `warning: ${text}`, paint: (shown) => paint("yellow", shown) };
}
