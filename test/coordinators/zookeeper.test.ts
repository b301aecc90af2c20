// The conformance suite on a real ZooKeeper, with a fault proxy for each session.
import { inject } from "vitest";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import type { CoordinatorOptions } from "../../src/locks/coordinator.js";
import { startContender } from "../support/contenders.js";
import { type FaultProxy, mentions, openFaultProxy, type RequestMatch } from "../support/fault-proxy.js";
import { openPlainClient } from "../support/plain-client.js";
import { freshId, freshRoot } from "../support/roots.js";
import { expireSession, Opcode, type SessionCredentials } from "../support/zookeeper-frames.js";
import { describeCoordinator } from "./conformance.js";
import { type Faults, type Operation, TEST_OPTIONS, type TestStore } from "./conformance/store.js";

const KIND = { coordinator: "coordinators/zookeeper", opener: "openZooKeeper" };

describeCoordinator("ZooKeeper", {
  hasFaults: true,
  // A session outlives its process by 4 s, and the server checks at every tick.
  goneWithinMs: 15_000,
  open: async () => openTestStore(freshRoot()),
});

function openTestStore(root: string): TestStore {
  const server = inject("zookeeper");
  const proxies: FaultProxy[] = [];
  const closers: (() => Promise<void>)[] = [];
  const openProxy = async (): Promise<FaultProxy> => {
    const proxy = await openFaultProxy(server);
    proxies.push(proxy);
    return proxy;
  };
  const open = (address: string, options: Partial<CoordinatorOptions>) =>
    openZooKeeper(`zookeeper://${address}${root}`, { ...TEST_OPTIONS, ...options });
  return {
    open: async (options = {}) => {
      const proxy = await openProxy();
      return { coordinator: await open(proxy.address, options), faults: faultsOf(proxy) };
    },
    startContender: (task) => {
      const url = `zookeeper://${server.host}:${server.port}${root}`;
      return startContender({ kind: KIND, url, options: TEST_OPTIONS, task });
    },
    plantGarbageClaim: async (lock) => {
      const client = await openPlainClient(server);
      closers.push(() => client.close());
      await client.create(`${root}/locks/${lock}/_c_${freshId()}-lock-`, "{not json", "ephemeral-sequential");
    },
    plantGarbageHistory: async (lock) => {
      const client = await openPlainClient(server);
      closers.push(() => client.close());
      await client.create(`${root}/history/_h_${lock}=`, "\u0000garbage{", "persistent-sequential");
    },
    unreachable: async () => {
      const proxy = await openProxy();
      const attempt = (welcome: "refuse" | "ignore") => async (connectTimeoutMs: number) => {
        await proxy.welcome(welcome);
        return open(proxy.address, { connectTimeoutMs });
      };
      return { "connections refused": attempt("refuse"), "connections accepted but not answered": attempt("ignore") };
    },
    close: async () => {
      await Promise.all(closers.map((close) => close()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}

function faultsOf(proxy: FaultProxy): Faults {
  return {
    loseReply: (operation, claim) => proxy.dropReply(matching(operation, claim)),
    loseRequest: (operation, claim) => proxy.dropRequest(matching(operation, claim)),
    holdRequest: (operation, claim) => proxy.holdRequest(matching(operation, claim)),
    cut: () => proxy.cut(),
    refuse: async () => {
      await proxy.welcome("refuse");
      await proxy.cut();
    },
    serve: () => proxy.welcome("serve"),
    freeze: () => proxy.freeze(),
    thaw: () => proxy.thaw(),
    expireSession: () => expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials),
  };
}

/** Every write of a claim names the claim, because its id is part of its znodes' names. */
function matching(operation: Operation, claim: string): RequestMatch {
  const named = mentions(claim);
  return { operation: operation === "join" ? [Opcode.create, Opcode.multi] : Opcode.multi, where: named };
}
