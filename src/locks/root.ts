// What a root says of itself beside its freezes: where it has come from, where it goes, and from which number on its fencing tokens
// count. It stands in the document of freezes, which whatever begins has to look at anyway. Pure.
import { isObject } from "./claim.js";
import { HoldlineError } from "./errors.js";

/** A move from one store to another, as either of them has it. URLs are without secrets. */
export type Move =
  /** Here is what has been copied so far. Nobody may use it yet. `from` has the id `root`. */
  | { readonly state: "arriving"; readonly from: string; readonly root: string; readonly recorded: number }
  /** `moving`: is being copied, and still counts. `moved`: counts no more. `since` is milliseconds since 1970 by the store's clock. */
  | { readonly state: "moving" | "moved"; readonly to: string; readonly since: number };

export interface Root {
  /** What tells it from other roots; `null` for one that was never copied. */
  readonly id: string | null;
  /** Added to every fencing token that the store gives, so that none is less than those that came before it elsewhere. */
  readonly tokensAbove: number;
  /** The id of the root that it was copied from, once that was done. */
  readonly arrivedFrom: string | null;
  readonly move: Move | null;
}

/** What is meant where nothing is said. */
export const PLAIN_ROOT: Root = { id: null, tokensAbove: 0, arrivedFrom: null, move: null };

export function isPlain({ id, tokensAbove, arrivedFrom, move }: Root): boolean {
  return id === null && tokensAbove === 0 && arrivedFrom === null && move === null;
}

/** `null` for what is none. */
export function readRoot(value: unknown): Root | null {
  if (!isObject(value)) return null;
  const { id, tokensAbove, arrivedFrom, move } = value;
  if (![id, arrivedFrom].every((text) => text === null || typeof text === "string")) return null;
  if (!Number.isSafeInteger(tokensAbove) || (tokensAbove as number) < 0 || (move !== null && !isMove(move))) return null;
  return value as unknown as Root;
}

function isMove(value: unknown): value is Move {
  if (!isObject(value)) return false;
  const { state, from, root, recorded, to, since } = value;
  if (state === "arriving") return typeof from === "string" && typeof root === "string" && Number.isSafeInteger(recorded);
  return (state === "moving" || state === "moved") && typeof to === "string" && Number.isFinite(since);
}

/** The root has moved: everything is in another store now. */
export class MovedError extends HoldlineError {
  override readonly name = "MovedError";
}

/** Why nobody may use a root; `null` where everybody may. What is being copied can still be looked at where it was. */
export function whyNotToUse({ move }: Root): HoldlineError | null {
  switch (move?.state) {
    case undefined:
      return null;
    case "moved":
      return new MovedError(
        "configuration",
        `everything that was in this store has moved to ${move.to}, on ${dateOf(move.since)}`,
        {
          hint: `set \`coordinator\` to ${move.to} with its credentials, here and wherever it still names the old store`,
        },
      );
    case "moving":
      return new HoldlineError("conflict", `this store is being moved to ${move.to}: nothing may change until that is done`, {
        hint: "holdline copy FROM TO goes on where an earlier one was stopped; holdline copy --give-up FROM TO leaves everything here",
      });
    case "arriving":
      return new HoldlineError("conflict", `this store is being filled from ${move.from}, and has not all of it yet`, {
        hint: "holdline copy FROM TO goes on where an earlier one was stopped",
      });
  }
}

/** Why nobody may even look; `null` where everybody may. */
export function whyNotToLook(root: Root): HoldlineError | null {
  return root.move?.state === "moving" ? null : whyNotToUse(root);
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
