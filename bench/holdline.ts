// Holdline's own locks as the workloads see them, through the seam, without configuration or command line.
import { randomUUID } from "node:crypto";
import { openZooKeeper } from "../src/coordinators/zookeeper/index.js";
import type { ClaimRecord } from "../src/locks/claim.js";
import type { Coordinator, Draft, Joined } from "../src/locks/coordinator.js";
import { takeTurn } from "../src/locks/turn.js";
import type { Member, Peer } from "./peer.js";

/** Join, and withdraw. */
export const holdline: Peer = {
  name: "holdline",
  open: (address) => openMember(address, (coordinator, _, joined) => Promise.resolve(() => coordinator.withdraw(joined.standings))),
};

/** Join, settle, and leave with a record in the history. */
export const holdlineDurable: Peer = {
  name: "holdline-durable",
  open: (address) =>
    openMember(address, async (coordinator, draft, joined) => {
      const settled = await coordinator.settle(draft, joined, recordOf(draft));
      return async () => {
        const outcome = await coordinator.leave(draft.id, settled.entries, { event: "released", by: "bench", reason: null });
        if (outcome !== "done") throw new Error(`the claim was not released: ${outcome}`);
      };
    }),
};

type Take = (coordinator: Coordinator, draft: Draft, joined: Joined) => Promise<() => Promise<void>>;

async function openMember(address: string, take: Take): Promise<Member> {
  const silent = (): void => undefined;
  const coordinator = await openZooKeeper(`zookeeper://${address}/bench`, {
    connectTimeoutMs: 10_000,
    sessionTimeoutMs: 30_000,
    historyKeep: 100,
    pollMs: 250,
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const { signal } = new AbortController();
  return {
    acquire: async (lock, onWaiting) => {
      const draft = draftOf(lock);
      const look = async (): Promise<"stay"> => {
        onWaiting?.();
        return "stay";
      };
      const turn = await takeTurn(coordinator, draft, onWaiting === undefined ? { signal } : { signal, look });
      if (turn.outcome !== "granted") throw new Error("a wait without an end has ended");
      return take(coordinator, draft, turn.joined);
    },
    close: () => coordinator.close(),
  };
}

function draftOf(lock: string): Draft {
  const owner = { node: "bench", principal: "bench", action: null, process: null };
  return { id: randomUUID(), locks: [lock], key: null, slots: 1, owner, reason: null, data: null, lease: null };
}

function recordOf({ owner, key, slots, reason, data, lease }: Draft): ClaimRecord {
  const made = { bootId: null, ticks: null, wallMs: Date.now() };
  return { owner, key, slots, made, lease, expiresAt: null, reason, data, failure: null };
}
