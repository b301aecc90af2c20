// The history as HTML: records, newest first, and the form that filters them. Pure.
import { formatDuration } from "../locks/durations.js";
import { age, moment } from "./ages.js";
import { html, said } from "./html.js";
import type { Html } from "./html.js";
import type { RecordJson } from "../views/json.js";
import { EVENT_WORDS, eventBadge, lockAddress, who } from "./words.js";

/** The filter of the history as people have typed it; "" for any. */
export interface HistoryQuery {
  readonly lock: string;
  readonly since: string;
  readonly by: string;
  readonly event: string;
  readonly limit: string;
}

// As in /v1/history's query.
export const HISTORY_FIELDS = ["lock", "since", "by", "event", "limit"] as const;
const LIMITS = ["20", "100", "500"];
export const DEFAULT_LIMIT = "100";

/** @param records `null` when they cannot be read @param withLock names the lock in each record as well */
export function recordItems(records: readonly RecordJson[] | null, now: number, withLock: boolean): Html {
  if (records === null) return html`<li class="nothing">It cannot be read now.</li>`;
  if (records.length === 0) return html`<li class="nothing">No record matches.</li>`;
  return html`${records.map((record) => recordItem(record, now, withLock))}`;
}

function recordItem(record: RecordJson, now: number, withLock: boolean): Html {
  const { lock, event, by, reason, claimedAt, endedAt, owner, lease } = record;
  if (event === "frozen" || event === "thawed") return freezeRecord(record, now, withLock);
  const heldMs = Math.max(0, Date.parse(endedAt) - Date.parse(claimedAt));
  const name = withLock ? html`<a href="${lockAddress(lock)}">${said(lock)}</a>: ` : null;
  const what = lease?.type ?? owner.action;
  return html`<li class="record">
    <p>
      ${eventBadge(event)} ${name}${who(record)}${what === null ? null : html` (${said(what)})`}, held for
      ${formatDuration(heldMs)}, ${event === "failed" ? "failed" : "ended"} ${age("ago", endedAt, now)}
    </p>
    <p class="by">
      ${by === null ? "its time was over" : html`${event} by ${said(by)}`}${reason === null || reason === "" ? null : html`: ${said(reason)}`}
      <span class="when">${moment(endedAt)}</span>
    </p>
  </li>`;
}

/** A freeze stands in the history by a pattern of locks. */
function freezeRecord({ lock, event, by, reason, claimedAt, endedAt }: RecordJson, now: number, withLock: boolean): Html {
  const what = withLock ? html`<strong>${said(lock)}</strong>, ` : null;
  const length = formatDuration(Math.max(0, Date.parse(endedAt) - Date.parse(claimedAt)));
  const words = event === "frozen" ? null : html`after ${length}, `;
  return html`<li class="record">
    <p>${eventBadge(event)} ${what}${words}${age("ago", endedAt, now)}</p>
    <p class="by">
      ${by === null ? "its time was over" : html`${event} by ${said(by)}`}${reason === null || reason === "" ? null : html`: ${said(reason)}`}
      <span class="when">${moment(endedAt)}</span>
    </p>
  </li>`;
}

/** The filters, as a form that also works without JavaScript. */
export function historyForm(query: HistoryQuery): Html {
  const choice = (value: string, chosen: string, word: string) =>
    value === chosen ? html`<option value="${value}" selected>${word}</option>` : html`<option value="${value}">${word}</option>`;
  return html`<form class="filters" method="get" action="/history">
    <label>Lock <input name="lock" value="${query.lock}" autocomplete="off" spellcheck="false" /></label>
    <label
      >By <input name="by" value="${query.by}" autocomplete="off" spellcheck="false" placeholder="who locked or ended"
    /></label>
    <label>Within the last <input name="since" value="${query.since}" autocomplete="off" placeholder="1 day" size="8" /></label>
    <label
      >Event
      <select name="event">
        ${["", ...EVENT_WORDS].map((event) => choice(event, query.event, event === "" ? "any" : event))}
      </select></label
    >
    <label
      >At most
      <select name="limit">
        ${LIMITS.map((limit) => choice(limit, query.limit || DEFAULT_LIMIT, limit))}
      </select></label
    >
    <button>Show</button>
  </form>`;
}
