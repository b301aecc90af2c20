// What a database on this machine can and cannot do.
import type { Traits } from "../../locks/coordinator.js";

export const TRAITS: Traits = {
  wakes: "push",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  bytesPerLock: 0,
  durability: "disk",
};
