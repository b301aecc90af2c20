// Puts new markup in the place of old, so that whoever is at it keeps their place: the focus, and what is unfolded. Elements
// are the same when they have the same `data-key`.
import type { Html } from "../html.js";

/** @returns whether the focus was inside, and has found nothing to stay at */
export function replaceContent(element: Element, content: Html): boolean {
  const focused = focusKey(element);
  const unfolded = new Set([...element.querySelectorAll<HTMLElement>("details[open]")].map(({ dataset }) => dataset["key"]));
  element.innerHTML = content.text;
  for (const details of element.querySelectorAll("details")) details.open = unfolded.has(details.dataset["key"]);
  return focused !== null && !focusOn(element, focused);
}

/** The key of what has the focus inside of an element: "" for what has none; `null` when the focus is elsewhere. */
export function focusKey(element: Element): string | null {
  const { activeElement } = document;
  if (activeElement === null || !element.contains(activeElement)) return null;
  return (activeElement as HTMLElement).dataset["key"] ?? "";
}

/** Gives the focus to what has the key. @returns whether there is such a thing */
export function focusOn(element: Element, key: string): boolean {
  const found = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  found?.focus({ preventScroll: true });
  return found !== null;
}
