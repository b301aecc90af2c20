// The watch that the waiters of one queue share: what changes is not missed, whenever it changes.
import { expect, onTestFinished, test } from "vitest";
import { TEST_OPTIONS } from "../../src/conformance/drafts.js";
import { Asking } from "../../src/queue/asking.js";
import { Lines, type LineWatch } from "../../src/queue/lines.js";
import type { QueueStore, StoreChange, StoredPlace } from "../../src/queue/store.js";
import { createMemoryStore } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import { HandTimers } from "./hand-timers.js";

const LOOK_EVERY_MS = 3_000;
const PATIENCE = new AbortController().signal;

interface Stage {
  readonly timers: HandTimers;
  /** The looks that have been sent, each with what answers it. */
  readonly looks: { readonly refs: readonly string[]; readonly answer: (places: readonly StoredPlace[]) => void }[];
  readonly line: LineWatch;
  /** Something changes in the queue, of which the store does not say what. */
  readonly change: () => void;
  /** An entry of the queue changes or goes, another is appended. */
  readonly changeEntry: (ref: string) => void;
}

async function watchQueue(): Promise<Stage> {
  const timers = new HandTimers();
  const server = new MemoryServer({ now: () => timers.uptimeMs(), after: timers.after, putsAway: true });
  const tells: ((change: StoreChange) => void)[] = [];
  const store: QueueStore = {
    ...createMemoryStore(server),
    watch: async (_lock, tell) => {
      tells.push(tell);
      return { caughtUp: () => store.sync(), close: () => undefined };
    },
  };
  const looks: Stage["looks"] = [];
  const look = (_lock: string, refs: readonly string[]): Promise<readonly StoredPlace[]> =>
    new Promise((answer) => void looks.push({ refs, answer }));
  const lines = new Lines(store, new Asking(store, { ...TEST_OPTIONS, timers }), look, timers);
  const line = await lines.watch("web", PATIENCE);
  onTestFinished(() => line.close());
  const change = (): void => tells.forEach((tell) => tell({ lock: "web" }));
  const changeEntry = (changed: string): void => tells.forEach((tell) => tell({ lock: "web", isAbout: (ref) => ref === changed }));
  return { timers, looks, line, change, changeEntry };
}

test("what changes while a waiter looks has it look again at once", async () => {
  const { timers, looks, line, change } = await watchQueue();
  const looked = line.look(["1"], PATIENCE);
  await timers.pass(0);
  change();
  looks[0]?.answer([]);
  await looked;
  let isWoken = false;
  void line.changed(LOOK_EVERY_MS, PATIENCE).then(() => (isWoken = true));
  await timers.pass(0);
  expect(isWoken).toBe(true);
});

test("a waiter looks again at once only where what it has looked at is not as it was", async () => {
  const { timers, looks, line, changeEntry } = await watchQueue();
  const looked = line.look(["1", "3"], PATIENCE);
  await timers.pass(0);
  looks[0]?.answer([]);
  await looked;
  let isWoken = false;
  void line.changed(LOOK_EVERY_MS, PATIENCE).then(() => (isWoken = true));
  changeEntry("2");
  await timers.pass(0);
  expect(isWoken).toBe(false);
  changeEntry("3");
  await timers.pass(0);
  expect(isWoken).toBe(true);
});

test("a waiter that nobody wakes looks again by itself", async () => {
  const { timers, line } = await watchQueue();
  let isWoken = false;
  void line.changed(LOOK_EVERY_MS, PATIENCE).then(() => (isWoken = true));
  await timers.pass(LOOK_EVERY_MS - 1);
  expect(isWoken).toBe(false);
  await timers.pass(1);
  expect(isWoken).toBe(true);
});

test("waiters who ask in one turn share a look, and none is told what was seen before it asked", async () => {
  const { timers, looks, line } = await watchQueue();
  const shared = [line.look(["1"], PATIENCE), line.look(["2"], PATIENCE)];
  await timers.pass(0);
  const later = line.look(["3"], PATIENCE);
  await timers.pass(0);
  expect(looks.map(({ refs }) => refs)).toEqual([["1", "2"], ["3"]]);
  for (const { answer } of looks) answer([]);
  await Promise.all([...shared, later]);
});
