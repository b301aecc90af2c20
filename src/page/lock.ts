// A lock and its claims as HTML: short in the list of all locks, in full on the lock's own page. Server and browser share this
// code, so that the browser can tell whether what the server sent is still up to date. Pure.
import { execProgramOf } from "../locks/exec-actions.js";
import { sanitize, shortened } from "../locks/text.js";
import { age, moment } from "./ages.js";
import { html, joined, said, saidInLines } from "./html.js";
import type { Html } from "./html.js";
import type { ClaimJson, LockJson } from "../views/json.js";
import { mayDo } from "./viewer.js";
import type { Viewer } from "./viewer.js";
import { conditionBadge, isAtWork, isStuck, isStuckLock, lockAddress, ownName, what, who } from "./words.js";

export interface LockView {
  readonly viewer: Viewer;
  /** Milliseconds since 1970, by the store's clock. */
  readonly now: number;
  /** Whether to show everything, as on the lock's own page. */
  readonly isFull: boolean;
}

// In the list the first few of a long line are enough. On a lock's own page there are as many as a browser lays out quickly.
const MOST = { short: { holders: 5, waiting: 3, blocked: 3 }, full: { holders: 500, waiting: 500, blocked: 20 } };
const LONGEST_SHORT_DATA = 200;

/** A lock as an item of the list. @param text the lock in JSON, as `/v1` gives it */
export function lockItem(lock: LockJson, text: string, view: LockView): Html {
  return html`<li class="lock${isStuckLock(lock) ? " stuck" : ""}" data-lock="${lock.lock}" data-version="${versionOf(text)}">
    ${lockContent(lock, view)}
  </li>`;
}

/** The content of that item. */
export function lockContent(lock: LockJson, view: LockView): Html {
  const { holders, waiting } = lock;
  const most = view.isFull ? MOST.full : MOST.short;
  // Holders that need help show up however many others stand before them.
  const first = holders.filter((claim, index) => index < most.holders || isStuck(claim)).slice(0, MOST.full.holders);
  const title = view.isFull
    ? null
    : html`<h2>
        <a href="${lockAddress(lock.lock)}" data-key="lock">${said(lock.lock)}</a>
        <span class="counts">${holders.length} held, ${waiting.length} waiting</span>
      </h2>`;
  return html`${title}
    <ul class="holders">
      ${first.map((claim) => holderItem(claim, lock, view))}
    </ul>
    ${rest(holders.length - first.length, "held", lock.lock, view)}
    ${
      waiting.length === 0
        ? null
        : html`<ol class="line">
            ${waiting.slice(0, most.waiting).map((claim) => waiterItem(claim, lock, view))}
          </ol>`
    }
    ${rest(waiting.length - most.waiting, "waiting", lock.lock, view)}`;
}

function rest(count: number, word: string, lock: string, { isFull }: LockView): Html | null {
  if (count <= 0) return null;
  return isFull
    ? html`<p class="rest">and ${count} more ${word}</p>`
    : html`<p class="rest"><a href="${lockAddress(lock)}" data-key="rest-${word}">and ${count} more ${word}</a></p>`;
}

function holderItem(claim: ClaimJson, lock: LockJson, view: LockView): Html {
  const { now } = view;
  return html`<li class="claim ${claim.condition}">
    <p>
      ${conditionBadge(claim.condition)} ${who(claim)}: ${what(claim)}, held for
      ${age("for", claim.since, now)}${stateWords(claim, now)}
    </p>
    ${failureWords(claim, now)} ${blockedWords(claim, lock, view)} ${output(claim, view)} ${details(claim, view)}
    ${act(claim, lock.lock, view, "holds")}
  </li>`;
}

function waiterItem(claim: ClaimJson, lock: LockJson, view: LockView): Html {
  const badge = claim.condition === "waiting" ? null : html`${conditionBadge(claim.condition)} `;
  return html`<li class="claim waiting">
    <p>${badge}${who(claim)}: ${what(claim)}, waiting for ${age("for", claim.since, view.now)}</p>
    ${view.isFull ? html`${details(claim, view)} ${act(claim, lock.lock, view, "waits")}` : null}
  </li>`;
}

function stateWords({ condition, expiresAt, durable, owner, stage }: ClaimJson, now: number): Html | null {
  if (condition === "stale") {
    const ends = execProgramOf(owner.action) === null ? null : html`, and it ends with ${SAME_EXEC} on that node`;
    return html`; its agent is gone${ends}`;
  }
  if (condition === "leased")
    return expiresAt === null ? html`, until it is released` : html`, ends ${age("until", expiresAt, now)}`;
  if (stage !== null && stage.name === condition) return stageWords(stage, now);
  return durable ? null : html`; it ends with its process`;
}

function stageWords({ name, since, until }: NonNullable<ClaimJson["stage"]>, now: number): Html | null {
  const been = age("for", since, now);
  switch (name) {
    case "running":
      return null;
    case "draining":
      return html`; its node has been draining for ${been}`;
    case "verifying":
      return html`; its check has not passed for ${been}`;
    case "soaking":
      return until === null ? html`; soaking for ${been}` : html`; soaking, ${age("left", until, now)}`;
    case "rebooting":
      return html`; its node has been rebooting for
      ${been}${until === null ? null : html`, and has failed unless it is back ${age("until", until, now)}`}`;
    case "open":
      return html`; begun by hand, and open for ${been} until <code>holdline end</code>`;
  }
}

// What takes over the claim of a durable exec: neither run nor resume does.
const SAME_EXEC = html`the same <code>holdline exec --durable</code>`;

function failureWords({ failure, owner, stage }: ClaimJson, now: number): Html | null {
  if (failure === null) return null;
  return html`<p class="failure">
    Failed on ${said(owner.node)} ${age("ago", failure.at, now)}: ${said(failure.message)}. The lock is kept until it is cleared, or
    ${execProgramOf(owner.action) === null ? html`the node's next run` : html`${SAME_EXEC} on that node`}
    succeeds.${stage?.drained === true ? " The node may still be drained." : null}
  </p>`;
}

/** Whom a stuck claim keeps waiting, and since when. Everybody in the line waits for all holders. */
function blockedWords(claim: ClaimJson, { waiting }: LockJson, { now, isFull }: LockView): Html | null {
  if (!isStuck(claim) || waiting.length === 0) return null;
  const from = claim.failure?.at ?? claim.since;
  const most = (isFull ? MOST.full : MOST.short).blocked;
  const blocked = waiting
    .slice(0, most)
    .map((waiter) => html`${said(ownName(waiter))} for ${age("for", waiter.since > from ? waiter.since : from, now)}`);
  const more = waiting.length > most ? ` and ${waiting.length - most} more` : "";
  return html`<p class="blocked">Blocks ${joined(blocked, ", ")}${more}.</p>`;
}

function output({ failure, id }: ClaimJson, { isFull }: LockView): Html | null {
  const lines = failure?.output.trimEnd() ?? "";
  if (lines === "") return null;
  const text = html`<pre tabindex="0" aria-label="output">${saidInLines(lines)}</pre>`;
  if (isFull)
    return html`<p>Its last output:</p>
      ${text}`;
  const last = lines.slice(lines.lastIndexOf("\n") + 1);
  return html`<details data-key="output-${id}">
    <summary data-key="summary-${id}">Output: <code>${sanitize(shortened(last, LONGEST_SHORT_DATA))}</code></summary>
    ${text}
  </details>`;
}

function details(claim: ClaimJson, { isFull }: LockView): Html | null {
  const { id, lease, reason, data, owner, since, slots, percent, fencingToken, expiresAt, durable, failure } = claim;
  const facts: [string, Html][] = [];
  if (reason !== null && reason !== "")
    facts.push([lease === null || lease.type === "lease" ? "Reason" : "Description", said(reason)]);
  if (lease?.path) facts.push(["Path", said(lease.path)]);
  if (data !== null && data !== undefined) facts.push(["Data", dataHtml(data, isFull)]);
  if (isFull) {
    facts.push(["Claim", html`<code>${sanitize(id)}</code>, ${durable ? "durable" : "ephemeral"}`]);
    facts.push(["Since", moment(since)]);
    if (failure !== null) facts.push(["Failed at", moment(failure.at)]);
    if (expiresAt !== null) facts.push(["Ends at", moment(expiresAt)]);
    if (slots !== null) facts.push(["Slots", percent === null ? html`${slots}` : html`${slots} (${percent}% of the group)`]);
    if (fencingToken !== null) facts.push(["Fencing token", html`${fencingToken}`]);
    if (owner.pid !== null) facts.push(["Process", html`${owner.pid}`]);
  }
  if (facts.length === 0) return null;
  return html`<dl>
    ${facts.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function dataHtml(data: unknown, isFull: boolean): Html {
  if (isFull && typeof data === "object")
    return html`<pre tabindex="0" aria-label="data">${saidInLines(JSON.stringify(data, null, 2))}</pre>`;
  return html`<code>${sanitize(shortened(JSON.stringify(data), LONGEST_SHORT_DATA))}</code>`;
}

/** The button that ends a claim, for viewers with the right to. A claim whose owner is alive has it only on the lock's own page. */
function act(claim: ClaimJson, lock: string, { viewer, isFull }: LockView, place: "holds" | "waits"): Html | null {
  const { condition, id, owner, reason } = claim;
  const isLease = condition === "leased";
  const isQuiet = condition === "waiting" || isAtWork(condition);
  // Nobody may see whether the owner of these is there; the server says so where it does.
  const isAlive = isQuiet && condition !== "rebooting" && condition !== "open";
  // Releasing one's own lease takes the right to lock; ending another's claim takes the right to clear.
  const right = isLease && owner.principal === viewer.name ? "lock" : "clear";
  if (!mayDo(viewer, right, lock) || (isQuiet && !isFull)) return null;
  const [kind, word] = isLease ? ["release", "Release"] : ["clear", "Clear"];
  const whose = ownName(claim);
  return html`<p class="act needs-script">
    <button
      type="button"
      data-act="${kind}"
      data-claim="${id}"
      data-on="${lock}"
      data-whose="${whose}"
      data-place="${place}"
      data-why="${reason ?? ""}"
      data-alive="${isAlive ? "yes" : "no"}"
      data-stale-on="${condition === "stale" ? owner.node : ""}"
      data-key="act-${id}"
      aria-label="${word} the claim of ${sanitize(whose)} on ${sanitize(lock)}"
    >
      ${word}…
    </button>
  </p>`;
}

/** A short digest of a lock's JSON, by which the browser knows that the served markup is up to date: FNV-1a from two offsets. */
export function versionOf(text: string): string {
  let [one, other] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    one = Math.imul(one ^ code, FNV_PRIME);
    other = Math.imul(other ^ code, FNV_PRIME);
  }
  return `${(one >>> 0).toString(36)}-${(other >>> 0).toString(36)}`;
}

const FNV_PRIME = 0x01000193;
