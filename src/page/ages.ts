// Times for people: ages, which browser/ages.ts keeps ticking, and moments. Pure.
import { formatDuration } from "../locks/durations.js";
import { html } from "./html.js";
import type { Html } from "./html.js";

/** `for`: how long it has been. `ago`: the same, with the word. `until`: how long it will be. `left`: the same, in other words. */
export type AgeKind = "for" | "ago" | "until" | "left";

/** The time from or to `at`, in words. Both are milliseconds since 1970. */
export function ageText(kind: AgeKind, at: number, now: number): string {
  // Tenths of seconds would flicker.
  const ms = Math.max(0, kind === "until" || kind === "left" ? at - now : now - at);
  const text = formatDuration(Math.floor(ms / 1_000) * 1_000);
  if (kind === "ago") return `${text} ago`;
  if (kind === "left") return `${text} left`;
  return kind === "until" ? `in ${text}` : text;
}

/** An age that ticks. @param iso the moment, as `/v1` gives it */
export function age(kind: AgeKind, iso: string, now: number): Html {
  return html`<time datetime="${iso}" data-age="${kind}" title="${momentText(iso)}">${ageText(kind, Date.parse(iso), now)}</time>`;
}

/** A point in time. */
export function moment(iso: string): Html {
  return html`<time datetime="${iso}">${momentText(iso)}</time>`;
}

/** "2026-11-21 16:04:15 UTC": the same on the server as in every browser. */
export function momentText(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
