// Opening a schema of a PostgreSQL database as a coordinator: the queue engine over the PostgreSQL store.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { Asking } from "../../queue/asking.js";
import { openEngine, type QueueEngine } from "../../queue/engine.js";
import { systemTimers } from "../../queue/timers.js";
import { durabilityOf } from "./examination.js";
import { Primary } from "./primary.js";
import { prepareRoot } from "./root.js";
import { PostgresStore } from "./store.js";
import { parsePostgresUrl } from "./url.js";

// The server takes far more; this is what one commit needs not take longer for than people wait.
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Opens a root, and makes its schema where there is none and the user may.
 * @throws UnreachableError when no server that takes writes answers within the connect timeout, or the schema is another's
 */
export async function openPostgres(url: string, options: CoordinatorOptions): Promise<QueueEngine> {
  return openEngine(await openPostgresStore(url, options), options);
}

export async function openPostgresStore(url: string, options: CoordinatorOptions): Promise<PostgresStore> {
  let rootId: string | null = null;
  const primary = new Primary(parsePostgresUrl(url), options, async (reached) => {
    const { id, timeline } = await prepareRoot(reached, primary.address);
    rootId ??= id;
    return timeline;
  });
  const reconnect = (why: string): void => primary.reconnect(why);
  const asking = new Asking({ traits: { sessions: "renewed" }, reconnect }, { ...options, timers: systemTimers() });
  try {
    const { state, isPooled } = await asking.ask(undefined, () => primary.current());
    const traits = {
      sessions: "renewed",
      wakes: isPooled ? "poll" : "push",
      clockErrorMs: 0,
      minSessionMs: 0,
      maxLocks: Number.POSITIVE_INFINITY,
      maxBytes: MOST_BYTES,
      // Beside its name and those 100 bytes, what a step consists of.
      bytesPerLock: 600,
      durability: durabilityOf(state),
    } as const;
    return new PostgresStore(`postgresql:${rootId}`, traits, primary, options);
  } catch (error) {
    await primary.close();
    throw error;
  }
}
