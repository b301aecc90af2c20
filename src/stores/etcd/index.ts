// Opening an etcd cluster as a coordinator: the queue engine over the etcd store.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { openEngine, type QueueEngine } from "../../queue/engine.js";
import { EtcdStore } from "./store.js";
import { parseEtcdUrl } from "./url.js";

/**
 * Connects to a cluster.
 * @param url see url.ts
 * @throws UnreachableError when no member answers within the connect timeout
 * @throws HoldlineError `configuration` when the prefix is used by another program, `not-allowed` when the user is refused
 */
export function openEtcd(url: string, options: CoordinatorOptions): Promise<QueueEngine> {
  return openEngine(openEtcdStore(url, options), options);
}

/** The store without the engine: it connects with its first request. */
export function openEtcdStore(url: string, options: CoordinatorOptions): EtcdStore {
  return new EtcdStore(parseEtcdUrl(url), options);
}
