// Conformance: documents. They are versioned, told of like queues, and what settles can depend on them.
import { describe, expect, test } from "vitest";
import type { Coordinator } from "../locks/coordinator.js";
import type { Document } from "../locks/documents.js";
import { DocumentChangedError } from "../locks/errors.js";
import { draftFor, idsIn, recordFor, RELEASED } from "./drafts.js";
import type { Stage } from "./stage.js";
import { until } from "./until.js";

const NAMES = ["nodes/web-01", "nodes/web-02", "nodes/ä/ö ☃ %", "freezes"];

async function written(coordinator: Coordinator, name: string, value: string, revision = 0): Promise<Document> {
  expect(await coordinator.writeDocument(name, value, revision)).toBe("done");
  const document = await coordinator.document(name);
  if (document === null) throw new Error(`there is no document ${name}`);
  return document;
}

export function describeDocuments(stage: Stage): void {
  describe("documents", () => {
    test("are as they were written last, for everybody", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      expect(await one.document("freezes")).toBe(null);
      for (const value of ["first", "", "=", "ä ☃\n{}"]) {
        const before = await other.document("freezes");
        const now = await written(one, "freezes", value, before?.revision ?? 0);
        expect(now).toEqual({ name: "freezes", value, revision: now.revision });
        await other.sync();
        expect(await other.document("freezes")).toEqual(now);
      }
    });

    test("are listed by the beginning of their names, sorted", async () => {
      const coordinator = await stage.open();
      for (const name of NAMES) await written(coordinator, name, name);
      const names = async (prefix: string) => (await coordinator.documents(prefix)).map(({ name }) => name);
      expect(await names("")).toEqual([...NAMES].sort());
      expect(await names("nodes/")).toEqual(NAMES.slice(0, 3).sort());
      expect(await names("nodes/web-")).toEqual(["nodes/web-01", "nodes/web-02"]);
      expect(await names("%")).toEqual([]);
      expect(await coordinator.list()).toEqual([]);
    });

    test("refuse a write that has not read the latest, and keep growing over their removal", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const first = await written(one, "freezes", "first");
      expect(await other.writeDocument("freezes", "made anew", 0)).toBe("changed");
      const second = await written(other, "freezes", "second", first.revision);
      expect(second.revision).toBeGreaterThan(first.revision);
      expect(await one.writeDocument("freezes", "late", first.revision)).toBe("changed");
      expect(await one.writeDocument("freezes", null, first.revision)).toBe("changed");
      expect(await one.writeDocument("freezes", null, second.revision)).toBe("done");
      expect(await one.document("freezes")).toBe(null);
      expect(await one.documents("")).toEqual([]);
      expect(await one.writeDocument("freezes", "late", second.revision)).toBe("changed");
      const third = await written(one, "freezes", "third");
      expect(third.revision).toBeGreaterThan(second.revision);
    });

    test("one of those who have read the same writes", async () => {
      const sessions = [await stage.open(), await stage.open(), await stage.open()];
      for (let round = 0; round < 5; round += 1) {
        const revision = (await sessions[0]!.document("freezes"))?.revision ?? 0;
        const outcomes = await Promise.all(
          sessions.map((session, index) => session.writeDocument("freezes", `${round} ${index}`, revision)),
        );
        expect(outcomes.filter((outcome) => outcome === "done")).toHaveLength(1);
        await sessions[0]!.sync();
        expect((await sessions[0]!.document("freezes"))?.value).toBe(`${round} ${outcomes.indexOf("done")}`);
      }
    });

    test("nothing settles on what has changed since it was read, and the claim keeps its place", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const draft = draftFor(["a", "b"]);
      const joined = await one.join(draft);
      const behind = await other.join(draftFor("a"));
      const absent = [{ name: "freezes", revision: 0 }];
      const first = await written(other, "freezes", "first");
      const settling = one.settle(draft, joined, recordFor(draft), undefined, absent);
      await expect(settling).rejects.toBeInstanceOf(DocumentChangedError);
      const second = await written(other, "freezes", "second", first.revision);
      const stale = [{ name: "freezes", revision: first.revision }];
      await expect(one.settle(draft, joined, recordFor(draft), undefined, stale)).rejects.toBeInstanceOf(DocumentChangedError);
      expect((await other.queue("a")).map(({ durable }) => durable)).toEqual([false, false]);
      expect((await other.position(behind.positions[0]!)).ahead).toHaveLength(1);
      const settled = await one.settle(draft, joined, recordFor(draft), undefined, [
        { name: "freezes", revision: second.revision },
      ]);
      expect((await idsIn(other, "a"))[0]).toBe(draft.id);
      expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("a claim settles beside documents that are as they were read, there or not", async () => {
      const coordinator = await stage.open();
      const document = await written(coordinator, "nodes/web-01", "seen");
      const draft = draftFor("a");
      const checks = [
        { name: "freezes", revision: 0 },
        { name: "nodes/web-01", revision: document.revision },
      ];
      const joined = await coordinator.join(draft);
      const settled = await coordinator.settle(draft, joined, recordFor(draft), undefined, checks);
      expect(await coordinator.document("freezes")).toBe(null);
      expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test("are told of like queues", async () => {
      const [coordinator, other] = [await stage.open(), await stage.open()];
      const told = new Set<string>();
      const watch = await coordinator.watch((change) => {
        if (change === null) NAMES.forEach((name) => told.add(name));
        else change.documents.forEach((name) => told.add(name));
      });
      for (const name of NAMES) {
        const document = await written(other, name, "new");
        await until(() => told.delete(name), `the new document ${name} to be told of`);
        await written(other, name, "changed", document.revision);
        await until(() => told.delete(name), `the change of ${name} to be told of`);
      }
      watch.close();
    });
  });
}
