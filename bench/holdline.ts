// Holdline's own locks as the workloads see them, through the seam, without configuration or command line.
import { randomUUID } from "node:crypto";
import { openCoordinator } from "../src/coordinators/registry.js";
import type { ClaimRecord } from "../src/locks/claim.js";
import type { Coordinator, Draft, Joined } from "../src/locks/coordinator.js";
import { takeTurn } from "../src/line/turn.js";
import type { Member, Peer } from "./peer.js";

/** How many records of the history are kept for each lock. */
export const HISTORY_KEEP = 100;

const zookeeperUrl = (address: string): string => `zookeeper://${address}/bench`;
const sqliteUrl = (path: string): string => `sqlite://${path}`;

/** Join, and withdraw. */
const ephemerally: Taking = {
  settles: false,
  take: (coordinator, _, joined) => Promise.resolve(() => coordinator.withdraw(joined.positions)),
};

/** Join, settle, and leave with a record in the history. */
const durably: Taking = {
  settles: true,
  take: async (coordinator, draft, joined) => {
    const settled = await coordinator.settle(draft, joined, recordOf(draft));
    return async () => {
      const outcome = await coordinator.leave(draft.id, settled.entries, { event: "released", by: "bench", reason: null });
      if (outcome !== "done") throw new Error(`the claim was not released: ${outcome}`);
    };
  },
};

export const HOLDLINE: readonly Peer[] = [
  { name: "holdline", store: "zookeeper", open: (address) => openEphemeral(zookeeperUrl(address)) },
  { name: "holdline-durable", store: "zookeeper", open: (address) => openMember(zookeeperUrl(address), durably) },
  { name: "holdline-sqlite", store: "sqlite", open: (path) => openEphemeral(sqliteUrl(path)) },
  { name: "holdline-sqlite-durable", store: "sqlite", open: (path) => openMember(sqliteUrl(path), durably) },
];

/** A session on any store, which takes locks as `exec` does. */
export const openEphemeral = (url: string): Promise<Member> => openMember(url, ephemerally);

const silent = (): void => undefined;
export const SILENT = { debug: silent, info: silent, warn: silent, error: silent };

/** A coordinator that logs nothing. */
export function openStore(url: string): Promise<Coordinator> {
  return openCoordinator(url, {
    connectTimeoutMs: 10_000,
    sessionTimeoutMs: 30_000,
    historyKeep: HISTORY_KEEP,
    sleepTimeMs: 250,
    log: SILENT,
  });
}

interface Taking {
  readonly settles: boolean;
  /** Takes the granted claim; gives the function that releases it. */
  readonly take: (coordinator: Coordinator, draft: Draft, joined: Joined) => Promise<() => Promise<void>>;
}

async function openMember(url: string, { settles, take }: Taking): Promise<Member> {
  const coordinator = await openStore(url);
  return {
    acquire: async (lock, onWaiting) => {
      // Each wait has a signal of its own, as it would from its caller: a thousand may wait in one session.
      const { signal } = new AbortController();
      const draft = { ...draftOf(lock), settles };
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

export function draftOf(lock: string): Draft {
  const owner = { node: "bench", principal: "bench", action: null, process: null };
  return { id: randomUUID(), locks: [lock], key: null, slots: 1, owner, reason: null, data: null, settles: true, lease: null };
}

export function recordOf({ owner, key, slots, reason, data, lease }: Draft): ClaimRecord {
  const made = { bootId: null, ticks: null, wallMs: Date.now() };
  return { owner, key, slots, made, lease, expiresAt: null, reason, data, failure: null };
}
