// Small changes of the store below the engine's seam: promises that a store could break, which the simulation must notice. Those of the
// engine itself are engine-mutations.ts's. That folders vanish when they are empty is a matter of ZooKeeper alone: a joiner that finds
// none, finds one that has come back or loses it again, a folder that goes although somebody has joined, and tokens that begin anew with
// it are cases of test/coordinators/zookeeper/folders.test.ts.
import type { Mutation } from "./mutations.js";

export const STORE_MUTATIONS: readonly Mutation[] = [
  {
    name: "in the store: settling gives up the place in line",
    in: "carryOutStep",
    find: "if (step.settles) [entry.durable, entry.since] = [true, at];",
    replacement: `if (step.settles) {
          [entry.durable, entry.since] = [true, at];
          contents.locks.set(step.lock, [...queueOf(contents, step.lock).filter((other) => other !== entry), entry]);
        }`,
  },
  {
    name: "in the store: a write does not ask whether the entry is as it was read",
    in: "refusalOfStep",
    find: "entry.durable && entry.revision === step.revision",
    replacement: "entry.durable",
  },
  {
    name: "in the store: the numbers of a queue are compared as text",
    in: "carryOutStep",
    find: "contents.locks.set(lock, [...queue, whole]);",
    replacement: "contents.locks.set(lock, [...queue, whole].sort((one, other) => (one.ref < other.ref ? -1 : 1)));",
  },
  {
    name: "in the store: a claim may stand in a queue twice",
    in: "refusalOfStep",
    find: 'return queueOf(contents, step.lock).some(({ claim }) => claim === step.claim) ? "exists" : null;',
    replacement: "return null;",
  },
  {
    name: "in the store: a step of a session's former epoch is carried out",
    in: "isOf",
    find: "lives(contents, id) && contents.sessions.get(id)?.epoch === epoch",
    replacement: "epoch >= 0 && lives(contents, id)",
  },
  {
    name: "in the store: renewing a session does not raise its epoch",
    in: "MemoryServer.renew",
    find: "session.epoch = Math.max(session.epoch, epoch);",
    replacement: "void epoch;",
  },
  {
    name: "in the store: a step of a session that has ended is carried out",
    in: "refusalOfStep",
    find: 'return isOf(contents, step.session) ? null : "no-session";',
    replacement: "return null;",
  },
  {
    name: "in the store: a session that has ended takes its durable claims with it",
    in: "carryOutStep",
    find: "if (!entry.durable) remove(contents, entry); if (!entry.durable) done.before.push(entry);",
    replacement: "remove(contents, entry);\n          done.before.push(entry);",
  },
  {
    name: "in the store: a session that has ended leaves its claims in line",
    in: "carryOutStep",
    find: "entriesOf(contents).filter(({ session }) => session === step.session)",
    replacement: "entriesOf(contents).filter(({ session }) => session === step.session).slice(1)",
  },
  {
    name: "in the store: whose process an entry's is can be said of another holder",
    in: "carryOutStep",
    find: "if (entry?.token !== step.token) break;",
    replacement: "if (entry === undefined) break;",
  },
  {
    name: "in the store: an entry that is withdrawn goes even if it is durable",
    in: "carryOutStep",
    find: '(step.do === "withdraw" && entry.durable)',
    replacement: "step.do === undefined",
  },
  {
    name: "in the store: renewing a session does not put off its end",
    in: "MemoryServer.renew",
    find: "this.#await(id, session.timeoutMs);",
    replacement: "",
  },
];
