// Copying a root to another: all of it arrives once, wherever an earlier copier was killed, and at no moment do both count.
import { describe, expect, test } from "vitest";
import { openRooted } from "../../src/coordinators/rooted.js";
import { freezeLocks, thawLocks } from "../../src/leases/freezing.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { encodeFreezes, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { MovedError } from "../../src/locks/root.js";
import { giveUpCopy } from "../../src/moving/copy.js";
import { readRootOf } from "../../src/moving/place.js";
import { draftFor, recordFor, RELEASED, takeDurably } from "../coordinators/conformance/store.js";
import { openStage } from "../leases/stage.js";
import { freshId } from "../support/roots.js";
import { contentsOf, fillRoot } from "../../src/conformance/roots.js";
import { ADMIN, copyBetween, type Ends, freezeAll, killedAt, lowestToken } from "./moves.js";

interface Scene {
  readonly openOld: () => Promise<Coordinator>;
  readonly openNew: () => Promise<Coordinator>;
  readonly highest: number;
}

/** An old root with everything in it, and a new one with nothing. */
async function openScene(): Promise<Scene> {
  const [old, fresh] = [openStage(), openStage()];
  return { openOld: () => old.open(), openNew: () => fresh.open(), highest: await fillRoot(() => old.open()) };
}

async function endsOf({ openOld, openNew }: Scene): Promise<Ends> {
  return { from: await openOld(), to: await openNew() };
}

/** The copier's process has ended, and its sessions with it. */
async function bury({ from, to }: Ends): Promise<void> {
  await from.close();
  await to.close();
}

async function stateOf(coordinator: Coordinator): Promise<string> {
  return (await readRootOf({ name: "here", coordinator })).root.move?.state ?? "in use";
}

test("everything arrives in its order, stale and under higher tokens, and the old root says where it is", async () => {
  const scene = await openScene();
  const ends = await endsOf(scene);
  const before = await contentsOf(ends.from);
  expect(await copyBetween(ends)).toEqual({ claims: 6, history: 21, documents: 2, freezes: 1, isRepeated: false });
  expect(await contentsOf(ends.to)).toEqual(before);
  await bury(ends);
  const there = await scene.openNew();
  expect(await lowestToken(there)).toBeGreaterThan(scene.highest);
  expect((await there.queue("restart/nginx")).map(({ alive, failure }) => [alive, failure?.exitCode])).toEqual([[false, 3]]);
  // The freeze has come along, and is thawed there.
  const rooted = await openRooted(there);
  expect(await thawLocks(rooted, null, { owner: ADMIN })).toHaveLength(1);
  const draft = draftFor("a new one");
  const joined = await rooted.join(draft);
  const settled = await rooted.settle(draft, joined, recordFor(draft));
  expect(settled.fencingToken).toBeGreaterThan(scene.highest);
  expect(joined.session.latestRevision()).toBeGreaterThanOrEqual(settled.fencingToken);
  await expect(scene.openOld().then(openRooted)).rejects.toThrow(MovedError);
  await expect(scene.openOld().then(openRooted)).rejects.toMatchObject({
    code: "configuration",
    message: "everything that was in this store has moved to new://here, on 2025-11-21",
  });
});

test("a claim that was copied is adopted in the new root, with a higher token, and ended there", async () => {
  const scene = await openScene();
  const ends = await endsOf(scene);
  await copyBetween(ends);
  await bury(ends);
  const rooted = await openRooted(await scene.openNew());
  const [claim] = await rooted.queue("restart/nginx");
  if (claim === undefined) throw new Error("it has not arrived");
  const adopted = await rooted.adopt(claim.id, [claim], { ...claim, failure: null });
  if (typeof adopted === "string") throw new Error(adopted);
  expect(adopted.fencingToken).toBeGreaterThan(claim.fencingToken ?? 0);
  const updated = await rooted.update(claim.id, adopted, { ...claim, failure: null, reason: "again" });
  expect(updated).toMatchObject({ fencingToken: adopted.fencingToken });
  if (typeof updated === "string") throw new Error(updated);
  expect(await rooted.leave(claim.id, updated.entries, RELEASED)).toBe("done");
});

test("a second copy changes nothing, and says that it was done; one to elsewhere is refused", async () => {
  const scene = await openScene();
  const ends = await endsOf(scene);
  const copied = await copyBetween(ends);
  const after = await contentsOf(ends.to);
  expect(await copyBetween(ends)).toEqual({ ...copied, isRepeated: true });
  expect(await contentsOf(ends.to)).toEqual(after);
  await expect(copyBetween({ from: ends.from, to: await openStage().open() })).rejects.toThrow("has moved already, and not to");
});

test("what has moved may move on, with tokens that still grow", async () => {
  const scene = await openScene();
  const ends = await endsOf(scene);
  await copyBetween(ends);
  const highest = Math.max(...(await takeTokens(ends.to)));
  await bury(ends);
  const third = openStage();
  const onward = { from: await scene.openNew(), to: await third.open() };
  const before = await contentsOf(onward.from);
  await copyBetween(onward);
  expect(await contentsOf(onward.to)).toEqual(before);
  await bury(onward);
  expect(await lowestToken(await third.open())).toBeGreaterThan(highest);
});

async function takeTokens(coordinator: Coordinator): Promise<readonly number[]> {
  const rooted = await openRooted(coordinator);
  const claims = (await Promise.all((await rooted.list()).map((lock) => rooted.queue(lock)))).flat();
  return claims.map(({ fencingToken }) => fencingToken ?? 0);
}

describe("a copier that is killed", () => {
  test.each(["before", "after"] as const)("%s any of its writes: the next one brings everything, once", async (when) => {
    let hasEnded = false;
    let kills = 0;
    for (let count = 1; !hasEnded; count += 1) {
      const scene = await openScene();
      const ends = await endsOf(scene);
      const before = await contentsOf(ends.from);
      const mortal = killedAt(count, when, ends);
      await copyBetween(mortal).catch(() => undefined);
      hasEnded = !mortal.isDead();
      if (!hasEnded) kills += 1;
      const [source, target] = [await stateOf(ends.from), await stateOf(ends.to)];
      // Before the mark FROM can be kept; after it TO counts. There is no third, and never do both.
      expect(["in use in use", "moving in use", "moving arriving", "moved arriving", "moved in use"]).toContain(
        `${source} ${target}`,
      );
      await bury(ends);
      const next = await endsOf(scene);
      if (source !== "moved") expect(await contentsOf(next.from)).toEqual(before);
      await copyBetween(next);
      expect(await contentsOf(next.to)).toEqual(before);
      await bury(next);
      expect(await lowestToken(await scene.openNew())).toBeGreaterThan(scene.highest);
    }
    // Marks, claims, documents, pieces of history.
    expect(kills).toBeGreaterThan(20);
  });

  test("leaves a root that nothing can begin in, until the copy is given up; then it is as it was", async () => {
    const scene = await openScene();
    const ends = await endsOf(scene);
    const early = await openRooted(await scene.openOld());
    const draft = draftFor("elsewhere");
    const joined = await early.join(draft);
    await early.withdraw(joined.positions);
    // The mark is the first write.
    await copyBetween(killedAt(1, "after", ends)).catch(() => undefined);
    expect(await stateOf(ends.from)).toBe("moving");
    const rooted = await openRooted(await scene.openOld());
    expect(await rooted.list()).toContain("restart/nginx");
    await expect(rooted.join(draftFor("x"))).rejects.toMatchObject({ code: "conflict" });
    await expect(thawLocks(rooted, null, { owner: ADMIN })).rejects.toThrow("is being moved to new://here");
    // Who had opened it before learns it too, even despite all freezes.
    const again = draftFor("x");
    const inLine = await early.join(again);
    await expect(early.settle(again, inLine, recordFor(again))).rejects.toMatchObject({ code: "conflict" });
    expect(await giveUpCopy({ name: "old", coordinator: ends.from })).toBe(true);
    expect(await giveUpCopy({ name: "old", coordinator: ends.from })).toBe(false);
    const back = await openRooted(await scene.openOld());
    expect(await thawLocks(back, null, { owner: ADMIN })).toHaveLength(1);
    await takeDurably(back, "x");
  });

  test("and whose root was used again meanwhile: the next one brings what is there then, under tokens above all", async () => {
    const scene = await openScene();
    const ends = await endsOf(scene);
    await copyBetween(killedAt(12, "after", ends)).catch(() => undefined);
    expect(await stateOf(ends.to)).toBe("arriving");
    await giveUpCopy({ name: "old", coordinator: ends.from });
    await bury(ends);
    const agent = await scene.openOld();
    const rooted = await openRooted(agent);
    await thawLocks(rooted, null, { owner: ADMIN });
    const [ended] = await rooted.queue("a");
    if (ended === undefined) throw new Error("nothing to end");
    await rooted.leave(ended.id, await rooted.find(ended.id), RELEASED);
    const [failed] = await rooted.queue("restart/nginx");
    if (failed === undefined) throw new Error("nothing to adopt");
    const adopted = await rooted.adopt(failed.id, [failed], { ...failed, failure: null });
    const { settled } = await takeDurably(rooted, "later");
    await freezeAll(rooted);
    await agent.close();
    const next = await endsOf(scene);
    const before = await contentsOf(next.from);
    await copyBetween(next);
    expect(await contentsOf(next.to)).toEqual(before);
    await bury(next);
    const highest = Math.max(settled.fencingToken, typeof adopted === "string" ? 0 : adopted.fencingToken);
    expect(await lowestToken(await scene.openNew())).toBeGreaterThan(highest);
  });
});

describe("it is refused, and nothing has changed,", () => {
  test("where the old root is not frozen as a whole and without an end", async () => {
    const stage = openStage();
    const from = await stage.open();
    for (const freeze of [{ forMs: 60_000 }, { node: "web-*" }, { group: "web" }, { locks: ["a/*"] }]) {
      const request = { id: freshId(), locks: ["*"], node: null, group: null, reason: "no", forMs: null, ...freeze };
      await freezeLocks(from, request, { owner: ADMIN });
      await expect(copyBetween({ from, to: await openStage().open() })).rejects.toThrow("old://there is not frozen");
    }
    expect(await stateOf(from)).toBe("in use");
  });

  test("where somebody waits or works in the old root", async () => {
    const scene = await openScene();
    const ends = await endsOf(scene);
    const agent = await scene.openOld();
    const { draft, settled } = await takeDurably(agent, "x");
    await expect(copyBetween(ends)).rejects.toThrow("old://there is in use: web-01 works under x");
    await agent.leave(draft.id, settled.entries, RELEASED);
    const waiting = await agent.join(draftFor("y", { settles: false }));
    await expect(copyBetween(ends)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("waits for y") as string,
    });
    await agent.withdraw(waiting.positions);
    expect([await stateOf(ends.from), await stateOf(ends.to)]).toEqual(["in use", "in use"]);
    await copyBetween(ends);
  });

  test("where somebody joins between the look and the mark: the root is as it was again", async () => {
    const scene = await openScene();
    const ends = await endsOf(scene);
    const agent = await scene.openOld();
    let hasMarked = false;
    const from = new Proxy(ends.from, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]): Promise<unknown> => {
          if (name === "writeDocument" && !hasMarked) {
            hasMarked = true;
            await agent.join(draftFor("y", { settles: false }));
          }
          return value.apply(target, given) as unknown;
        };
      },
    });
    await expect(copyBetween({ from, to: ends.to })).rejects.toThrow("waits for y");
    expect(await stateOf(ends.from)).toBe("in use");
  });

  test("where the new root is in use, is being filled from elsewhere, or is the old one", async () => {
    const scene = await openScene();
    const { from } = await endsOf(scene);
    const used = await openStage().open();
    await takeDurably(used, "a");
    await expect(copyBetween({ from, to: used })).rejects.toThrow("nothing can be copied to new://here: it has a claim on a");
    const noted = await openStage().open();
    await noted.writeDocument("nodes/web-01", "{}", 0);
    await expect(copyBetween({ from, to: noted })).rejects.toThrow("it has nodes");
    await expect(copyBetween({ from, to: await scene.openOld() })).rejects.toThrow("it is the same root as old://there");
    const other = await openScene();
    const theirs = { from: await other.openOld(), to: await openStage().open() };
    await copyBetween(killedAt(6, "after", theirs)).catch(() => undefined);
    expect(await stateOf(theirs.to)).toBe("arriving");
    await expect(openRooted(theirs.to)).rejects.toThrow("is being filled from old://there");
    expect(await stateOf(from)).toBe("in use");
  });

  test("where a claim cannot be read, or the freezes cannot", async () => {
    const scene = await openScene();
    const ends = await endsOf(scene);
    const agent = await scene.openOld();
    const garbled = draftFor("x", { owner: { node: "unknown", principal: "unknown", action: null, process: null } });
    await agent.settle(garbled, await agent.join(garbled), recordFor(garbled));
    await agent.close();
    await expect(copyBetween(ends)).rejects.toThrow("has a claim on x that cannot be read");
    await ends.to.writeDocument(FREEZES_DOCUMENT, `${encodeFreezes([])}x`, 0);
    await expect(copyBetween(ends)).rejects.toThrow("the freezes of new://here cannot be read");
  });
});

test("a process that had the old root open learns that it has moved when it next looks at the freezes, and does nothing from then on", async () => {
  const scene = await openScene();
  const idle = await openRooted(await scene.openOld());
  const ends = await endsOf(scene);
  await copyBetween(ends);
  const draft = draftFor("x");
  const joined = await idle.join(draft);
  await expect(idle.settle(draft, joined, recordFor(draft))).rejects.toThrow(MovedError);
  for (const refused of [idle.list(), idle.queue("a"), idle.history(null, 1), idle.join(draftFor("y"))])
    await expect(refused).rejects.toThrow("has moved to new://here");
});
