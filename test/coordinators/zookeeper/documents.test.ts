// Documents in ZooKeeper that the server refuses or that others have written to: no document keeps a claim from being let go, and a
// document that cannot be read is not one that is not there.
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import { readFreezes } from "../../../src/line/freezes.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { DocumentChangedError } from "../../../src/locks/errors.js";
import type { Notice } from "../../../src/locks/history.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, ownerAt, recordFor, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const [READ, WRITE, CREATE, ADMIN] = [1, 2, 4, 16];
const ALL_BUT_CREATE = 1 + 2 + 8 + 16;

const FROZEN: Notice = {
  ...{ lock: "*", id: "0d0f4f0e-6a52-4b6e-9d57-1c1f0a6d3c11", event: "frozen", by: "ann@desk", reason: "sale" },
  ...{ owner: ownerAt("desk"), since: null, data: null },
};

interface Stage {
  readonly root: string;
  readonly client: PlainClient;
  readonly coordinator: Coordinator;
  readonly warnings: string[];
}

async function openStage(address = `${inject("zookeeper").host}:${inject("zookeeper").port}`): Promise<Stage> {
  const root = freshRoot();
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  const warnings: string[] = [];
  const log = { ...TEST_OPTIONS.log, warn: (_: object, message: string) => void warnings.push(message) };
  const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, { ...TEST_OPTIONS, log });
  onTestFinished(() => coordinator.close());
  return { root, client, coordinator, warnings };
}

describe("a claim is let go without its documents, and with a warning,", () => {
  const cases: Readonly<
    Record<string, { readonly prepare: (stage: Stage) => Promise<void>; readonly value?: string; readonly why: RegExp }>
  > = {
    "when it may not write them": {
      prepare: ({ client, root }) => client.restrict(`${root}/documents/n`, READ + CREATE + ADMIN),
      why: /the documents n are not written: the znodes belong to other credentials/,
    },
    "when it may not make them": {
      prepare: async ({ client, root }) => {
        await client.remove(`${root}/documents/n`);
        await client.restrict(`${root}/documents`, ALL_BUT_CREATE);
      },
      why: /the documents n are not written: the znodes belong to other credentials/,
    },
    "when they are too large for a request": {
      prepare: () => Promise.resolve(),
      value: "x".repeat(1_000_000),
      why: /the documents n are not written: they are too large/,
    },
  };
  test.each(Object.entries(cases))("%s", async (_, { prepare, value = "1", why }) => {
    const stage = await openStage();
    const { coordinator, client, root, warnings } = stage;
    const { draft, settled } = await takeDurably(coordinator, "a");
    await client.create(`${root}/documents/n`);
    await prepare(stage);
    const writes = [{ name: "n", value, revision: 0 }];
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("done");
    expect(await coordinator.list()).toEqual([]);
    expect(await coordinator.history("a", 10)).toMatchObject([{ claim: draft.id, event: "released" }]);
    expect(warnings).toEqual([expect.stringMatching(why)]);
    expect(warnings[0]).toMatch(/^the claim on a is let go all the same, but /);
  });
});

describe("a document is written", () => {
  test("without its record in the history, and with a warning, when the history may not be written", async () => {
    const { coordinator, client, root, warnings } = await openStage();
    await takeDurably(coordinator, "a");
    await client.create(`${root}/history/x`);
    await client.restrict(`${root}/history`, READ);
    expect(await coordinator.writeDocument("freezes", "f", 0, undefined, [FROZEN])).toBe("done");
    expect((await coordinator.document("freezes"))?.value).toBe("f");
    expect(warnings).toEqual([expect.stringMatching(/the document freezes is written, but the history has no record of that/)]);
  });

  test("with its record when another record already has the next number", async () => {
    const { coordinator, client, root, warnings } = await openStage();
    await client.create(`${root}/history/_h_*=0000000001`, "in the way");
    expect(await coordinator.writeDocument("freezes", "f", 0, undefined, [FROZEN])).toBe("done");
    expect(await coordinator.history("*", 10)).toMatchObject([{ event: "frozen", claim: FROZEN.id }]);
    expect(warnings).toEqual([]);
  });

  test("without its records, and with a warning, when they are too large for a request", async () => {
    const { coordinator, warnings } = await openStage();
    const notices = Array.from({ length: 100 }, (_, at) => ({ ...FROZEN, lock: `restart/${at}`, data: "x".repeat(10_000) }));
    expect(await coordinator.writeDocument("freezes", "f", 0, undefined, notices)).toBe("done");
    expect((await coordinator.document("freezes"))?.value).toBe("f");
    expect(await coordinator.history(null, 10)).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/freezes is written, but the history has no record of that: .* too large/)]);
  });

  test("not where it is too large: the caller hears of it", async () => {
    const { coordinator } = await openStage();
    const writing = coordinator.writeDocument("freezes", "x".repeat(1_000_000), 0);
    await expect(writing).rejects.toMatchObject({ code: "not-allowed", message: expect.stringContaining("too large") as string });
  });
});

describe("freezes that cannot be read are not taken for none", () => {
  test("what others have written there", async () => {
    const { coordinator, client, root } = await openStage();
    await client.create(`${root}/documents/freezes`, "garbage");
    await expect(readFreezes(coordinator)).rejects.toMatchObject({ code: "configuration" });
    const draft = draftFor("a");
    const joined = await coordinator.join(draft);
    const settling = coordinator.settle(draft, joined, recordFor(draft), undefined, [{ name: "freezes", revision: 0 }]);
    await expect(settling).rejects.toBeInstanceOf(DocumentChangedError);
    const { revision = 0 } = (await coordinator.document("freezes")) ?? {};
    expect(await coordinator.writeDocument("freezes", null, revision)).toBe("done");
    expect((await readFreezes(coordinator)).freezes).toEqual([]);
  });

  test("a document that this caller may not read", async () => {
    const { coordinator, client, root } = await openStage();
    await client.create(`${root}/documents/freezes`);
    await client.restrict(`${root}/documents/freezes`, WRITE);
    await expect(readFreezes(coordinator)).rejects.toMatchObject({ code: "not-allowed" });
  });
});

test("a document that this caller may not read hides none of the others in a list", async () => {
  const { coordinator, client, root } = await openStage();
  for (const name of ["nodes/a", "nodes/b", "nodes/c"]) await coordinator.writeDocument(name, name, 0);
  await client.restrict(`${root}/documents/nodes%2Fb`, WRITE);
  expect((await coordinator.documents("nodes/")).map(({ name }) => name)).toEqual(["nodes/a", "nodes/c"]);
  await expect(coordinator.document("nodes/b")).rejects.toMatchObject({ code: "not-allowed" });
});

test("settling under a document that is not there costs no question once that was read", async () => {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  const { coordinator, client, root } = await openStage(proxy.address);
  await client.create(`${root}/documents/freezes`);
  const draft = draftFor("a");
  const joined = await coordinator.join(draft);
  expect(await coordinator.document("freezes")).toBe(null);
  const before = proxy.count(Opcode.getData);
  await coordinator.settle(draft, joined, recordFor(draft), undefined, [{ name: "freezes", revision: 0 }]);
  expect(proxy.count(Opcode.getData)).toBe(before);
});
