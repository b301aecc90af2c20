// The in-memory store for one process: queues for tests and programs that need no other process to see them.
import type { StoreTime } from "../../locks/coordinator.js";
import type { QueueStore, Step, StoreTraits } from "../../queue/store.js";
import type { MemoryServer } from "./server.js";

export const MEMORY_TRAITS: StoreTraits = {
  sessions: "renewed",
  wakes: "push",
  clockErrorMs: 0,
  minSessionMs: 0,
  maxLocks: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  bytesPerLock: 0,
  durability: "may-lose",
};

/** What a request is called, and the claim or the document that it is about where it is one's. */
export interface Request {
  readonly operation: string;
  readonly claim: string | null;
}

/** How a client reaches its server: carries a request there and the answer back. */
export type Carrier = <T>(request: Request, effect: () => T) => Promise<T>;

/** A client of a server in this process. @param carry by default at once, and nothing is lost */
export function createMemoryStore(
  server: MemoryServer,
  carry: Carrier = (_request, effect) => Promise.resolve().then(effect),
  traits: StoreTraits = MEMORY_TRAITS,
): QueueStore {
  const time = (): StoreTime => ({ ms: server.now(), errorMs: 0 });
  return {
    name: "memory",
    isShared: true,
    traits,
    commit: (steps) => carry(requestOf(steps), () => server.commit(steps)),
    line: (lock, refs) => carry({ operation: "line", claim: null }, () => server.line(lock, refs)),
    read: (lock, first) => carry({ operation: "read", claim: null }, () => server.read(lock, first)),
    readClaim: (claim) => carry({ operation: "readClaim", claim }, () => server.readClaim(claim)),
    locks: () => carry({ operation: "locks", claim: null }, () => server.locks()),
    endedSessions: () => carry({ operation: "endedSessions", claim: null }, () => server.endedSessions()),
    archived: (query) => carry({ operation: "archived", claim: null }, () => server.archived(query)),
    trim: (lock, keep, oldest) => carry({ operation: "trim", claim: null }, () => server.trim(lock, keep, oldest)),
    document: (name) => carry({ operation: "document", claim: null }, () => server.document(name)),
    documents: (prefix) => carry({ operation: "documents", claim: null }, () => server.documents(prefix)),
    openSession: (timeoutMs) => carry({ operation: "openSession", claim: null }, () => server.openSession(timeoutMs)),
    renew: (session) => carry({ operation: "renew", claim: null }, () => server.renew(session)),
    watch: async (lock, onChange) => {
      const close = await carry({ operation: "watch", claim: null }, () => server.watch(lock, onChange));
      return { caughtUp: () => carry({ operation: "caughtUp", claim: null }, time), close };
    },
    sync: () => carry({ operation: "sync", claim: null }, time),
    reconnect: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** What a commit is called after what it is for. */
export function requestOf(steps: readonly Step[]): Request {
  for (const step of steps) {
    if (step.do === "append") return { operation: "join", claim: step.claim };
    if (step.do === "put") return { operation: step.settles ? "settle" : step.isNewHolder ? "adopt" : "update", claim: step.claim };
    if (step.do === "remove") return { operation: "leave", claim: step.claim };
    if (step.do === "document") return { operation: "document", claim: step.name };
    if (step.do !== "check" && step.do !== "check-document") return { operation: step.do, claim: null };
  }
  return { operation: "check", claim: null };
}
