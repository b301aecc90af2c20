// What DynamoDB can and cannot do.
import type { StoreTraits } from "../../queue/store.js";
import { MOST_BYTES } from "./codec.js";

export const TRAITS: StoreTraits = {
  sessions: "renewed",
  wakes: "poll",
  // The time comes in whole seconds, with a reply that may have taken up to three.
  clockErrorMs: 2_000,
  // Three renewals have to fit in, each of which may be asked for twice.
  minSessionMs: 1_000,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: MOST_BYTES,
  bytesPerLock: 300,
  durability: "quorum",
};
