// What tidying removes from a tree of an earlier version, and what it leaves alone.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshId, freshRoot } from "../../support/roots.js";
import { draftFor, idsIn, ownerAt, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(root: string, options: Partial<CoordinatorOptions> = {}, login = ""): Promise<Coordinator> {
  const { host, port } = inject("zookeeper");
  const coordinator = await openZooKeeper(`zookeeper://${login}${host}:${port}${root}`, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  return client;
}

async function tidied(coordinator: Coordinator): Promise<readonly string[]> {
  if (coordinator.tidy === undefined) throw new Error("it tidies nothing away");
  return coordinator.tidy();
}

/** A record as Holdline up to 0.1 wrote it. */
function formerRecord(claim: string): string {
  const ended = { claim, event: "released", by: "deploy@web-01", reason: null, claimedAt: 1_700_000_000_000 };
  const owner = ownerAt("web-01");
  const record = { v: 1, owner, key: null, slots: 1, made: null, expiresAt: null, reason: null, data: null, failure: null };
  return JSON.stringify({ ...ended, record });
}

test("empty folders go, with those above them; a folder with anything in it stays; a second run does nothing", async () => {
  const [root, client] = [freshRoot(), await plain()];
  const coordinator = await open(root);
  const held = await takeDurably(coordinator, "ci/held");
  const waiting = await coordinator.join(draftFor("restart"));
  const foreign = `${root}/locks/kazoo/lock/x__lock__0000000000`;
  for (const folder of ["ci/commit-1", "ci/commit-2/deep", "old/one/er", "restart/nginx"]) {
    await client.create(`${root}/locks/${folder}`);
    await client.create(`${root}/history/${folder}`);
  }
  await client.create(foreign, "10.0.0.7", "ephemeral");
  await client.create(`${root}/locks/theirs`, "another program's");
  await client.create(`${root}/locks/noted/_notes`);
  const gone = ["ci/commit-1", "ci/commit-2", "ci/commit-2/deep", "old", "old/one", "old/one/er", "restart/nginx"];
  const expected = [
    ...[...gone, "ci", "restart"].map((folder) => `${root}/history/${folder}`),
    ...gone.map((folder) => `${root}/locks/${folder}`),
  ];
  expect(await tidied(coordinator)).toEqual(expected.sort());
  expect(await client.children(`${root}/locks`)).toEqual(["ci", "kazoo", "noted", "restart", "theirs"]);
  expect(await client.exists(foreign)).toBe(true);
  expect(await idsIn(coordinator, "ci/held")).toEqual([held.draft.id]);
  expect(await coordinator.position(waiting.positions[0]!)).toMatchObject({ ahead: [] });
  for (const folder of ["locks", "history", "alive"]) expect(await client.exists(`${root}/${folder}`)).toBe(true);
  expect(await tidied(coordinator)).toEqual([]);
  expect(await coordinator.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
});

test("records within the history's bounds stay, those of earlier versions included", async () => {
  const [root, client] = [freshRoot(), await plain()];
  const [narrow, writer] = [await open(root, { historyKeep: 2 }), await open(root)];
  const claims = [freshId(), freshId(), freshId()];
  for (const claim of claims) await client.create(`${root}/history/a/_h_`, formerRecord(claim), "persistent-sequential");
  await client.create(`${root}/history/b/_h_`, formerRecord(freshId()), "persistent-sequential");
  for (let index = 0; index < 3; index += 1) {
    const { draft, settled } = await takeDurably(writer, "c");
    expect(await writer.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  }
  expect(await tidied(narrow)).toEqual([`${root}/history/_h_c=0000000002`, `${root}/history/a/_h_0000000000`]);
  expect((await writer.history("a", 9)).map(({ claim }) => claim)).toEqual([claims[2], claims[1]]);
  const few = await open(root, { historyTotal: 3 });
  expect(await tidied(few)).toContain(`${root}/history/a`);
  expect((await writer.history(null, 9)).map(({ lock }) => lock)).toEqual(["c", "c", "b"]);
});

test("a record with another client's znode below it is named in a warning, and does not keep other records from going", async () => {
  const [root, client] = [freshRoot(), await plain()];
  const warnings: string[] = [];
  const log = { ...TEST_OPTIONS.log, warn: (_: object, message: string) => void warnings.push(message) };
  const [narrow, writer] = [await open(root, { historyKeep: 1, log }), await open(root)];
  for (let index = 0; index < 4; index += 1) {
    const { draft, settled } = await takeDurably(writer, "c");
    expect(await writer.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  }
  for (let index = 0; index < 2; index += 1)
    await client.create(`${root}/history/a/_h_`, formerRecord(freshId()), "persistent-sequential");
  const full = [`${root}/history/_h_c=0000000001`, `${root}/history/a/_h_0000000000`];
  for (const path of full) await client.create(`${path}/theirs`);
  expect(await tidied(narrow)).toEqual([`${root}/history/_h_c=0000000000`, `${root}/history/_h_c=0000000002`]);
  expect(warnings).toEqual(full.map((path) => expect.stringContaining(`the record ${path} `) as string));
});

test("tidying without the right to remove fails with clear words", async () => {
  const [root, client] = [freshRoot(), await plain()];
  const owner = await open(root, {}, "ops:secret@");
  const { draft, settled } = await takeDurably(owner, "a/b");
  expect(await owner.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  await expect(tidied(await open(root))).rejects.toMatchObject({ code: "not-allowed" });
  expect(await client.exists(`${root}/locks`)).toBe(true);
});
