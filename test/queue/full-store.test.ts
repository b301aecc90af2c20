// A store that takes neither records nor documents any more: claims are let go without, and a caller who asks for nothing but a document
// hears of it.
import { expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../src/queue/engine.js";
import type { StoreTraits } from "../../src/queue/store.js";
import { createMemoryStore, MEMORY_TRAITS } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import { RELEASED, takeDurably, TEST_OPTIONS, TEST_TIMERS } from "../coordinators/conformance/store.js";

async function openStage(traits: Partial<StoreTraits> = {}) {
  const warnings: string[] = [];
  const log = { ...TEST_OPTIONS.log, warn: (_: object, message: string) => void warnings.push(message) };
  const server = new MemoryServer({ now: () => 1_000, after: (ms, run) => TEST_TIMERS.after(ms, run), putsAway: true });
  const store = createMemoryStore(server, undefined, { ...MEMORY_TRAITS, ...traits });
  const coordinator = await openEngine(store, { ...TEST_OPTIONS, log, timers: TEST_TIMERS });
  onTestFinished(() => coordinator.close());
  return { coordinator, server, warnings };
}

test("a claim is let go without its document and its record", async () => {
  const { coordinator, server, warnings } = await openStage();
  const { draft, settled } = await takeDurably(coordinator, "a");
  server.hasNoRoom = true;
  const writes = [{ name: "n", value: "1", revision: 0 }];
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("done");
  expect(await coordinator.list()).toEqual([]);
  expect(await coordinator.document("n")).toBe(null);
  expect(warnings).toEqual([
    "the store takes no document: it goes on without",
    "the store takes no more history: it goes on without",
  ]);
});

test("a claim is let go without documents that make its transaction too large", async () => {
  const { coordinator, warnings } = await openStage({ maxBytes: 10_000 });
  const { draft, settled } = await takeDurably(coordinator, "a");
  const writes = [{ name: "n", value: "x".repeat(10_000), revision: 0 }];
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("done");
  expect(await coordinator.document("n")).toBe(null);
  expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id }]);
  expect(warnings).toEqual([expect.stringContaining("are too large for the store: it ends without")]);
});

test("a document that the store does not take is not written, and its writer hears of it", async () => {
  const { coordinator, server } = await openStage();
  server.hasNoRoom = true;
  await expect(coordinator.writeDocument("n", "1", 0)).rejects.toMatchObject({ code: "not-allowed" });
  expect(await coordinator.document("n")).toBe(null);
  expect(await coordinator.writeDocument("n", "1", 7)).toBe("changed");
});
