// Small changes of what the code above the seam relies on: promises that a store could break, which the simulation must
// notice as well.
import type { Mutation } from "./mutations.js";

const SETTLE = "const settle = (): JustSettled => this.#store.settle(session.id, draft, joined.positions, record);";

export const STORE_MUTATIONS: readonly Mutation[] = [
  {
    name: "in the store: settling gives up the place in line",
    in: "MemoryStore.settle",
    find: "this.#contents.liveness.set(draft.id, session); this.observer?.settled",
    replacement: `for (const entry of own) this.#contents.locks.set(entry.lock, [...this.#queue(entry.lock).filter((other) => other !== entry), entry]);
    this.#contents.liveness.set(draft.id, session);
    this.observer?.settled`,
  },
  {
    name: "in the store: a write does not ask whether the entry is as it was read",
    in: "MemoryStore.#asRead",
    find: "entry?.revision === read[index]?.revision && entry?.session === null",
    replacement: "entry?.session === null",
  },
  {
    name: "in the store: a failed claim counts as free",
    in: "MemoryStore.#standingOf",
    find: "if (entry.ref === ref) break;",
    replacement: "if (entry.ref === ref) break;\n      if (entry.record?.failure != null) continue;",
  },
  {
    name: "in the store: settling takes the claim out and puts it back in two transactions",
    in: "MemoryCoordinator.settle",
    find: SETTLE,
    replacement: `await this.#sessions.ask(request("settle", draft.id), () => this.#store.withdraw(joined.positions), signal);
    const settle = (): JustSettled => this.#store.settle(session.id, draft, this.#store.join(session.id, draft, []), record);`,
  },
  {
    name: "in the store: a claim on several locks is settled lock by lock",
    in: "MemoryCoordinator.settle",
    find: SETTLE,
    replacement: `const settleOne = (place: (typeof joined.positions)[number]) => (): JustSettled => this.#store.settle(session.id, draft, [place], record);
    for (const place of joined.positions.slice(1)) await this.#sessions.ask(request("settle", draft.id), settleOne(place), signal);
    ${SETTLE}`,
  },
  {
    name: "in the store: the numbers of a queue are compared as text",
    in: "MemoryStore.#append",
    find: "queue.push(entry);",
    replacement: "queue.push(entry);\n    queue.sort((one, other) => (one.ref < other.ref ? -1 : 1));",
  },
  {
    name: "in the store: a join whose reply was lost joins twice",
    in: "MemoryStore.join",
    find: "if (found.every((entry) => entry !== undefined)) return found.map((entry) => this.#standingOf(entry)); for (const lock of draft.locks) {",
    replacement: "void found;\n    for (const lock of [] as string[]) {",
  },
  {
    name: "in the store: a settle that is looked up takes what others have written since for its own",
    in: "MemoryStore.settle",
    find: "({ ...entry, revision: entry.fencingToken ?? 0 })",
    replacement: "entry",
  },
  {
    name: "in the store: a claim leaves without a record",
    in: "MemoryStore.leave",
    find: "addRecord(this.#contents, endedOf(entry, ending, this.now()), historyKeep);",
    replacement: "void historyKeep;",
  },
  {
    name: "in the store: what cannot be recorded is not let go of",
    in: "MemoryStore.leave",
    find: "this.#remove(entries, ending);",
    replacement: 'if (this.refusesHistory) return "changed";\n    this.#remove(entries, ending);',
  },
  {
    name: "in the store: an adopted claim keeps its fencing token",
    in: "MemoryStore.adopt",
    find: "this.#write(entry, { record, fencingToken: this.#contents.transactions });",
    replacement: "this.#write(entry, { record });",
  },
  {
    name: "in the store: what a server says by itself counts as the leader's word",
    in: "Sessions.#onLag",
    find: "this.asks.onLag();",
    replacement: "",
  },
  {
    name: "in the store: a held claim is confirmed by what a server says by itself",
    in: "Sessions.#renew",
    find: "if (this.#link.isLagging && !silent.isHeld) return;",
    replacement: "if (this.#link.isLagging) return;",
  },
  {
    name: "in the store: who finds no folder does not make it",
    in: "MemoryCoordinator.#joinIn",
    find: "if (!(error instanceof FolderChanged)) throw error;",
    replacement: "throw error;",
  },
  {
    name: "in the store: who makes a folder that is there by then, or has gone again, does not try once more",
    in: "MemoryCoordinator.#joinIn",
    find: "if (tries >= MOST_TRIES) throw error;",
    replacement: "if (tries >= 2) throw error;",
  },
  {
    name: "in the store: a folder goes although somebody has joined since it was empty",
    in: "removeFolder",
    find: "if (!locks.has(lock)) folders.delete(lock);",
    replacement: "folders.delete(lock);\n  locks.delete(lock);",
  },
  {
    name: "in the store: fencing tokens are the numbers of entries, which begin anew with each folder",
    in: "MemoryStore.settle",
    find: "this.#write(entry, { session: null, record, fencingToken: this.#contents.transactions, since: this.now() });",
    replacement:
      "this.#write(entry, { session: null, record, fencingToken: this.#contents.folders.get(entry.lock) ?? 0, since: this.now() });",
  },
  {
    name: "in the store: a session that has ended leaves its claims in line",
    in: "MemoryStore.closeSession",
    find: "queue.filter(({ session }) => session === id),",
    replacement: "queue.filter(({ session }) => session === id).slice(1),",
  },
];
