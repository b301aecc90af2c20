// Conformance: documents that are written with something else. With the end of a claim, in one transaction; with records of the history;
// and checked by what settles, whatever is lost on the way.
import { describe, expect, test } from "vitest";
import type { Coordinator } from "../locks/coordinator.js";
import type { DocumentWrite } from "../locks/documents.js";
import { DocumentChangedError } from "../locks/errors.js";
import type { Notice } from "../locks/history.js";
import { draftFor, idsIn, ownerAt, recordFor, RELEASED, takeDurably, timesOf } from "./drafts.js";
import type { Faults, Operation, Stage } from "./stage.js";
import { within } from "./until.js";

const FROZEN: Notice = {
  ...{ lock: "restart/*", id: "0d0f4f0e-6a52-4b6e-9d57-1c1f0a6d3c11", event: "frozen", by: "ann@desk", reason: "sale ☃" },
  ...{ owner: ownerAt("desk"), since: null, data: { node: "web-*" } },
};

const LOST = [
  ["reply", (faults: Faults, operation: Operation, claim: string) => faults.loseReply(operation, claim)],
  ["request", (faults: Faults, operation: Operation, claim: string) => faults.loseRequest(operation, claim)],
] as const;

async function valuesIn(coordinator: Coordinator): Promise<Readonly<Record<string, string>>> {
  await coordinator.sync();
  return Object.fromEntries((await coordinator.documents("")).map(({ name, value }) => [name, value]));
}

async function written(coordinator: Coordinator, name: string, value: string | null, revision = 0): Promise<number> {
  expect(await coordinator.writeDocument(name, value, revision)).toBe("done");
  return (await coordinator.document(name))?.revision ?? 0;
}

export function describeDocumentWrites(stage: Stage): void {
  describe("a claim that leaves with documents", () => {
    test("makes, changes and removes them as it ends", async () => {
      const coordinator = await stage.open();
      const { draft, settled } = await takeDurably(coordinator, ["a", "b"]);
      const [old, gone] = [await written(coordinator, "nodes/old", "old"), await written(coordinator, "nodes/gone", "gone")];
      const writes: DocumentWrite[] = [
        { name: "nodes/new", value: "made", revision: 0 },
        { name: "nodes/old", value: "changed ☃", revision: old },
        { name: "nodes/gone", value: null, revision: gone },
      ];
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("done");
      expect(await coordinator.list()).toEqual([]);
      expect(await valuesIn(coordinator)).toEqual({ "nodes/new": "made", "nodes/old": "changed ☃" });
      expect(await coordinator.history(null, 10)).toHaveLength(2);
    });

    test("stays as it is when one of them is not as it was read", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      const revision = await written(one, "nodes/web-01", "read");
      await written(other, "nodes/web-01", "written since", revision);
      for (const stale of [revision, 0]) {
        const writes = [
          { name: "nodes/other", value: "never", revision: 0 },
          { name: "nodes/web-01", value: "late", revision: stale },
        ];
        const leaving = one.leave(draft.id, settled.entries, RELEASED, undefined, writes);
        await expect(leaving).rejects.toBeInstanceOf(DocumentChangedError);
      }
      expect(await idsIn(other, "a")).toEqual([draft.id]);
      expect(await valuesIn(other)).toEqual({ "nodes/web-01": "written since" });
      expect(await other.history("a", 10)).toEqual([]);
      const now = (await one.document("nodes/web-01"))?.revision ?? 0;
      const writes = [{ name: "nodes/web-01", value: "again", revision: now }];
      expect(await one.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("done");
      expect(await valuesIn(other)).toEqual({ "nodes/web-01": "again" });
    });

    test("writes nothing where another has ended it, whatever has become of the documents", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft, settled } = await takeDurably(one, "a");
      const revision = await written(one, "nodes/web-01", "read");
      expect(await other.leave(draft.id, settled.entries, { event: "cleared", by: "ann", reason: "why" })).toBe("done");
      for (const now of [revision, revision + 1_000]) {
        const writes = [{ name: "nodes/web-01", value: "late", revision: now }];
        expect(await one.leave(draft.id, settled.entries, RELEASED, undefined, writes)).toBe("gone");
      }
      expect(await valuesIn(one)).toEqual({ "nodes/web-01": "read" });
    });

    test("writes one after another with others that write the same document", async () => {
      const sessions = [await stage.open(), await stage.open(), await stage.open()];
      const left = sessions.map(async (session, index) => {
        const { draft, settled } = await takeDurably(session, `lock-${index}`);
        for (;;) {
          const document = await session.document("count");
          const writes = [{ name: "count", value: String(Number(document?.value ?? 0) + 1), revision: document?.revision ?? 0 }];
          try {
            return await session.leave(draft.id, settled.entries, RELEASED, undefined, writes);
          } catch (error) {
            if (!(error instanceof DocumentChangedError)) throw error;
          }
        }
      });
      expect(await Promise.all(left)).toEqual(["done", "done", "done"]);
      expect(await valuesIn(sessions[0]!)).toEqual({ count: "3" });
    });
  });

  describe("a document with notices", () => {
    test("is recorded in the history as it is written", async () => {
      const coordinator = await stage.open();
      const before = (await timesOf(coordinator)).earliest;
      expect(await coordinator.writeDocument("freezes", "first", 0, undefined, [FROZEN])).toBe("done");
      const [frozen] = await coordinator.history("restart/*", 10);
      expect(frozen).toMatchObject({
        ...{ lock: "restart/*", claim: FROZEN.id, event: "frozen", by: "ann@desk", reason: "sale ☃", owner: FROZEN.owner },
        ...{ data: { node: "web-*" }, isKept: false, failure: null, lease: null, claimedAt: frozen?.endedAt },
      });
      expect(frozen?.endedAt).toBeGreaterThanOrEqual(before);
      const { revision = 0 } = (await coordinator.document("freezes")) ?? {};
      const since = frozen?.claimedAt ?? 0;
      const thawed: Notice = { ...FROZEN, event: "thawed", by: null, reason: null, since, endedAt: since + 5 };
      const other: Notice = { ...thawed, lock: "*", id: "another", by: "bob" };
      expect(await coordinator.writeDocument("freezes", null, revision, undefined, [thawed, other])).toBe("done");
      const all = await coordinator.history(null, 10);
      expect(all).toHaveLength(3);
      expect(all).toContainEqual({ ...frozen, event: "thawed", by: null, reason: null, endedAt: since + 5 });
      expect(await coordinator.history("*", 10)).toMatchObject([{ claim: "another", event: "thawed", by: "bob" }]);
    });

    test("is not recorded where it is not written", async () => {
      const coordinator = await stage.open();
      const revision = await written(coordinator, "freezes", "first");
      expect(await coordinator.writeDocument("freezes", "late", 0, undefined, [FROZEN])).toBe("changed");
      expect(await coordinator.writeDocument("freezes", "late", revision + 1_000, undefined, [FROZEN])).toBe("changed");
      expect(await coordinator.history(null, 10)).toEqual([]);
    });
  });
}

/** The same where requests, replies and connections are lost. */
export function describeLostDocumentWrites(stage: Stage): void {
  for (const [what, lose] of LOST) {
    describe(`a ${what} lost on the way`, () => {
      test("leave: the claim has ended and the document is written, once", async () => {
        const { coordinator, faults } = await stage.faulty();
        const observer = await stage.open();
        const { draft, settled } = await takeDurably(coordinator, "a");
        const revision = await written(coordinator, "nodes/web-01", "read");
        const lost = lose(faults, "leave", draft.id);
        const writes = [
          { name: "nodes/web-01", value: "done", revision },
          { name: "nodes/new", value: "made", revision: 0 },
        ];
        const leaving = coordinator.leave(draft.id, settled.entries, RELEASED, undefined, writes);
        expect(await within(leaving, "the leave")).toBe("done");
        await lost;
        expect(await valuesIn(observer)).toEqual({ "nodes/new": "made", "nodes/web-01": "done" });
        expect(await observer.history("a", 10)).toMatchObject([{ claim: draft.id, event: "released" }]);
      });

      test("a document with a notice: it is written and recorded, once", async () => {
        const { coordinator, faults } = await stage.faulty();
        await written(coordinator, "other", "so that the folder is there");
        const lost = lose(faults, "document", "freezes");
        expect(await within(coordinator.writeDocument("freezes", "f", 0, undefined, [FROZEN]), "the write")).toBe("done");
        await lost;
        expect((await coordinator.document("freezes"))?.value).toBe("f");
        expect(await coordinator.history(null, 10)).toMatchObject([{ claim: FROZEN.id, event: "frozen" }]);
      });
    });
  }

  test("leave, its reply lost: the claim has ended although others have written the document since", async () => {
    const { coordinator, faults } = await stage.faulty();
    const observer = await stage.open();
    const { draft, settled } = await takeDurably(coordinator, "a");
    const lost = faults.loseReply("leave", draft.id);
    const leaving = coordinator.leave(draft.id, settled.entries, RELEASED, undefined, [{ name: "n", value: "1", revision: 0 }]);
    await lost;
    await faults.refuse();
    await observer.sync();
    const { revision = 0 } = (await observer.document("n")) ?? {};
    await written(observer, "n", "2", revision);
    await faults.serve();
    expect(await within(leaving, "the leave")).toBe("done");
    expect(await valuesIn(observer)).toEqual({ n: "2" });
  });

  test("leave, its request lost: the claim stays where others have written the document since", async () => {
    const { coordinator, faults } = await stage.faulty();
    const observer = await stage.open();
    const { draft, settled } = await takeDurably(coordinator, "a");
    const revision = await written(coordinator, "n", "1");
    const lost = faults.loseRequest("leave", draft.id);
    const leaving = coordinator.leave(draft.id, settled.entries, RELEASED, undefined, [{ name: "n", value: "2", revision }]);
    // It is looked at later, and must not count as unhandled until then.
    leaving.catch(() => undefined);
    await lost;
    await faults.refuse();
    await written(observer, "n", "3", revision);
    await faults.serve();
    await expect(within(leaving, "the leave")).rejects.toBeInstanceOf(DocumentChangedError);
    expect(await idsIn(observer, "a")).toEqual([draft.id]);
    expect(await observer.history("a", 10)).toEqual([]);
  });

  test("a document that is written between the question and the settling stops the settling, and nothing else does", async () => {
    const { coordinator, faults } = await stage.faulty();
    const observer = await stage.open();
    const draft = draftFor("a");
    const joined = await coordinator.join(draft);
    const checks = [{ name: "freezes", revision: 0 }];
    expect(await coordinator.document("freezes")).toBe(null);
    const held = faults.holdRequest("settle", draft.id);
    const settling = coordinator.settle(draft, joined, recordFor(draft), undefined, checks);
    settling.catch(() => undefined);
    await held.caught;
    const revision = await written(observer, "freezes", "frozen");
    held.release();
    await expect(within(settling, "the settling")).rejects.toBeInstanceOf(DocumentChangedError);
    // It has been thawed since: there is no document once more, as the claim has read.
    await written(observer, "freezes", null, revision);
    await coordinator.settle(draft, joined, recordFor(draft), undefined, checks);
    expect(await observer.queue("a")).toMatchObject([{ id: draft.id, durable: true }]);
  });

  test("settle, its reply lost: the claim is settled although the document has changed since", async () => {
    const { coordinator, faults } = await stage.faulty();
    const observer = await stage.open();
    const draft = draftFor("a");
    const joined = await coordinator.join(draft);
    const lost = faults.loseReply("settle", draft.id);
    const settling = coordinator.settle(draft, joined, recordFor(draft), undefined, [{ name: "freezes", revision: 0 }]);
    await lost;
    await faults.refuse();
    await written(observer, "freezes", "frozen");
    await faults.serve();
    const settled = await within(settling, "the settling");
    expect(await observer.queue("a")).toMatchObject([{ id: draft.id, durable: true, fencingToken: settled.fencingToken }]);
  });

  test("settle, its request lost: the claim stays in line where the document has changed since", async () => {
    const { coordinator, faults } = await stage.faulty();
    const observer = await stage.open();
    const draft = draftFor("a");
    const joined = await coordinator.join(draft);
    const lost = faults.loseRequest("settle", draft.id);
    const settling = coordinator.settle(draft, joined, recordFor(draft), undefined, [{ name: "freezes", revision: 0 }]);
    settling.catch(() => undefined);
    await lost;
    await faults.refuse();
    await written(observer, "freezes", "frozen");
    await faults.serve();
    await expect(within(settling, "the settling")).rejects.toBeInstanceOf(DocumentChangedError);
    expect(await observer.queue("a")).toMatchObject([{ id: draft.id, durable: false }]);
  });
}
