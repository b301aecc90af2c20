// What an examination finds in a real tree, and what mending changes in it.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import type { StoreReport } from "../../../src/locks/store-report.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { draftFor, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

async function open(root: string, credentials: string | null): Promise<Coordinator> {
  const { host, port } = inject("zookeeper");
  const login = credentials === null ? "" : `${credentials}@`;
  const coordinator = await openZooKeeper(`zookeeper://${login}${host}:${port}${root}`, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(credentials: string | null = null): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"), credentials);
  onTestFinished(() => client.close());
  return client;
}

async function examined(coordinator: Coordinator): Promise<StoreReport> {
  if (coordinator.examine === undefined) throw new Error("it examines nothing");
  return coordinator.examine();
}

async function mended(coordinator: Coordinator): Promise<readonly string[]> {
  if (coordinator.mend === undefined) throw new Error("it mends nothing");
  return coordinator.mend();
}

/** All paths under a root, the root included. */
async function below(client: PlainClient, path: string): Promise<string[]> {
  const children = await client.children(path);
  return [path, ...(await Promise.all(children.map((child) => below(client, `${path}/${child}`)))).flat()];
}

test("mending gives a tree that was first used without credentials to them, once, and from then on it is trusted", async () => {
  const root = freshRoot();
  const stranger = await open(root, null);
  await stranger.sync();
  const held = await takeDurably(stranger, "restart/nginx");
  const ended = await takeDurably(stranger, "b");
  await stranger.leave(ended.draft.id, ended.settled.entries, RELEASED);
  await stranger.close();
  const owner = await open(root, "ops:secret");
  expect((await examined(owner)).findings).toEqual([
    {
      severity: "error",
      code: "configuration",
      message: expect.stringMatching(/everybody may change .* and \d+ more: anybody could delete a claim/) as string,
      hint: expect.stringContaining("holdline check --live --mend") as string,
    },
  ]);
  const client = await plain("ops:secret");
  const all = await below(client, root);
  // The stranger's liveness entry went with its session.
  expect(await mended(owner)).toEqual(all.sort());
  for (const path of all) expect([path, await client.acl(path)]).toEqual([path, [expect.stringMatching(/^digest ops:\S+ 31$/)]]);
  expect(await mended(owner)).toEqual([]);
  expect(await examined(owner)).toMatchObject({
    facts: { mayBeChangedBy: "the URL's credentials", rights: "all that runs need" },
    findings: [],
  });
  // Earlier claims can be adopted and ended.
  const [claim] = await owner.queue("restart/nginx");
  expect(claim?.id).toBe(held.draft.id);
  expect(await owner.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
  await owner.join(draftFor("restart/nginx"));
  await expect((await open(root, null)).join(draftFor("restart/nginx"))).rejects.toMatchObject({ code: "not-allowed" });
});

test("without credentials mending is refused, and an examination warns that everybody may change the claims", async () => {
  const root = freshRoot();
  const stranger = await open(root, null);
  await takeDurably(stranger, "a");
  await expect(mended(stranger)).rejects.toMatchObject({
    code: "configuration",
    hint: expect.stringContaining("user:password") as string,
  });
  expect(await (await plain()).acl(`${root}/locks`)).toEqual(["world anyone 31"]);
  expect(await examined(stranger)).toMatchObject({
    facts: { kind: "zookeeper", durability: "quorum", root, credentials: "none", mayBeChangedBy: "everybody" },
    findings: [{ severity: "warning" }],
  });
});

test("mending names the znodes that it may not change, and changes the rest", async () => {
  const root = freshRoot();
  const stranger = await open(root, null);
  await takeDurably(stranger, "a");
  // Everybody may do everything there except change the rights.
  await (await plain()).restrict(`${root}/locks/a`, 15);
  await expect(mended(await open(root, "ops:secret"))).rejects.toMatchObject({
    code: "not-allowed",
    message: expect.stringContaining(`the rights of ${root}/locks/a could not be changed`) as string,
  });
  expect(await (await plain("ops:secret")).acl(`${root}/locks`)).toEqual([expect.stringMatching(/^digest ops/)]);
});

test("an examination reports what these credentials may not do, and creates nothing", async () => {
  const root = freshRoot();
  const owner = await open(root, "ops:secret");
  await takeDurably(owner, "a");
  await owner.sync();
  const client = await plain("ops:secret");
  const before = await below(client, root);
  const mallory = await examined(await open(root, "mallory:secret"));
  expect(mallory.facts["rights"]).toBe("not all that runs need");
  expect(mallory.findings.map(({ hint }) => hint)).toEqual(
    Array(4).fill(expect.stringMatching(/^are the user and the password in the coordinator URL right\?/)),
  );
  expect(mallory.findings.map(({ code, severity, message }) => [code, severity, message.split(":")[0]])).toEqual([
    ["not-allowed", "error", `may not join a line below ${root}/locks`],
    ["not-allowed", "error", `may not show that a claim is being run below ${root}/alive`],
    ["not-allowed", "error", `may not write the history below ${root}/history`],
    ["not-allowed", "error", `may not ask the store's clock below ${root}/clock`],
  ]);
  const own = await examined(owner);
  expect(own.findings).toEqual([]);
  expect(own.facts).toMatchObject({ clockErrorMs: 0, clockAheadMs: expect.any(Number) as number });
  expect(await below(client, root)).toEqual(before);
});

test("an examination without a tree finds nothing wrong, and creates none", async () => {
  const root = `${freshRoot()}/below`;
  expect((await examined(await open(root, "ops:secret"))).findings).toEqual([]);
  expect(await (await plain()).exists(root)).toBe(false);
});

test("an examination warns of a session timeout that the servers cut down", async () => {
  const { host, port } = inject("zookeeper");
  const url = `zookeeper://ops:secret@${host}:${port}${freshRoot()}`;
  const coordinator = await openZooKeeper(url, { ...TEST_OPTIONS, sessionTimeoutMs: 3_600_000 });
  onTestFinished(() => coordinator.close());
  expect((await examined(coordinator)).findings).toMatchObject([
    {
      severity: "warning",
      message: expect.stringMatching(/^the servers grant a session timeout of .*, not the 1 h of `session_timeout`$/) as string,
    },
  ]);
});
