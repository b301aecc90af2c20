// The queue engine over a store behind a network, for the conformance suite: each session has a fault proxy of its own, and contenders
// are processes. What is each store's own is said by the store's tests.
import { requestOf } from "../../../src/stores/memory/index.js";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import type { QueueStore, Step } from "../../../src/queue/store.js";
import type { Faults, Member, Operation, TestStore } from "../../../src/conformance/stage.js";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { type ContenderKind, startContender } from "../../support/contenders.js";
import type { Protocol, Tag } from "../../support/framer.js";
import { type FramedProxy, openFramedProxy, type RequestMatch, type Target } from "../../support/framed-proxy.js";
import { freshId } from "../../support/roots.js";

/** A place of a test's own on a server. */
export interface NetworkPlace<Tagged extends Tag, Session> {
  readonly protocol: Protocol<Tagged, Session>;
  readonly servers: readonly Target[];
  readonly kind: ContenderKind;
  /** @param address `host:port`, or several with commas */
  urlAt(address: string): string;
  open(url: string, options: CoordinatorOptions): Promise<QueueEngine>;
  /** The store itself, without the engine, to put things into it as somebody else might. */
  openStore(url: string, options: CoordinatorOptions): Promise<QueueStore>;
  /** Which requests are such an operation on a claim. See {@link operationOf}. */
  matching(operation: Operation, claim: string): RequestMatch<Tagged>;
  /** Ends a session in the store, whatever its owner does. Resolves when the store says so to everybody. */
  expireSession(id: string): Promise<void>;
  /** Removes what the test has left. */
  clear?(): Promise<void>;
}

export function openNetworkTestStore<Tagged extends Tag, Session>(place: NetworkPlace<Tagged, Session>): TestStore {
  const proxies: FramedProxy<Tagged, Session>[] = [];
  const addressOf = (servers: readonly Target[]) => servers.map(({ host, port }) => `${host}:${port}`).join(",");
  const openProxy = async (): Promise<FramedProxy<Tagged, Session>> => {
    const proxy = await openFramedProxy(place.protocol, ...place.servers);
    proxies.push(proxy);
    return proxy;
  };
  const direct = place.urlAt(addressOf(place.servers));
  const plant = async (steps: (session: string) => readonly Step[]): Promise<void> => {
    const store = await place.openStore(direct, TEST_OPTIONS);
    try {
      const done = await store.commit(steps(await store.openSession(1_000_000)));
      if (!done.isDone) throw new Error(`garbage could not be planted: ${done.why}`);
    } finally {
      await store.close();
    }
  };
  return {
    open: async (options = {}): Promise<Member> => {
      const proxy = await openProxy();
      const coordinator = await place.open(place.urlAt(proxy.address), { ...TEST_OPTIONS, ...options });
      return { coordinator, faults: faultsOf(place, proxy, coordinator) };
    },
    startContender: (task) => startContender({ kind: place.kind, url: direct, options: TEST_OPTIONS, task }),
    plantGarbageClaim: (lock) =>
      plant((id) => [
        {
          do: "append",
          lock,
          claim: `garbage-${freshId()}`,
          session: { id, epoch: 0 },
          key: null,
          slots: 1,
          record: "{not json",
        },
      ]),
    plantGarbageHistory: (lock) => plant(() => [{ do: "archive", lock, record: "garbage{", endedAt: null, room: 1_000 }]),
    unreachable: async () => {
      const proxy = await openProxy();
      const attempt = (welcome: "refuse" | "ignore") => async (connectTimeoutMs: number) => {
        await proxy.welcome(welcome);
        return place.open(place.urlAt(proxy.address), { ...TEST_OPTIONS, connectTimeoutMs });
      };
      return { "connections refused": attempt("refuse"), "connections accepted but not answered": attempt("ignore") };
    },
    close: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await place.clear?.();
    },
  };
}

/** What a commit is to the suite, and the claim or document that it is about; `null` for one that it has no word for. */
export function operationOf(steps: readonly Step[]): { readonly operation: Operation; readonly claim: string } | null {
  const { operation, claim } = requestOf(steps);
  return claim === null ? null : { operation: operation as Operation, claim };
}

function faultsOf<Tagged extends Tag, Session>(
  place: NetworkPlace<Tagged, Session>,
  proxy: FramedProxy<Tagged, Session>,
  coordinator: QueueEngine,
): Faults {
  return {
    loseReply: (operation, claim) => proxy.dropReply(place.matching(operation, claim)),
    loseRequest: (operation, claim) => proxy.dropRequest(place.matching(operation, claim)),
    holdRequest: (operation, claim) => proxy.holdRequest(place.matching(operation, claim)),
    cut: () => proxy.cut(),
    refuse: async () => {
      await proxy.welcome("refuse");
      await proxy.cut();
    },
    serve: () => proxy.welcome("serve"),
    freeze: () => proxy.freeze(),
    thaw: () => proxy.thaw(),
    expireSession: async () => {
      const { session } = coordinator;
      if (session === null) throw new Error("there is no session to end");
      await place.expireSession(session.id);
    },
  };
}
