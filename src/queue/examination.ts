// What there is to say of a store under the engine, for people: what the store says of itself, and what the engine measures.
import { type Examined, reportOf, type StoreReport } from "../locks/store-report.js";
import { uptimeMs } from "../uptime.js";
import type { Asking } from "./asking.js";
import type { QueueStore } from "./store.js";

/** @throws UnreachableError when the store does not answer */
export async function examineStore(store: QueueStore, asking: Asking, signal?: AbortSignal): Promise<StoreReport> {
  const examined = await asking.ask(signal, (patience) => store.examine?.(patience) ?? Promise.resolve(saysNothing(store)));
  const startedAt = { wall: Date.now(), uptime: uptimeMs() };
  const time = await asking.ask(signal, (patience) => store.sync(patience));
  const latencyMs = uptimeMs() - startedAt.uptime;
  return reportOf(examined, { latencyMs, durability: store.traits.durability, time, now: startedAt.wall + latencyMs / 2 });
}

function saysNothing({ name }: QueueStore): Examined {
  return { kind: /^[a-z0-9+.-]*/i.exec(name)?.[0] ?? name, version: null, servers: [], facts: {}, findings: [] };
}
