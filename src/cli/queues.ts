// Reading many queues at once: a store that is asked one by one answers a fleet's worth of locks only slowly.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";

// As many questions as a store's connection carries well without being flooded.
const AT_ONCE = 32;

/** The queues of `locks`, in their order. */
export async function readQueues(
  coordinator: Coordinator,
  locks: readonly string[],
  signal: AbortSignal,
): Promise<(readonly Claim[])[]> {
  const queues: (readonly Claim[])[] = [];
  for (let start = 0; start < locks.length; start += AT_ONCE) {
    queues.push(...(await Promise.all(locks.slice(start, start + AT_ONCE).map((lock) => coordinator.queue(lock, signal)))));
  }
  return queues;
}
