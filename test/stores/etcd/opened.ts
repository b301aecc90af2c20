// Coordinators and stores of a test's own, closed after it.
import { afterEach } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { openEtcd, openEtcdStore } from "../../../src/stores/etcd/index.js";
import type { EtcdStore } from "../../../src/stores/etcd/store.js";

export interface Openings {
  engine(url: string, options?: Partial<CoordinatorOptions>): Promise<QueueEngine>;
  /** Without the engine; it has found, or made, its root. */
  store(url: string, options?: Partial<CoordinatorOptions>): Promise<EtcdStore>;
}

/** Call it in a `describe`, or at the top of a file. */
export function openings(): Openings {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(closers.splice(0).map((close) => close()));
  });
  return {
    engine: async (url, options = {}) => {
      const engine = await openEtcd(url, { ...TEST_OPTIONS, ...options });
      closers.push(() => engine.close());
      return engine;
    },
    store: async (url, options = {}) => {
      const store = openEtcdStore(url, { ...TEST_OPTIONS, ...options });
      closers.push(() => store.close());
      await store.sync();
      return store;
    },
  };
}
