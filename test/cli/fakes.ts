// Fakes of what a command works with: streams that remember, and queues in memory for the few methods that commands call. The
// conformance suite and the end-to-end tests use real stores.
import { BY_STORE } from "../support/perspectives.js";
import { randomUUID } from "node:crypto";
import type { Context } from "../../src/cli/context.js";
import type { Io, Sink } from "../../src/cli/io.js";
import { openStopRequests } from "../../src/cli/stop.js";
import type { Settings } from "../../src/config/settings.js";
import type { Claim } from "../../src/locks/claim.js";
import type { Coordinator, EntryRef, WriteOutcome } from "../../src/locks/coordinator.js";
import type { Ending, HistoryRecord } from "../../src/locks/history.js";

export const NOW = Date.UTC(2025, 10, 21, 9, 0, 0);

export interface RecordedIo extends Io {
  readonly out: () => string;
  readonly err: () => string;
}

export function recordedIo({ isTerminal = false, mayColour = false, columns = 80, rows = 24 } = {}): RecordedIo {
  const written = { out: "", err: "" };
  const sink = (name: "out" | "err"): Sink => ({
    isTerminal,
    columns,
    rows,
    isClosed: false,
    write: (text) => void (written[name] += text),
    flushed: () => Promise.resolve(null),
  });
  return { stdout: sink("out"), stderr: sink("err"), mayColour, out: () => written.out, err: () => written.err };
}

export function claim(changes: Partial<Claim> = {}): Claim {
  return {
    id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    lock: "restart/nginx",
    ref: "ref-1",
    revision: 1,
    durable: true,
    alive: true,
    since: NOW - 12_000,
    fencingToken: 7,
    owner: {
      node: "web-07",
      principal: "deploy@example.com",
      action: "restart-nginx",
      process: { bootId: "b", pidNamespace: "p", pid: 42, startTicks: 1 },
    },
    key: null,
    slots: 1,
    made: null,
    lease: null,
    expiresAt: null,
    reason: null,
    data: null,
    failure: null,
    ...changes,
  };
}

export function waitingClaim(node: string, changes: Partial<Claim> = {}): Claim {
  return claim({ id: randomUUID(), ref: node, durable: false, fencingToken: null, owner: { ...claim().owner, node }, ...changes });
}

export const FAILURE = {
  exitCode: 1,
  signal: null,
  message: "exit code 1",
  output: "nginx: testing\nnginx: [emerg] unknown directive\n\n",
  at: NOW - 720_000,
};

export interface FakeStore extends Coordinator {
  readonly ended: { readonly id: string; readonly entries: readonly EntryRef[]; readonly ending: Ending }[];
  readonly withdrawn: EntryRef[];
}

/** @param leave the outcome of each call that ends a claim, in order; by default each one succeeds */
export function fakeStore(
  queues: Record<string, readonly Claim[]>,
  { leave = [] as (() => WriteOutcome)[], history = [] as HistoryRecord[] } = {},
): FakeStore {
  const ended: FakeStore["ended"][number][] = [];
  const withdrawn: EntryRef[] = [];
  const store = {
    ended,
    withdrawn,
    queue: (lock: string) => Promise.resolve(queues[lock] ?? []),
    list: () => Promise.resolve(Object.keys(queues).sort()),
    find: (id: string) =>
      Promise.resolve(
        Object.values(queues)
          .flat()
          .filter((one) => one.id === id),
      ),
    sync: () => Promise.resolve({ ms: NOW, errorMs: 0 }),
    document: () => Promise.resolve(null),
    history: (lock: string | null, limit: number) =>
      Promise.resolve(history.filter((record) => lock === null || record.lock === lock).slice(0, limit)),
    withdraw: (entries: readonly EntryRef[]) => Promise.resolve(void withdrawn.push(...entries)),
    leave(id: string, entries: readonly EntryRef[], ending: Ending) {
      const outcome = leave.shift()?.() ?? "done";
      if (outcome === "done") ended.push({ id, entries, ending });
      return Promise.resolve(outcome);
    },
  };
  return store as unknown as FakeStore;
}

export function settings(changes: Partial<Settings> = {}): Settings {
  return {
    file: null,
    node: "admin-01",
    group: "default",
    membershipMs: 604_800_000,
    windows: [],
    notify: [],
    principal: "ann@admin-01",
    coordinator: "sqlite:///x.db",
    stateDir: "/x",
    acquire: { sleepTimeMs: 250, timeoutMs: 30_000 },
    connectTimeoutMs: 10_000,
    sessionTimeoutMs: 15_000,
    releaseTimeoutMs: 60_000,
    skipCoordination: false,
    log: { level: "info", format: "auto" },
    history: { keep: 100, forMs: null, total: 10_000 },
    actions: [],
    locks: new Map(),
    dependencies: new Map(),
    serve: { listen: "127.0.0.1", port: 3000, cert: null, key: null, clientCa: null, rate: 500 },
    access: new Map(),
    groups: new Map(),
    ...changes,
  };
}

const silent = () => undefined;
const refuse = () => Promise.reject(new Error("the store is not to be contacted"));

/** A command's context over a store. A claim's owner is gone if the store says that it is not alive. */
export function context(store: Coordinator | null, io: Io, changes: Partial<Context> = {}): Context {
  return {
    settings: settings(),
    coordinator: () => (store === null ? refuse() : Promise.resolve(store)),
    coordinators: () => (store === null ? Promise.resolve([]) : Promise.resolve([store])),
    leases: () => Promise.reject(new Error("nothing is to be leased")),
    upkeep: { examine: refuse, mend: refuse, tidy: refuse },
    moving: { copy: refuse, giveUp: refuse },
    agent: () => Promise.reject(new Error("nothing is to be run")),
    notifier: { tell: silent },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    io,
    json: false,
    verbose: false,
    stop: openStopRequests({ on: silent, off: silent }),
    perspective: BY_STORE,
    commandPids: () => Promise.resolve([]),
    ...changes,
  };
}

export function invocation(args: readonly string[], options: Record<string, unknown> = {}, rest: readonly string[] | null = null) {
  return { args, rest, options };
}
