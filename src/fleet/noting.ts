// What a node's document says after a run. Pure.
import type { NodeAction, NodeDocument } from "./node.js";
import { actionOf } from "./node.js";

/** What became of a run, as its node notes it. */
export interface RunNote extends Pick<NodeDocument, "node" | "group" | "machine" | "version"> {
  readonly action: string;
  readonly lock: string;
  readonly outcome: string;
  /** In words; a long one is cut. */
  readonly message: string;
  /** `null` where nothing ran. */
  readonly ranMs: number | null;
  /** How long ago the run's own wish was made; `null` for a run that finishes what was wished before. */
  readonly wishedMsAgo: number | null;
  /** Whether a wish still waits for its turn. */
  readonly isPending: boolean;
}

/** What a node remembers of the note that it wrote last of an action. */
export type Noted = Pick<RunNote, "group" | "machine" | "version" | "lock" | "outcome" | "message" | "ranMs" | "isPending">;

// People read the beginning, and ten thousand documents stay small.
const LONGEST_MESSAGE = 200;

/**
 * The document with what became of a run.
 * @param previous what it said before; `null` where there is none
 * @param declared the actions that the node's configuration declares: it says nothing of others
 * @param now milliseconds since 1970 by the store's clock
 */
export function withNote(
  previous: NodeDocument | null,
  note: RunNote,
  { declared, now }: { readonly declared: ReadonlySet<string>; readonly now: number },
): NodeDocument {
  const { node, group, machine, version, action, lock, outcome, ranMs, wishedMsAgo, isPending } = note;
  const before = previous === null ? undefined : actionOf(previous, action);
  const wishedAt = wishedMsAgo === null ? (before?.wishedAt ?? now) : now - wishedMsAgo;
  const pendingSince = isPending ? (before?.pendingSince ?? wishedAt) : null;
  const entry: NodeAction = { lock, outcome, at: now, ranMs, message: cut(note.message), wishedAt, pendingSince };
  const others = Object.entries(previous?.actions ?? {}).filter(([name]) => name !== action && declared.has(name));
  return { node, group, machine, seenAt: now, version, actions: Object.fromEntries([...others, [action, entry]]) };
}

/** What is to be remembered of a note. */
export function notedOf({ group, machine, version, lock, outcome, message, ranMs, isPending }: RunNote): Noted {
  return { group, machine, version, lock, outcome, message: cut(message), ranMs, isPending };
}

/**
 * Whether a note says nothing that the last one has not said. What ran is always news. Who timed out waits behind another one each
 * time, and for longer: that alone is none.
 */
export function saysNothingNew(last: Noted, note: RunNote): boolean {
  const now = notedOf(note);
  const isAlike = (["group", "machine", "version", "lock", "outcome", "isPending"] as const).every((key) => last[key] === now[key]);
  return isAlike && now.ranMs === null && last.ranMs === null && (now.outcome === "timed-out" || last.message === now.message);
}

function cut(message: string): string {
  // By characters, so that none is cut in half.
  const characters = Array.from(message.slice(0, 2 * LONGEST_MESSAGE));
  return characters.length <= LONGEST_MESSAGE ? characters.join("") : `${characters.slice(0, LONGEST_MESSAGE - 1).join("")}…`;
}
