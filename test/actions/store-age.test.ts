// When a store counts as one that went back in time. test/e2e/restored-store.test.ts has real stores that do.
import { expect, test } from "vitest";
import type { Sighting, Sightings } from "../../src/actions/machine.js";
import { StoreAge } from "../../src/actions/store-age.js";
import type { Changes } from "../../src/locks/coordinator.js";

const STORE = "sqlite:///x.db";
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function remembered(): Sightings & { sighting: Sighting | null } {
  return {
    sighting: null,
    latest() {
      return this.sighting;
    },
    save(_, sighting) {
      this.sighting = sighting;
    },
    fileOf: () => "/state/stores/x.json",
  };
}

function ageOf(sightings: Sightings, changes: Changes | null = null): StoreAge {
  const store = { store: STORE, changes: () => Promise.resolve(changes) };
  return new StoreAge(store, { sightings, log: QUIET, stop: new AbortController().signal });
}

test("a run that another one overtakes between its look and its claim neither takes the store for an older one nor forgets the newer sighting", async () => {
  const sightings = remembered();
  sightings.save(STORE, { fencingToken: 5, changes: null, at: 0 });
  const first = ageOf(sightings);
  expect(await ageOf(sightings).problem("b", 9)).toBeNull();
  expect(await first.problem("a", 8)).toBeNull();
  expect(sightings.sighting).toMatchObject({ fencingToken: 9 });
});

test("a token that the store issued before is refused, and the sighting stays", async () => {
  const sightings = remembered();
  sightings.save(STORE, { fencingToken: 5, changes: null, at: 0 });
  for (const token of [4, 5]) {
    expect(await ageOf(sightings).problem("a", token)).toMatchObject({
      code: "configuration",
      message: expect.stringContaining("had the fencing token 5, and now the store gives") as string,
      hint: expect.stringContaining("then remove /state/stores/x.json") as string,
    });
  }
  expect(sightings.sighting).toMatchObject({ fencingToken: 5 });
});

test("changes compare only since the same beginning", async () => {
  const sightings = remembered();
  sightings.save(STORE, { fencingToken: 5, changes: { since: 1, count: 10 }, at: 0 });
  expect(await ageOf(sightings, { since: 1, count: 10 }).problem("a", 6)).toMatchObject({ code: "configuration" });
  expect(await ageOf(sightings, { since: 1, count: 11 }).problem("a", 6)).toBeNull();
  // Somebody has removed the tree since, and made it anew.
  expect(await ageOf(sightings, { since: 7, count: 1 }).problem("a", 8)).toBeNull();
});
