// The etcd store for the conformance suite: each test has a prefix of its own on the run's server.
import type { TestStore } from "../../../src/conformance/stage.js";
import { openEtcd, openEtcdStore } from "../../../src/stores/etcd/index.js";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { freshRoot } from "../../support/roots.js";
import { openNetworkTestStore } from "../network/test-store.js";
import { ETCD_PROTOCOL } from "./framer.js";
import { runServer } from "./place.js";

export function openEtcdTestStore(): TestStore {
  const { host, port } = runServer();
  const root = freshRoot();
  const urlAt = (address: string): string => `etcd://${address}${root}`;
  return openNetworkTestStore({
    protocol: ETCD_PROTOCOL,
    servers: [{ host, port }],
    kind: { coordinator: "stores/etcd", opener: "openEtcd" },
    urlAt,
    open: openEtcd,
    openStore: (url, options) => Promise.resolve(openEtcdStore(url, options)),
    matching: (operation, claim) => ({ operation, claim }),
    // Revoking a lease and its end by itself are the same in etcd.
    expireSession: async (id) => {
      const store = openEtcdStore(urlAt(`${host}:${port}`), TEST_OPTIONS);
      await store.commit([{ do: "end", session: id, isEnded: false }]);
      await store.close();
    },
  });
}
