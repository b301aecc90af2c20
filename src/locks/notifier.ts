// What people want to be told of, as those who notice it say it. Types only: src/notify tells the receivers.
import type { Failure, Owner } from "./claim.js";
import type { Freeze } from "./freezes.js";

/** Something that happened to a claim. */
export interface ClaimEvent {
  /**
   * - `failed`: an action or its check failed.
   * - `stale`: the process of a durable claim is gone.
   * - `recovered`: what an earlier run had left has ended well.
   * - `cleared`: an admin has ended the claim.
   */
  readonly event: "failed" | "stale" | "recovered" | "cleared";
  readonly lock: string;
  /** The claim's id; `null` where the action ran without a lock. */
  readonly claim: string | null;
  readonly owner: Pick<Owner, "node" | "group" | "principal" | "action">;
  /** Who did it; `null` where nobody did. */
  readonly by: string | null;
  readonly reason: string | null;
  readonly failure: Omit<Failure, "at"> | null;
}

/** A freeze has begun, or has ended. */
export interface FreezeEvent {
  readonly event: "frozen" | "thawed";
  readonly freeze: Freeze;
  /** Who froze or thawed; `null` where the freeze's time was over. */
  readonly by: string | null;
}

export type NotifiedEvent = ClaimEvent | FreezeEvent;

/** Tells whoever the configuration names. */
export interface Notifier {
  /** Takes the event and returns at once: telling it holds up nothing, and its failure is only logged. */
  tell(event: NotifiedEvent): void;
}
