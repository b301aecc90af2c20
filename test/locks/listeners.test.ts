// Being told of changes: once for many, and never after one has asked not to be.
import { expect, test } from "vitest";
import { Listeners } from "../../src/locks/listeners.js";

/** All that is due in this turn has happened. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("many changes in one turn are told once, and later ones again", async () => {
  const listeners = new Listeners();
  let calls = 0;
  listeners.add(() => (calls += 1));
  for (let change = 0; change < 5; change += 1) listeners.tell(null);
  expect(calls).toBe(0);
  await turn();
  expect(calls).toBe(1);
  listeners.tell(null);
  await turn();
  expect(calls).toBe(2);
});

test("what changes while a listener is told is told after that", async () => {
  const listeners = new Listeners();
  let depth = 0;
  let deepest = 0;
  let calls = 0;
  listeners.add(() => {
    depth += 1;
    deepest = Math.max(deepest, depth);
    calls += 1;
    if (calls === 1) listeners.tell(null);
    depth -= 1;
  });
  listeners.tell(null);
  await turn();
  expect({ calls, deepest }).toEqual({ calls: 2, deepest: 1 });
});

test("one that has been removed is not told, though it was due; the others are", async () => {
  const listeners = new Listeners();
  const told: string[] = [];
  const remove = listeners.add(() => told.push("removed"));
  listeners.add(() => told.push("kept"));
  listeners.tell(null);
  remove();
  await turn();
  expect(told).toEqual(["kept"]);
  expect(listeners.isEmpty).toBe(false);
  listeners.tell(null);
  listeners.clear();
  await turn();
  expect(told).toEqual(["kept"]);
  expect(listeners.isEmpty).toBe(true);
});

test("each is told of all that has changed since it was told last, and of anything where that is not known", async () => {
  const listeners = new Listeners();
  const told: unknown[] = [];
  listeners.add((change) => told.push(change));
  listeners.tell({ lock: "a" });
  listeners.tell({ claim: "c" });
  listeners.tell({ lock: "a" });
  await turn();
  listeners.tell({ lock: "b" });
  listeners.tell(null);
  await turn();
  expect(told).toEqual([{ isAnything: false, locks: new Set(["a"]), claims: new Set(["c"]), documents: new Set() }, null]);
});
