// Freezing and thawing by hand: what the store and its history have after that, whoever writes at the same moment.
import { expect, test } from "vitest";
import { freezeEverywhere, freezeLocks, type FreezeRequest, thawEverywhere, thawLocks } from "../../src/leases/freezing.js";
import { readFreezes } from "../../src/line/freezes.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { HoldlineError, UnreachableError } from "../../src/locks/errors.js";
import { type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { ownerAt } from "../coordinators/conformance/store.js";
import { freshId } from "../support/roots.js";
import { openStage, START } from "./stage.js";

const ANN = { owner: { ...ownerAt("desk"), principal: "ann@desk" } };
const BOB = { owner: { ...ownerAt("desk"), principal: "bob@desk" } };

function requestFor(changes: Partial<FreezeRequest> = {}): FreezeRequest {
  return { id: freshId(), locks: ["*"], node: null, group: null, reason: "sale", forMs: null, ...changes };
}

async function idsIn(coordinator: Coordinator): Promise<readonly string[]> {
  return (await readFreezes(coordinator)).freezes.map(({ id }) => id);
}

test("a freeze is there until it is thawed, and the history tells of both, under each pattern", async () => {
  const stage = openStage();
  const coordinator = await stage.open();
  const request = requestFor({ locks: ["restart/*", "deploy"], node: "web-*" });
  const frozen = await freezeLocks(coordinator, request, ANN);
  expect(frozen).toEqual({
    ...{ id: request.id, locks: ["restart/*", "deploy"], node: "web-*", group: null, reason: "sale" },
    ...{ by: "ann@desk", since: START, until: null },
  });
  expect((await readFreezes(coordinator)).freezes).toEqual([frozen]);
  stage.now += 5_000;
  expect(await thawLocks(coordinator, request.id, BOB)).toEqual([frozen]);
  expect(await coordinator.document(FREEZES_DOCUMENT)).toBe(null);
  for (const lock of ["restart/*", "deploy"]) {
    expect(await coordinator.history(lock, 10)).toMatchObject([
      { event: "thawed", claim: request.id, by: "bob@desk", reason: "sale", claimedAt: START, endedAt: START + 5_000 },
      { event: "frozen", claim: request.id, by: "ann@desk", reason: "sale", claimedAt: START, endedAt: START },
    ]);
  }
  expect(await thawLocks(coordinator, request.id, BOB)).toEqual([]);
});

test("the next writer puts away what is over, and the history says that nobody thawed it, at its end", async () => {
  const stage = openStage();
  const coordinator = await stage.open();
  const [short, long] = [requestFor({ forMs: 2_000 }), requestFor()];
  await freezeLocks(coordinator, short, ANN);
  stage.now += 3_000;
  await freezeLocks(coordinator, long, BOB);
  expect(await idsIn(coordinator)).toEqual([long.id]);
  const [thawed] = (await coordinator.history("*", 10)).filter(({ event }) => event === "thawed");
  const until = new Date(START + 2_000).toISOString();
  expect(thawed).toMatchObject({ claim: short.id, by: null, endedAt: START + 2_000, data: { until } });
  expect(await thawLocks(coordinator, short.id, BOB)).toEqual([]);
});

test("two who freeze at the same moment both do", async () => {
  const stage = openStage();
  const [one, other] = [await stage.open(), await stage.open()];
  const [first, second] = [requestFor(), requestFor()];
  let isHeld = false;
  // The first has read the freezes and is about to write, when the second writes.
  stage.before = ({ operation, claim }) => {
    if (isHeld || operation !== "document" || claim !== FREEZES_DOCUMENT) return undefined;
    isHeld = true;
    return freezeLocks(other, second, BOB);
  };
  await freezeLocks(one, first, ANN);
  expect(new Set(await idsIn(one))).toEqual(new Set([first.id, second.id]));
  expect((await one.history("*", 10)).filter(({ event }) => event === "frozen")).toHaveLength(2);
});

test("a freeze that is asked for again is there once", async () => {
  const coordinator = await openStage().open();
  const request = requestFor();
  const frozen = await freezeLocks(coordinator, request, ANN);
  expect(await freezeLocks(coordinator, request, ANN)).toEqual(frozen);
  expect(await idsIn(coordinator)).toEqual([request.id]);
  expect(await coordinator.history(null, 10)).toHaveLength(1);
});

test("an id is that of one freeze: another under it is refused, and nothing is frozen by that", async () => {
  const coordinator = await openStage().open();
  const request = requestFor({ locks: ["restart/*"] });
  const frozen = await freezeLocks(coordinator, request, ANN);
  for (const changes of [{ locks: ["deploy"] }, { node: "web-*" }, { group: "web" }, { reason: "mine" }])
    await expect(freezeLocks(coordinator, { ...request, ...changes }, BOB)).rejects.toMatchObject({ code: "conflict" });
  expect((await readFreezes(coordinator)).freezes).toEqual([frozen]);
});

test("who may not end one of the freezes of an id ends none in that store", async () => {
  const [one, other] = [await openStage().open(), await openStage().open()];
  const mine = requestFor({ locks: ["app/*"] });
  await freezeLocks(one, mine, BOB);
  await freezeLocks(other, { ...mine, locks: ["db"] }, ANN);
  const requireOver = ({ locks }: Freeze): void => {
    if (locks.includes("db")) throw new HoldlineError("not-allowed", "bob may not clear db");
  };
  const places = [one, other].map((coordinator) => ({ name: "store", open: () => Promise.resolve(coordinator) }));
  await expect(thawEverywhere(places, mine.id, { ...BOB, requireOver })).rejects.toMatchObject({ code: "not-allowed" });
  expect([await idsIn(one), await idsIn(other)]).toEqual([[], [mine.id]]);
});

test("a store's server that is behind does not hide a freeze from the thaw", async () => {
  const coordinator = await openStage().open();
  const frozen = await freezeLocks(coordinator, requestFor(), ANN);
  // As a ZooKeeper server does, it shows what others have written only once this session has written.
  let isBehind = true;
  const behind: Coordinator = Object.create(coordinator, {
    document: { value: (name: string) => (isBehind ? Promise.resolve(null) : coordinator.document(name)) },
    sync: { value: () => ((isBehind = false), coordinator.sync()) },
    writeDocument: { value: coordinator.writeDocument.bind(coordinator) },
  }) as Coordinator;
  expect(await thawLocks(behind, frozen.id, BOB)).toEqual([frozen]);
});

test("what cannot be read is not added to, and is thawed with all", async () => {
  const coordinator = await openStage().open();
  await coordinator.writeDocument(FREEZES_DOCUMENT, "garbage", 0);
  await expect(freezeLocks(coordinator, requestFor(), ANN)).rejects.toMatchObject({ code: "configuration" });
  await expect(thawLocks(coordinator, freshId(), ANN)).rejects.toMatchObject({ code: "configuration" });
  expect(await thawLocks(coordinator, null, ANN)).toEqual([]);
  expect(await idsIn(coordinator)).toEqual([]);
});

test("several stores have a freeze under one id; where one does not answer, it is said where it is frozen and how to go on", async () => {
  const [one, other] = [await openStage().open(), await openStage().open()];
  const place = (name: string, coordinator: Coordinator) => ({ name, open: () => Promise.resolve(coordinator) });
  const silent = { name: "zk2", open: () => Promise.reject(new UnreachableError("no answer")) };
  const request = requestFor();
  await freezeEverywhere([place("zk1", one), place("db", other)], request, ANN);
  expect([await idsIn(one), await idsIn(other)]).toEqual([[request.id], [request.id]]);
  expect(await thawEverywhere([place("zk1", one), place("db", other)], request.id, BOB)).toMatchObject([{ id: request.id }]);

  const partly = requestFor();
  await expect(freezeEverywhere([silent, place("zk1", one)], partly, ANN)).rejects.toMatchObject({
    code: "unreachable",
    message: `frozen only in part, as ${partly.id}: in zk1, but not in zk2: no answer`,
    hint: expect.stringContaining(`holdline thaw ${partly.id}`) as string,
  });
  expect(await idsIn(one)).toEqual([partly.id]);
  await expect(thawEverywhere([silent, place("zk1", one)], partly.id, BOB)).rejects.toMatchObject({
    message: "thawed only in part: it may still be frozen in zk2: no answer",
  });
  expect(await idsIn(one)).toEqual([]);
  await expect(freezeEverywhere([silent], requestFor(), ANN)).rejects.toThrow(/^no answer$/);
});
