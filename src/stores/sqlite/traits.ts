// What a database on this machine can and cannot do.
import type { StoreTraits } from "../../queue/store.js";

export const TRAITS: StoreTraits = {
  sessions: "process",
  // A file that is touched hastens waiters; that a process has ended is found by looking.
  wakes: "poll",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  bytesPerLock: 0,
  durability: "disk",
};
