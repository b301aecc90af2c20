// The list of locks on the page. It touches only what has changed, because a fleet has thousands of claims.
import { matchesFilter, NO_FILTER, summaryOf } from "../filter.js";
import type { Filter, Summary } from "../filter.js";
import { lockContent, lockItem, versionOf } from "../lock.js";
import type { LockView } from "../lock.js";
import type { LockJson } from "../../views/json.js";
import type { Viewer } from "../viewer.js";
import { compareLocks, isStuckLock } from "../words.js";
import type { AgeTicker } from "./ages.js";
import { focusKey, focusOn, replaceContent } from "./markup.js";

export interface ListOptions {
  readonly viewer: Viewer;
  readonly now: () => number;
  /** The lock whose own page this is; `null` for the list of all. */
  readonly only: string | null;
  readonly ages: AgeTicker;
}

interface Entry {
  readonly element: HTMLElement;
  lock: LockJson;
  /** Whether its data has come; the served document has only its markup. */
  isKnown: boolean;
}

//   served (elements without their data) → all known (after replaceAll) ⇄ changed by set
export class LockList {
  readonly #list: HTMLElement;
  readonly #options: ListOptions;
  readonly #entries = new Map<string, Entry>();
  /** The entries in the order of the page. */
  #order: Entry[] = [];
  #filter: Filter = NO_FILTER;

  constructor(list: HTMLElement, options: ListOptions) {
    this.#list = list;
    this.#options = options;
    for (const element of list.querySelectorAll<HTMLElement>(":scope > li")) {
      const entry = { element, lock: { lock: element.dataset["lock"] ?? "", holders: [], waiting: [] }, isKnown: false };
      this.#entries.set(entry.lock.lock, entry);
      this.#order.push(entry);
      options.ages.watch(element);
    }
  }

  isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Takes over all locks. Elements that are up to date stay as they are. */
  replaceAll(all: readonly LockJson[]): void {
    const wanted = all.filter(({ lock }) => this.#isWanted(lock)).sort(compareLocks);
    const names = new Set(wanted.map(({ lock }) => lock));
    for (const entry of this.#order) if (!names.has(entry.lock.lock)) this.#remove(entry);
    let at = this.#list.firstElementChild;
    this.#order = wanted.map((lock) => {
      const entry = this.#write(lock);
      if (entry.element === at) at = at.nextElementSibling;
      else this.#put(entry, at);
      return entry;
    });
  }

  /** Takes over one lock. */
  set(lock: LockJson): void {
    if (!this.#isWanted(lock.lock)) return;
    const present = this.#entries.get(lock.lock);
    if (lock.holders.length === 0 && lock.waiting.length === 0) {
      if (present === undefined) return;
      this.#order.splice(this.#order.indexOf(present), 1);
      this.#remove(present);
      return;
    }
    const isInPlace = present !== undefined && compareLocks(present.lock, lock) === 0;
    if (present !== undefined && !isInPlace) this.#order.splice(this.#order.indexOf(present), 1);
    const entry = this.#write(lock);
    if (isInPlace) return;
    const found = this.#order.findIndex((other) => compareLocks(lock, other.lock) < 0);
    const place = found < 0 ? this.#order.length : found;
    this.#put(entry, this.#order[place]?.element ?? null);
    this.#order.splice(place, 0, entry);
  }

  /** Shows only the locks that match. */
  filterBy(filter: Filter): void {
    this.#filter = filter;
    for (const entry of this.#order) this.#showOrHide(entry);
  }

  counts(): { readonly summary: Summary; readonly shown: number } {
    const shown = this.#order.filter(({ element }) => !element.hidden).length;
    return { summary: summaryOf(this.#order.map(({ lock }) => lock)), shown };
  }

  #isWanted(lock: string): boolean {
    const { only } = this.#options;
    return only === null || only === lock;
  }

  /** Brings an entry up to date. A new one has no place on the page yet. */
  #write(lock: LockJson): Entry {
    const { viewer, now, only, ages } = this.#options;
    const view: LockView = { viewer, now: now(), isFull: only !== null };
    const text = JSON.stringify(lock);
    const present = this.#entries.get(lock.lock);
    if (present === undefined) {
      const template = document.createElement("template");
      template.innerHTML = lockItem(lock, text, view).text;
      const element = template.content.firstElementChild as HTMLElement;
      const entry = { element, lock, isKnown: true };
      this.#entries.set(lock.lock, entry);
      this.#showOrHide(entry);
      ages.watch(element);
      return entry;
    }
    present.lock = lock;
    present.isKnown = true;
    const { element } = present;
    const version = versionOf(text);
    if (element.dataset["version"] !== version) {
      if (replaceContent(element, lockContent(lock, view))) focusNear(element);
      element.dataset["version"] = version;
      element.classList.toggle("stuck", isStuckLock(lock));
    }
    this.#showOrHide(present);
    return present;
  }

  #put({ element }: Entry, before: Element | null): void {
    const focused = focusKey(element);
    this.#list.insertBefore(element, before);
    if (focused !== null) focusOn(element, focused);
  }

  #remove({ element, lock }: Entry): void {
    const hadFocus = focusKey(element) !== null;
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    this.#options.ages.forget(element);
    this.#entries.delete(lock.lock);
    element.remove();
    if (hadFocus) focusNear(neighbour);
  }

  #showOrHide({ element, lock, isKnown }: Entry): void {
    if (isKnown) element.hidden = !matchesFilter(this.#filter, lock);
  }
}

/** Moves the focus from something that is gone to the lock, or to the beginning of the content. */
export function focusNear(element: Element | null): void {
  if (element === null || !focusOn(element, "lock")) document.getElementById("main")?.focus({ preventScroll: true });
}
