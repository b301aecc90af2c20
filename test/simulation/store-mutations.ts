// Small changes of what the code above the seam relies on: promises that a store could break, which the simulation must
// notice as well.
import type { Mutation } from "./mutations.js";

const CLIENT = "test/simulation/memory/coordinator.ts";
const STORE = "test/simulation/memory/store.ts";
const SETTLE = "const settle = (): JustSettled => this.#store.settle(session.id, draft, joined.positions, record);";

export const STORE_MUTATIONS: readonly Mutation[] = [
  {
    name: "in the store: settling gives up the place in line",
    file: STORE,
    text: "this.#contents.liveness.set(draft.id, session);\n    this.observer?.settled",
    replacement: `for (const entry of own) this.#contents.locks.set(entry.lock, [...this.#queue(entry.lock).filter((other) => other !== entry), entry]);
    this.#contents.liveness.set(draft.id, session);
    this.observer?.settled`,
  },
  {
    name: "in the store: a write does not ask whether the entry is as it was read",
    file: STORE,
    text: "entry?.revision === read[index]?.revision && entry?.session === null",
    replacement: "entry?.session === null",
  },
  {
    name: "in the store: a failed claim counts as free",
    file: STORE,
    text: "if (entry.ref === ref) break;",
    replacement: "if (entry.ref === ref) break;\n      if (entry.record?.failure != null) continue;",
  },
  {
    name: "in the store: settling takes the claim out and puts it back in two transactions",
    file: CLIENT,
    text: SETTLE,
    replacement: `await this.#sessions.ask(request("settle", draft.id), () => this.#store.withdraw(joined.positions), signal);
    const settle = (): JustSettled => this.#store.settle(session.id, draft, this.#store.join(session.id, draft), record);`,
  },
  {
    name: "in the store: a claim on several locks is settled lock by lock",
    file: CLIENT,
    text: SETTLE,
    replacement: `const settleOne = (place: Entry) => (): Settled => this.#store.settle(session.id, draft, [place], record);
    for (const place of joined.positions.slice(1)) await this.#sessions.ask(request("settle", draft.id), settleOne(place), signal);
    ${SETTLE}`,
  },
  {
    name: "in the store: the numbers of a queue are compared as text",
    file: STORE,
    text: "queue.push(entry);",
    replacement: "queue.push(entry);\n    queue.sort((one, other) => (one.ref < other.ref ? -1 : 1));",
  },
  {
    name: "in the store: a join whose reply was lost joins twice",
    file: STORE,
    text: `if (found.every((entry) => entry !== undefined)) return found.map((entry) => this.#standingOf(entry));
    for (const lock of draft.locks) {`,
    replacement: "void found;\n    for (const lock of [] as string[]) {",
  },
  {
    name: "in the store: a settle that is looked up takes what others have written since for its own",
    file: STORE,
    text: "({ ...entry, revision: entry.fencingToken ?? 0 })",
    replacement: "entry",
  },
  {
    name: "in the store: a claim leaves without a record",
    file: STORE,
    text: "addRecord(this.#contents, endedOf(entry, ending, this.now()), historyKeep);",
    replacement: "void historyKeep;",
  },
  {
    name: "in the store: what cannot be recorded is not let go of",
    file: STORE,
    text: "this.#remove(entries, ending);",
    replacement: 'if (this.refusesHistory) return "changed";\n    this.#remove(entries, ending);',
  },
  {
    name: "in the store: an adopted claim keeps its fencing token",
    file: STORE,
    text: "this.#write(entry, { record, fencingToken: this.#contents.transactions });",
    replacement: "this.#write(entry, { record });",
  },
  {
    name: "in the store: what a server says by itself counts as the leader's word",
    file: "test/simulation/memory/sessions.ts",
    text: "this.asks.onLag();",
    replacement: "",
  },
  {
    name: "in the store: a held claim is confirmed by what a server says by itself",
    file: "test/simulation/memory/sessions.ts",
    text: "if (this.#link.isLagging && !silent.isHeld) return;",
    replacement: "if (this.#link.isLagging) return;",
  },
  {
    name: "in the store: who finds no folder does not make it",
    file: CLIENT,
    text: "if (!(error instanceof FolderChanged)) throw error;",
    replacement: "throw error;",
  },
  {
    name: "in the store: who makes a folder that is there by then, or has gone again, does not try once more",
    file: CLIENT,
    text: "if (tries >= MOST_TRIES) throw error;",
    replacement: "if (tries >= 2) throw error;",
  },
  {
    name: "in the store: a folder goes although somebody has joined since it was empty",
    file: "test/simulation/memory/contents.ts",
    text: "if (!locks.has(lock)) folders.delete(lock);",
    replacement: "folders.delete(lock);\n  locks.delete(lock);",
  },
  {
    name: "in the store: fencing tokens are the numbers of entries, which begin anew with each folder",
    file: STORE,
    text: "this.#write(entry, { session: null, record, fencingToken: this.#contents.transactions, since: this.now() });",
    replacement:
      "this.#write(entry, { session: null, record, fencingToken: this.#contents.folders.get(entry.lock) ?? 0, since: this.now() });",
  },
  {
    name: "in the store: a session that has ended leaves its claims in line",
    file: STORE,
    text: "queue.filter(({ session }) => session === id),",
    replacement: "queue.filter(({ session }) => session === id).slice(1),",
  },
];
