// The page's documents, with everything around the locks and the history. They can be read without JavaScript, which itself
// reveals what works only with it. Pure.
import { moment } from "./ages.js";
import { ACT_DIALOG, FREEZE_DIALOG } from "./dialogs.js";
import { fleetContent, fleetForm } from "./fleet.js";
import type { FleetQuery, FleetShown } from "./fleet.js";
import { freezeButton, freezesSection } from "./freezes.js";
import type { ShownFreezes } from "./freezes.js";
import { html, said } from "./html.js";
import type { Html } from "./html.js";
import { DEFAULT_LIMIT, historyForm, recordItems } from "./history.js";
import type { HistoryQuery } from "./history.js";
import { matchesFilter, SHOWS, summaryOf, summaryText } from "./filter.js";
import type { Filter } from "./filter.js";
import { lockItem } from "./lock.js";
import type { LockJson, RecordJson } from "../views/json.js";
import type { Viewer } from "./viewer.js";
import { compareLocks } from "./words.js";

/** Where the reader is, and whether to offer signing in or out. */
export interface Visit {
  readonly door: "sign-in" | "sign-out" | null;
  /** The page's own address, from its path on. */
  readonly here: string;
}

/** Who looks, and when by the store's clock. */
export interface Looking extends Visit {
  readonly viewer: Viewer;
  readonly now: number;
  /** While a store does not answer: the time that the document shows. Else `null`. */
  readonly silentSince: number | null;
  readonly freezes: ShownFreezes;
}

/** The time that the document shows: ages are as of then. */
function shownAt({ now, silentSince }: Looking): number {
  return silentSince ?? now;
}

/** A lock with its JSON, as `/v1` gives it. */
export interface ServedLock {
  readonly shown: LockJson;
  readonly text: string;
}

export function locksDocument(locks: readonly ServedLock[], filter: Filter, looking: Looking): string {
  const view = { ...looking, now: shownAt(looking), isFull: false };
  const sorted = [...locks].sort((one, other) => compareLocks(one.shown, other.shown));
  const wanted = sorted.filter(({ shown }) => matchesFilter(filter, shown));
  const shows = Object.entries(SHOWS).map(([value, word]) =>
    value === filter.show
      ? html`<option value="${value}" selected>${word}</option>`
      : html`<option value="${value}">${word}</option>`,
  );
  const main = html`<h1>Locks</h1>
    ${freezesSection(looking.freezes, { ...view, only: null })} ${freezeButton(looking.viewer)}
    <p id="summary">${summaryText(summaryOf(locks.map(({ shown }) => shown)))}</p>
    <form class="filters" id="filter" method="get" action="/" role="search">
      <label
        >Find
        <input
          type="search"
          name="find"
          value="${filter.find}"
          autocomplete="off"
          spellcheck="false"
          placeholder="lock, node, principal, key"
      /></label>
      <label
        >Show
        <select name="show">
          ${shows}
        </select></label
      >
      <button>Show</button>
      <span id="found" role="status"></span>
    </form>
    <ul id="locks" class="locks" role="list">
      ${wanted.map(({ shown, text }) => lockItem(shown, text, view))}
    </ul>`;
  return pageDocument({ title: "Locks", current: "/", main, warning: null }, looking, looking);
}

/** A lock's own page. @param lock `null` when nobody claims it @param records `null` when they cannot be read */
export function lockDocument(
  name: string,
  lock: ServedLock | null,
  records: readonly RecordJson[] | null,
  looking: Looking,
): string {
  const view = { ...looking, now: shownAt(looking), isFull: true };
  const main = html`<h1>${said(name)}</h1>
    ${freezesSection(looking.freezes, { ...view, only: name })}
    <p id="free" ${lock === null ? null : html`hidden`}>Nobody holds or waits for it.</p>
    <ul id="locks" class="locks full" role="list" data-only="${name}">
      ${lock === null ? null : lockItem(lock.shown, lock.text, view)}
    </ul>
    <h2>History</h2>
    <ol
      id="history"
      class="history"
      role="list"
      data-query="${new URLSearchParams({ lock: name, limit: DEFAULT_LIMIT }).toString()}"
      data-only="${name}"
    >
      ${recordItems(records, shownAt(looking), false)}
    </ol>`;
  return pageDocument({ title: name, current: null, main, warning: null }, looking, looking);
}

/** The fleet: groups, rollouts, nodes. */
export function fleetDocument(shown: FleetShown, query: FleetQuery, looking: Looking): string {
  const now = shownAt(looking);
  const main = html`<h1>Fleet</h1>
    ${freezesSection(looking.freezes, { viewer: looking.viewer, now, only: null })} ${freezeButton(looking.viewer)}
    ${fleetForm(query, shown.groups)}
    <div id="fleet">${fleetContent(shown, query, now)}</div>`;
  return pageDocument({ title: "Fleet", current: "/fleet", main, warning: null }, looking, looking);
}

/** @param records `null` when they cannot be read @param problem what is wrong with the query, `null` when nothing is */
export function historyDocument(
  query: HistoryQuery,
  records: readonly RecordJson[] | null,
  looking: Looking,
  problem: string | null,
): string {
  const asked = Object.entries({ ...query, limit: query.limit || DEFAULT_LIMIT }).filter(([, value]) => value !== "");
  const main = html`<h1>History</h1>
    ${historyForm(query)}
    <ol id="history" class="history" role="list" data-query="${new URLSearchParams(asked).toString()}">
      ${recordItems(records, shownAt(looking), true)}
    </ol>`;
  return pageDocument({ title: "History", current: "/history", main, warning: problem }, looking, looking);
}

/** In place of a page: an error in words. */
export function problemDocument(message: string, hint: string | null, standing: Visit): string {
  const main = html`<h1>This cannot be shown</h1>
    <p>${said(message)}</p>
    ${hint === null ? null : html`<p>${said(hint)}</p>`}`;
  return pageDocument({ title: "Problem", current: null, main, warning: null }, standing, null);
}

interface Parts {
  readonly title: string;
  /** The page's address, if every page links to it. */
  readonly current: string | null;
  readonly main: Html;
  readonly warning: string | null;
}

const LINKS = [
  ["/", "Locks"],
  ["/fleet", "Fleet"],
  ["/history", "History"],
] as const;

/** @param looking `null` for a document that does not change with the locks */
export function pageDocument({ title, current, main, warning }: Parts, standing: Visit, looking: Looking | null): string {
  const links = LINKS.map(([address, word]) =>
    address === current ? html`<a href="${address}" aria-current="page">${word}</a>` : html`<a href="${address}">${word}</a>`,
  );
  const live = looking === null ? null : html` data-viewer="${JSON.stringify(looking.viewer)}" data-now="${looking.now}"`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Holdline</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
${looking === null ? null : html`<script type="module" src="/page/app.js"></script>`}
</head>
<body${live}>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/">Holdline</a>
<nav aria-label="Pages">${links}</nav>
<p id="live" class="needs-script" role="status">… connecting</p>
${looking === null ? null : html`<p class="viewer">${said(looking.viewer.name)} may ${looking.viewer.may.join(", ")}</p>`}
${doorOf(standing)}
</header>
<main id="main" tabindex="-1">
${looking === null || looking.silentSince === null ? null : outageOf(looking.silentSince)}
${warning === null ? null : html`<p class="warning" role="alert">⚠︎ ${warning}</p>`}
${main}
</main>
<p id="said" role="status"></p>
${looking === null ? null : html`${ACT_DIALOG}${FREEZE_DIALOG}`}
</body>
</html>
`.text;
}

/** The page's script hides it when the store answers again. */
function outageOf(silentSince: number): Html {
  const since = moment(new Date(silentSince).toISOString());
  return html`<p id="outage" class="warning" role="alert">
    ⚠︎ The store has not answered since ${since}: this is the state at that time.
  </p>`;
}

function doorOf({ door, here }: Visit): Html | null {
  if (door === "sign-out") return html`<form method="post" action="/sign-out"><button>Sign out</button></form>`;
  if (door === null) return null;
  return html`<a href="/sign-in?${new URLSearchParams({ to: here }).toString()}">Sign in</a>`;
}
