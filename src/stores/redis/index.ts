// Opening Redis or Valkey as a coordinator: the queue engine over the store.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { openEngine, type QueueEngine } from "../../queue/engine.js";
import { RedisStore } from "./store.js";
import { parseRedisUrl } from "./url.js";

/**
 * Opens a root on a server, and makes it where there is none, unless it is to be taken as it is found.
 * @param url see url.ts
 * @throws UnreachableError when the primary does not answer within the connect timeout
 * @throws HoldlineError `configuration` for a server or a root that cannot be used, `not-allowed` where the server refuses this user
 */
export function openRedis(url: string, options: CoordinatorOptions): Promise<QueueEngine> {
  return openEngine(new RedisStore(parseRedisUrl(url), options), options);
}
