// What a node's document says after a run, and what is news.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeNode, encodeNode, type NodeAction, type NodeDocument } from "../../src/fleet/node.js";
import { notedOf, type RunNote, saysNothingNew, withNote } from "../../src/fleet/noting.js";

const NOW = Date.UTC(2026, 10, 28);
const NOTE: RunNote = {
  ...{ node: "web-01", group: "web", machine: "m", version: "0.2.0", action: "restart", lock: "l", outcome: "ran", message: "" },
  ...{ ranMs: 20, wishedMsAgo: 100, isPending: false },
};
const ENTRY: NodeAction = { lock: "l", outcome: "timed-out", at: 7, ranMs: null, message: "", wishedAt: 5, pendingSince: 3 };
const declared = new Set(["restart", "other"]);

function before(actions: NodeDocument["actions"]): NodeDocument {
  return { node: "web-01", group: "old", machine: null, seenAt: 7, version: "0.1.0", actions };
}

test("a run replaces what its action said; other declared actions stay, and the others go", () => {
  const previous = before({ restart: ENTRY, other: ENTRY, gone: ENTRY });
  expect(withNote(previous, NOTE, { declared, now: NOW })).toEqual({
    ...{ node: "web-01", group: "web", machine: "m", seenAt: NOW, version: "0.2.0" },
    actions: {
      other: ENTRY,
      restart: { lock: "l", outcome: "ran", at: NOW, ranMs: 20, message: "", wishedAt: NOW - 100, pendingSince: null },
    },
  });
  expect(Object.keys(withNote(null, NOTE, { declared, now: NOW }).actions)).toEqual(["restart"]);
});

test("a wish is pending since it was first not fulfilled, and a resume answers the wish before it", () => {
  const pending = { ...NOTE, outcome: "blocked", ranMs: null, isPending: true };
  const entryOf = (previous: NodeDocument | null, note: RunNote) =>
    withNote(previous, note, { declared, now: NOW }).actions["restart"];
  expect(entryOf(null, pending)).toMatchObject({ wishedAt: NOW - 100, pendingSince: NOW - 100 });
  expect(entryOf(before({ restart: ENTRY }), pending)).toMatchObject({ wishedAt: NOW - 100, pendingSince: 3 });
  expect(entryOf(before({ restart: ENTRY }), { ...pending, wishedMsAgo: null })).toMatchObject({ wishedAt: 5, pendingSince: 3 });
  expect(entryOf(null, { ...NOTE, wishedMsAgo: null })).toMatchObject({ wishedAt: NOW, pendingSince: null });
});

test("a message is cut to 200 characters, none of them in half, so that a document stays small", () => {
  const message = (text: string) =>
    withNote(null, { ...NOTE, message: text }, { declared, now: NOW }).actions["restart"]?.message ?? "";
  expect(message("a".repeat(200))).toBe("a".repeat(200));
  expect(message("a".repeat(201))).toBe(`${"a".repeat(199)}…`);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 500 }), (text) => {
      expect(Array.from(message(text)).length).toBeLessThanOrEqual(200);
      expect(message(text).isWellFormed()).toBe(true);
      const document = withNote(null, { ...NOTE, message: text }, { declared, now: NOW });
      expect(decodeNode(encodeNode(document))).toEqual(document);
    }),
  );
});

test("what ran is news each time; what says the same again is none, and neither is another wait in vain", () => {
  const needless = { ...NOTE, outcome: "not-needed", ranMs: null };
  const again = (note: RunNote, changes: Partial<RunNote> = {}) => saysNothingNew(notedOf(note), { ...note, ...changes });
  expect(again(NOTE)).toBe(false);
  expect(again(needless)).toBe(true);
  expect(again(needless, { wishedMsAgo: 7 })).toBe(true);
  const news = [{ group: "db" }, { machine: "n" }, { version: "1" }, { lock: "k" }, { outcome: "blocked" }, { message: "else" }];
  for (const changes of [...news, { isPending: true }, { ranMs: 1 }]) expect(again(needless, changes)).toBe(false);
  const late = { ...needless, outcome: "timed-out", isPending: true };
  expect(again(late, { message: "waited 31 s for web-07" })).toBe(true);
  expect(again({ ...needless, message: "a".repeat(300) })).toBe(true);
});
