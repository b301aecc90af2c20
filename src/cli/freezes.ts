// Freezes for people: what is frozen, by whom, why and until when.
import { isoTime } from "../locks/durations.js";
import type { Freeze } from "../locks/freezes.js";
import type { SeenFreezes } from "../views/freezes.js";
import { ago, sanitize, until as untilWords } from "./render.js";
import { renderText, type View } from "./table.js";

/** A few lines for each freeze, and why freezes cannot be told; none where nothing is frozen. */
export function renderFreezes({ freezes, problem, now }: SeenFreezes, view: View): string[] {
  const unreadable = problem === null ? [] : [`FROZEN: ${problem}`];
  const lines = [...unreadable, ...freezes.map((freeze) => describeFreeze(freeze, now, view.isExact))];
  return lines.flatMap((text) => renderText({ text, paint: (shown) => view.paint("yellow", shown) }, view));
}

/** "restart/*, deploy/* on web-* in the group web". */
export function whatIsFrozen({ locks, node, group }: Pick<Freeze, "locks" | "node" | "group">): string {
  const what = locks.length === 1 && locks[0] === "*" ? "all locks" : locks.join(", ");
  return `${what}${node === null ? "" : ` on ${node}`}${group === null ? "" : ` in the group ${group}`}`;
}

/** "FROZEN: restart/* on nodes web-* by ann@desk since 5 min ago, until it is thawed: sale (3f25…)". */
export function describeFreeze(
  { id, locks, node, group, reason, by, since, until }: Freeze,
  now: number,
  isExact: boolean,
): string {
  const begun = isExact ? isoTime(since) : ago(since, now);
  const end = until === null ? "until it is thawed" : `until ${isExact ? isoTime(until) : untilWords(until, now)}`;
  return sanitize(`FROZEN: ${whatIsFrozen({ locks, node, group })} by ${by} since ${begun}, ${end}: ${reason} (${id})`);
}
