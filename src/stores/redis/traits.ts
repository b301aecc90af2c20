// What a Redis or Valkey store can do, as far as it does not depend on how its server is configured.
import type { StoreTraits } from "../../queue/store.js";

export const TRAITS: Omit<StoreTraits, "durability"> = {
  sessions: "renewed",
  wakes: "push",
  // The server stamps it itself.
  clockErrorMs: 0,
  minSessionMs: 0,
  // A script that writes to so many keys keeps everybody else waiting for some milliseconds.
  maxLocks: 10_000,
  // The server takes 512 MB in one piece, and a script that goes through many of those keeps others waiting.
  maxBytes: 16 * 1024 * 1024,
  // A lock's name of up to 255 bytes, which JSON may write with six for one, and its step.
  bytesPerLock: 2_000,
};
