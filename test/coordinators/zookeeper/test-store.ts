// A tree on a real ZooKeeper for the conformance suite, with a fault proxy for each session.
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { startContender } from "../../support/contenders.js";
import { type FaultProxy, mentions, openFaultProxy, type RequestMatch } from "../../support/fault-proxy.js";
import { openPlainClient } from "../../support/plain-client.js";
import { freshId } from "../../support/roots.js";
import { expireSession, Opcode, type SessionCredentials } from "../../support/zookeeper-frames.js";
import type { ServerAddress } from "../../support/zookeeper-server.js";
import { type Faults, type Operation, TEST_OPTIONS, type TestStore } from "../conformance/store.js";

const KIND = { coordinator: "coordinators/zookeeper", opener: "openZooKeeper" };

/** A tree of a test's own on a server. */
export interface ZooKeeperPlace {
  /** Where it answers in the clear. */
  readonly server: ServerAddress;
  readonly root: string;
  /** @param address of a proxy, of what stands in front of it, or of the server itself */
  urlAt(address: string): string;
  /** What proxies stand in front of; by default the server. */
  readonly behind?: ServerAddress;
  /** Puts something in front of a proxy. */
  front?(proxy: FaultProxy): Promise<{ readonly address: string; close(): Promise<void> }>;
}

export function openZooKeeperTestStore(place: ZooKeeperPlace): TestStore {
  const { server, root } = place;
  // The last to be opened is the first to be closed.
  const closers: (() => Promise<void>)[] = [];
  const openProxy = async (): Promise<{ readonly proxy: FaultProxy; readonly address: string }> => {
    const proxy = await openFaultProxy(place.behind ?? server);
    closers.unshift(() => proxy.close());
    const door = await place.front?.(proxy);
    if (door !== undefined) closers.unshift(() => door.close());
    return { proxy, address: door?.address ?? proxy.address };
  };
  const open = (address: string, options: Partial<CoordinatorOptions>) =>
    openZooKeeper(place.urlAt(address), { ...TEST_OPTIONS, ...options });
  return {
    open: async (options = {}) => {
      const { proxy, address } = await openProxy();
      return { coordinator: await open(address, options), faults: faultsOf(proxy, server) };
    },
    startContender: (task) => {
      const url = place.urlAt(`${server.host}:${server.port}`);
      return startContender({ kind: KIND, url, options: TEST_OPTIONS, task });
    },
    plantGarbageClaim: async (lock) => {
      const client = await openPlainClient(server);
      closers.unshift(() => client.close());
      await client.create(`${root}/locks/${lock}/_c_${freshId()}-lock-`, "{not json", "ephemeral-sequential");
    },
    plantGarbageHistory: async (lock) => {
      const client = await openPlainClient(server);
      closers.unshift(() => client.close());
      await client.create(`${root}/history/_h_${lock}=`, "\u0000garbage{", "persistent-sequential");
    },
    unreachable: async () => {
      const { proxy, address } = await openProxy();
      const attempt = (welcome: "refuse" | "ignore") => async (connectTimeoutMs: number) => {
        await proxy.welcome(welcome);
        return open(address, { connectTimeoutMs });
      };
      return { "connections refused": attempt("refuse"), "connections accepted but not answered": attempt("ignore") };
    },
    close: async () => {
      for (const close of closers) await close();
    },
  };
}

function faultsOf(proxy: FaultProxy, server: ServerAddress): Faults {
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
    expireSession: () => expireSession(server, proxy.sessions.at(-1) as SessionCredentials),
  };
}

/** Every write of a claim names the claim, because its id is part of its znodes' names. */
function matching(operation: Operation, claim: string): RequestMatch {
  const named = mentions(claim);
  return { operation: operation === "join" ? [Opcode.create, Opcode.multi] : Opcode.multi, where: named };
}
