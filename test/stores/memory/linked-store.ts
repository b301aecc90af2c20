// The in-memory store as it is reached over a link: what it tells comes the same way as its answers, and what a lost connection has
// swallowed counts as anything.
import type { QueueStore, StoreChange, StoreTraits } from "../../../src/queue/store.js";
import { createMemoryStore, MEMORY_TRAITS } from "../../../src/stores/memory/index.js";
import type { MemoryServer } from "../../../src/stores/memory/server.js";
import type { Link } from "./link.js";

export function createLinkedStore(server: MemoryServer, link: Link, traits: StoreTraits = MEMORY_TRAITS): QueueStore {
  const listeners = new Set<(change: StoreChange) => void>();
  link.onOpen = () => {
    for (const tell of [...listeners]) tell(null);
  };
  const store = createMemoryStore(server, link.send, traits);
  return {
    ...store,
    watch: async (lock, onChange) => {
      const tell = (change: StoreChange): void => link.tell({ operation: "changed", claim: null }, () => onChange(change));
      const close = await link.send({ operation: "watch", claim: null }, () => server.watch(lock, tell));
      listeners.add(onChange);
      return {
        caughtUp: () => link.send({ operation: "caughtUp", claim: null }, () => ({ ms: server.now(), errorMs: 0 })),
        close: () => {
          listeners.delete(onChange);
          close();
        },
      };
    },
    // A new connection is made at once where one can be had.
    reconnect: () => link.cut(),
    close: () => {
      link.close(true);
      return Promise.resolve();
    },
  };
}
