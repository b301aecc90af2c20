// Places of a test's own on Redis servers, and stores and engines on them that are closed after it.
import { inject, onTestFinished } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import type { Step } from "../../../src/queue/store.js";
import { openRedis } from "../../../src/stores/redis/index.js";
import { RedisStore } from "../../../src/stores/redis/store.js";
import { parseRedisUrl } from "../../../src/stores/redis/url.js";
import { freshId, freshRoot } from "../../support/roots.js";

/** Why there is no Redis here; `null` where there is. */
export function redisProblem(): string | null {
  return inject("redis").missing;
}

/** The URL of a root that nobody has used, on the run's server. */
export function openPlace(): string {
  const server = inject("redis");
  if (server.missing !== null) throw new Error(server.missing);
  return urlOn(server.port);
}

/** The same on another server. */
export function urlOn(port: number, query = "&durability=may-lose"): string {
  return `redis://127.0.0.1:${port}/0?prefix=${freshRoot().slice(1)}${query}`;
}

/** The bare store: nothing is asked again. */
export function openStore(url: string, options: Partial<CoordinatorOptions> = {}): RedisStore {
  const store = new RedisStore(parseRedisUrl(url), { ...TEST_OPTIONS, ...options });
  onTestFinished(() => store.close());
  return store;
}

export async function open(url: string, options: Partial<CoordinatorOptions> = {}): Promise<QueueEngine> {
  const engine = await openRedis(url, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

/** A step that joins a line. */
export function appendOf(session: string, lock = "a", claim = freshId(), epoch = 0): Step {
  return { do: "append", lock, claim, session: { id: session, epoch }, key: null, slots: 1, record: "{}" };
}
