// Replaces markup and keeps the reader's place: the focus, and what is unfolded. Elements with the same `data-key` are the same.
import type { Html } from "../html.js";

/** @returns whether the focus was inside and has lost its element */
export function replaceContent(element: Element, content: Html): boolean {
  const focused = focusKey(element);
  const unfolded = new Set([...element.querySelectorAll<HTMLElement>("details[open]")].map(({ dataset }) => dataset["key"]));
  element.innerHTML = content.text;
  for (const details of element.querySelectorAll("details")) details.open = unfolded.has(details.dataset["key"]);
  return focused !== null && !focusOn(element, focused);
}

/** The key of the focused element inside another; "" for one without a key, `null` when the focus is elsewhere. */
export function focusKey(element: Element): string | null {
  const { activeElement } = document;
  if (activeElement === null || !element.contains(activeElement)) return null;
  return (activeElement as HTMLElement).dataset["key"] ?? "";
}

/** Focuses the element with the key. @returns whether there is one */
export function focusOn(element: Element, key: string): boolean {
  const found = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  found?.focus({ preventScroll: true });
  return found !== null;
}
