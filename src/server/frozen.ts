// What a client hears whose lock is frozen, in every protocol alike.
import type { Frozen } from "../leases/frozen.js";
import { describeFreezes } from "../line/words.js";
import { freezeAsJson } from "../views/json.js";
import type { Caller } from "./access.js";
import type { Refusal } from "./errors.js";

/** Without `read`, callers learn that the lock is frozen, and not by whom or why. */
export function frozen({ lock, freezes }: Frozen, caller: Caller): Refusal {
  const isSeen = caller.mayWith("read", lock);
  const message = isSeen ? `${lock} is ${describeFreezes(freezes)}` : `${lock} is frozen`;
  return { status: 423, kind: "frozen", message, more: { lock, freezes: isSeen ? freezes.map(freezeAsJson) : [] } };
}
