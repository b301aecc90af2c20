// The mirror of all locks shows nothing older than the moment of asking, tells each change once, and keeps nothing that the
// stores do not have.
import { describe, expect, onTestFinished, test } from "vitest";
import { createPerspective } from "../../src/line/perspective.js";
import { createProcessSight } from "../../src/line/process-sight.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import type { Stores } from "../../src/views/stores.js";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { Mirror } from "../../src/server/mirror.js";
import type { MirrorChange } from "../../src/server/store-copy.js";
import { settings } from "../cli/fakes.js";
import { draftFor, recordFor, RELEASED, takeDurably } from "../coordinators/conformance/store.js";
import { type Fleet, openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";

failOnLeaks();

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A coordinator whose answers about queues come when they are let through. */
function holding(coordinator: Coordinator, gate: () => Promise<void>): Coordinator {
  const queue: Coordinator["queue"] = async (...asked) => {
    const claims = await coordinator.queue(...asked);
    await gate();
    return claims;
  };
  return new Proxy(coordinator, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as unknown;
      if (name === "queue") return queue;
      return typeof method === "function" ? (method.bind(target) as unknown) : method;
    },
  });
}

async function openMirror(fleet: Fleet, gate?: () => Promise<void>): Promise<Mirror> {
  const opened = await openCoordinator(fleet.url, {
    connectTimeoutMs: 10_000,
    sessionTimeoutMs: 8_000,
    historyKeep: 100,
    sleepTimeMs: 20,
    log: QUIET,
  });
  const coordinator = gate === undefined ? opened : holding(opened, gate);
  const stores: Stores = {
    settings: settings({ coordinator: fleet.url }),
    coordinator: () => Promise.resolve(coordinator),
    coordinators: () => Promise.resolve([coordinator]),
    perspective: createPerspective({ node: "web-01", machineOn: () => null, processes: createProcessSight() }),
    commandPids: () => Promise.resolve([]),
  };
  const mirror = await Mirror.open(stores, QUIET, new AbortController().signal);
  onTestFinished(async () => {
    mirror.close();
    await coordinator.close();
  });
  return mirror;
}

describe.each(STORES)("on %s", (kind) => {
  test("shows every change that was made before it is read, at once", async () => {
    const fleet = await openFleet(kind);
    const mirror = await openMirror(fleet);
    const other = await fleet.coordinator();
    for (let round = 0; round < 20; round += 1) {
      const { draft, settled } = await takeDurably(other, "a/b");
      expect((await mirror.read()).map(({ lock }) => lock)).toEqual(["a/b"]);
      expect((await mirror.readOne("a/b"))?.holders.map(({ id }) => id)).toEqual([draft.id]);
      expect(await other.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      expect(await mirror.read()).toEqual([]);
      expect(await mirror.readOne("a/b")).toBeNull();
    }
  });

  test("shows it to each of many who read at the same time", async () => {
    const fleet = await openFleet(kind);
    const mirror = await openMirror(fleet);
    const other = await fleet.coordinator();
    for (let round = 0; round < 20; round += 1) {
      // Readings are under way while there is a change, and each who reads after it wants to see it.
      const earlier = [mirror.read(), mirror.read()];
      const { draft, settled } = await takeDurably(other, "a");
      earlier.push(mirror.read());
      const seen = await Promise.all(Array.from({ length: 8 }, () => mirror.read()));
      for (const locks of seen) expect(locks.flatMap(({ holders }) => holders.map(({ id }) => id))).toEqual([draft.id]);
      await Promise.all(earlier);
      expect(await other.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      for (const locks of await Promise.all(Array.from({ length: 8 }, () => mirror.read()))) expect(locks).toEqual([]);
    }
  });

  test("tells subscribers of locks that have changed and of those that are gone, and of nothing else", async () => {
    const fleet = await openFleet(kind);
    const other = await fleet.coordinator();
    await takeDurably(other, "still");
    const mirror = await openMirror(fleet);
    const told: MirrorChange[] = [];
    const end = mirror.subscribe((change) => told.push(change));
    const { draft, settled } = await takeDurably(other, "a");
    const names = (part: "changed" | "gone"): string[] =>
      told.flatMap((change) => (part === "gone" ? change.gone : change.changed.map(({ lock }) => lock)));
    await until(() => names("changed").includes("a"), "the claim to be told of");
    await other.leave(draft.id, settled.entries, RELEASED);
    await until(() => names("gone").includes("a"), "its end to be told of");
    expect(new Set(names("changed"))).toEqual(new Set(["a"]));
    end();
    const before = told.length;
    await takeDurably(other, "b");
    await mirror.read();
    expect(told).toHaveLength(before);
  });

  test("tells of what changes while it reads, also when that takes long", async () => {
    const fleet = await openFleet(kind);
    const other = await fleet.coordinator();
    let open: () => void = () => undefined;
    let isAsked = false;
    const opening = new Promise<void>((resolve) => (open = resolve));
    const mirror = await openMirror(fleet, () => {
      isAsked = true;
      return opening;
    });
    const told = new Set<string>();
    mirror.subscribe(({ changed }) => changed.forEach(({ lock }) => told.add(lock)));
    await takeDurably(other, "a");
    await until(() => isAsked, "the first lock to be read");
    let isNoted = false;
    const watch = await other.watch(() => (isNoted = true));
    await takeDurably(other, "b");
    await until(() => isNoted, "the second change to be told of");
    // Longer than the mirror lets pass between a change and the next reading, which this change must not be lost to.
    const noted = performance.now();
    await until(() => performance.now() - noted > 300, "that time to pass");
    open();
    watch.close();
    await until(() => told.has("a") && told.has("b"), "both to be told of");
  });

  test("ends leases whose time is over, though nothing changes in the store when it is", async () => {
    const fleet = await openFleet(kind);
    const mirror = await openMirror(fleet);
    const other = await fleet.coordinator();
    const draft = draftFor("a", { lease: { type: "lease", caller: null, path: null, locks: ["a"] } });
    const joined = await other.join(draft);
    await other.settle(draft, joined, recordFor(draft, { expiresAt: (await other.sync()).ms + 300 }));
    expect((await mirror.read()).map(({ lock }) => lock)).toEqual(["a"]);
    await until(() => mirror.latest().length === 0, "the lease to be over");
    expect((await other.history("a", 10)).map(({ event, by }) => [event, by])).toEqual([["expired", null]]);
  });
});
