// Writes of an engine that its store carries out only after the engine has looked for them and found nothing: the next try is refused
// because of the engine's own work.
import { expect, onTestFinished, test } from "vitest";
import { openEngine, type QueueEngine } from "../../src/queue/engine.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import {
  claimIn,
  recordFor,
  RELEASED,
  settledOf,
  takeDurably,
  TEST_OPTIONS,
  TEST_TIMERS,
} from "../coordinators/conformance/store.js";
import { Link } from "../stores/memory/link.js";
import { createLinkedStore } from "../stores/memory/linked-store.js";

test("a claim that has left late is left, not gone", async () => {
  const { engine, delay } = await openDelayed();
  const { draft, settled } = await takeDurably(engine, ["a", "b"]);
  delay("leave");
  expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  expect((await engine.history(null, 10)).map(({ lock }) => lock).sort()).toEqual(["a", "b"]);
});

test("a record that is written late is written, not changed by another", async () => {
  const { engine, delay } = await openDelayed();
  const { draft, settled } = await takeDurably(engine, ["a", "b"]);
  delay("update");
  const updated = settledOf(await engine.update(draft.id, settled, recordFor(draft, { reason: "mine" })));
  expect(updated.fencingToken).toBe(settled.fencingToken);
  expect(await claimIn(engine, "a")).toMatchObject({ reason: "mine", revision: updated.entries[0]?.revision });
  expect(await engine.leave(draft.id, updated.entries, RELEASED)).toBe("done");
});

interface Delayed {
  readonly engine: QueueEngine;
  /** The connection breaks under the next such request, which arrives only right before its repetition. */
  readonly delay: (operation: string) => void;
}

async function openDelayed(): Promise<Delayed> {
  const server = new MemoryServer({ now: () => Date.now(), after: (ms, run) => TEST_TIMERS.after(ms, run), putsAway: true });
  let delayed: string | null = null;
  let late: (() => void)[] = [];
  const link = new Link("client", server, (direction, request, arrive) => {
    const isDelayed = direction === "request" && request.operation === delayed;
    if (isDelayed && late.length === 0) {
      // It is on its way when the connection breaks; the link then gives what has it arrive, although nobody hears of that.
      late = [arrive];
      setImmediate(() => link.cut());
    } else if (isDelayed) {
      delayed = null;
      for (const arriveLate of late) arriveLate();
      setImmediate(arrive);
    } else setImmediate(arrive);
  });
  link.onLate = (_request, arrive) => void late.push(arrive);
  const engine = await openEngine(createLinkedStore(server, link), { ...TEST_OPTIONS, timers: TEST_TIMERS });
  onTestFinished(() => engine.close());
  return {
    engine,
    delay: (operation) => {
      late = [];
      delayed = operation;
    },
  };
}
