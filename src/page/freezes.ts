// The freezes in force as HTML, on top of the pages, with what thaws them. Server and browser share this code. Pure.
import { isCoveredBy, matchesPattern } from "../locks/patterns.js";
import { sanitize, shortened } from "../locks/text.js";
import type { FreezeJson } from "../views/json.js";
import { age, moment } from "./ages.js";
import { html, joined, said } from "./html.js";
import type { Html } from "./html.js";
import type { Viewer } from "./viewer.js";
import { eventBadge } from "./words.js";

/** The freezes in force, as `/v1/locks` gives them. */
export interface ShownFreezes {
  readonly freezes: readonly FreezeJson[];
  /** There, and true, where a store's freezes cannot be read. */
  readonly freezesUnreadable?: boolean;
}

export interface FreezesView {
  readonly viewer: Viewer;
  /** Milliseconds since 1970, by the store's clock. */
  readonly now: number;
  /** The lock whose own page this is: other locks' freezes are not shown. `null`: all are. */
  readonly only: string | null;
}

// A reason may be a page long, and so may a pattern that somebody wrote into the store by other means.
const LONGEST_REASON = 500;
const LONGEST_PATTERN = 120;
const MOST_PATTERNS = 10;
const MOST_FREEZES = 50;

/** The place of the freezes on a page, which the page's script keeps up to date. */
export function freezesSection(shown: ShownFreezes, view: FreezesView): Html {
  const only = view.only === null ? null : html` data-only="${view.only}"`;
  return html`<section id="freezes" aria-label="Freezes" aria-live="polite" ${only}>${freezesContent(shown, view)}</section>`;
}

export function freezesContent({ freezes, freezesUnreadable }: ShownFreezes, view: FreezesView): Html {
  const { only } = view;
  const wanted = freezes.filter(({ locks }) => only === null || locks.some((pattern) => matchesPattern(pattern, only)));
  const rest = wanted.length - MOST_FREEZES;
  return html`${
    freezesUnreadable === true
      ? html`<p class="warning">
          ⚠︎ A store's freezes cannot be read, so nothing begins there: another program, or a later version, has written them.
        </p>`
      : null
  }${wanted.slice(0, MOST_FREEZES).map((freeze) => freezeItem(freeze, view))}${rest > 0 ? html`<p>and ${rest} more freezes</p>` : null}`;
}

function freezeItem(freeze: FreezeJson, { viewer, now }: FreezesView): Html {
  const { id, locks, node, group, reason, by, since, until } = freeze;
  const patterns = locks.slice(0, MOST_PATTERNS).map((pattern) => html`<strong>${cut(pattern, LONGEST_PATTERN)}</strong>`);
  const more = locks.length > MOST_PATTERNS ? ` and ${locks.length - MOST_PATTERNS} more` : "";
  const everything = locks.includes("*") ? html`<strong>everything</strong>` : html`${joined(patterns, ", ")}${more}`;
  const nodes = node === null ? null : html` on nodes like <strong>${cut(node, LONGEST_PATTERN)}</strong>`;
  const groups = group === null ? null : html` in the group <strong>${cut(group, LONGEST_PATTERN)}</strong>`;
  const end = until === null ? html`until it is thawed` : html`until ${moment(until)} (${age("left", until, now)})`;
  return html`<div class="freeze">
    <p>${eventBadge("frozen")} ${everything}${nodes}${groups}: <span class="why">${cut(reason, LONGEST_REASON)}</span></p>
    <p class="by">by ${cut(by, LONGEST_PATTERN)} for ${age("for", since, now)}, ${end}. What has begun goes on.</p>
    ${mayThaw(viewer, freeze) ? thawButton(id, locks) : null}
  </div>`;
}

function thawButton(id: string, locks: readonly string[]): Html {
  const [first = ""] = locks;
  return html`<p class="act needs-script">
    <button
      type="button"
      data-thaw="${id}"
      data-what="${locks.join("\n")}"
      data-key="thaw-${id}"
      aria-label="Thaw ${sanitize(shortened(first, LONGEST_PATTERN))}"
    >
      Thaw…
    </button>
  </p>`;
}

/** Opens the dialog that freezes; for viewers who may clear anything at all. */
export function freezeButton({ may, locks }: Viewer): Html | null {
  if (!may.includes("clear")) return null;
  return html`<p class="act needs-script">
    <button type="button" data-freeze="${locks.join("\n")}" data-key="freeze">Freeze…</button>
  </p>`;
}

/** Whether the viewer may end it: it takes the right to clear every lock that it can bind. */
function mayThaw({ may, locks }: Viewer, freeze: FreezeJson): boolean {
  return may.includes("clear") && freeze.locks.every((pattern) => locks.some((own) => isCoveredBy(pattern, own)));
}

function cut(text: string, longest: number): Html {
  return said(shortened(text, longest));
}
