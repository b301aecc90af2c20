// What an etcd cluster can and cannot do.
import type { StoreTraits } from "../../queue/store.js";

/** etcd's own bound on the operations of a transaction, as it is unless `--max-txn-ops` says otherwise. */
export const MOST_OPERATIONS = 128;

export const TRAITS: StoreTraits = {
  sessions: "renewed",
  wakes: "push",
  // A member tells its time to the second, and each answer is on its way for a moment.
  clockErrorMs: 1_000,
  // A lease has whole seconds, and one and a half times the election timeout at least, which is 1 s unless it is set.
  minSessionMs: 2_000,
  // To join, to settle and to leave takes three operations a lock, and a few are left for documents.
  maxLocks: 40,
  // etcd takes 1.5 MiB for a request unless `--max-request-bytes` says otherwise.
  maxBytes: 1_500_000,
  // Up to nine keys with the claim's id and the prefix, and the name of the lock in each, with all of its bytes percent-encoded.
  bytesPerLock: 6_000,
  durability: "quorum",
};
