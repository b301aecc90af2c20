// The filter's form: it applies while people type, and keeps the filter in the address.
import { parseFilter, summaryText } from "../filter.js";
import type { LockList } from "./list.js";

export interface FilterForm {
  /** Updates the counts, with a short delay because many changes may come at once. */
  showCounts(): void;
}

const SOON_MS = 100;

export function wireFilter(locks: LockList): FilterForm {
  const form = document.getElementById("filter") as HTMLFormElement;
  const summary = document.getElementById("summary");
  const found = document.getElementById("found");
  let timer: ReturnType<typeof setTimeout> | null = null;

  const count = (): void => {
    timer = null;
    const counts = locks.counts();
    const { locks: all } = counts.summary;
    write(summary, summaryText(counts.summary));
    write(found, counts.shown === all ? "" : `${counts.shown} of ${all} shown`);
  };
  const apply = (): void => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && value !== "") query.set(name, value);
    if (query.get("show") === "all") query.delete("show");
    history.replaceState(null, "", query.size === 0 ? "/" : `/?${query.toString()}`);
    locks.filterBy(parseFilter(query));
    count();
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  // A browser fills in old values when people come back to the page; the address counts.
  locks.filterBy(parseFilter(new URLSearchParams(location.search)));
  return { showCounts: () => void (timer ??= setTimeout(count, SOON_MS)) };
}

function write(element: HTMLElement | null, text: string): void {
  if (element !== null && element.textContent !== text) element.textContent = text;
}
