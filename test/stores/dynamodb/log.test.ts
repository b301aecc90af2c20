// The log in its ring, snapshots, and sessions, on dynalite: what is this store's own, beside what the conformance suite asks of all.
import { randomBytes } from "node:crypto";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { ReplyLostError, type Step } from "../../../src/queue/store.js";
import { openDynamo, openParts } from "../../../src/stores/dynamodb/index.js";
import { Snapshots } from "../../../src/stores/dynamodb/snapshots.js";
import { DynamoStore, type StoreParts } from "../../../src/stores/dynamodb/store.js";
import type { Target } from "../../support/framed-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshId } from "../../support/roots.js";
import { freshPlace } from "./place.js";
import { startStumbling } from "./stumbling.js";

failOnLeaks();

const server = inject("dynamodb");
const target = server as Target;
const ALL = "g";

/** A place with a short log, and clients of it. */
async function shortLog(slots: number) {
  const place = freshPlace(target);
  const url = place.urlAt(`${target.host}:${target.port}`);
  const open = async (address?: string): Promise<StoreParts> => {
    const parts = await openParts(address === undefined ? url : place.urlAt(address), TEST_OPTIONS);
    onTestFinished(() => new DynamoStore(parts).close());
    return parts;
  };
  const { table } = await open();
  await new Snapshots(table).begin(slots);
  return { open, url };
}

const noted = (record: string, lock = "a"): readonly Step[] => [
  { do: "archive", lock, record, endedAt: null, room: 1_000 },
  { do: "document", name: record, value: record, revision: 0 },
];

function recordsOf({ replica }: StoreParts): readonly string[] {
  return replica.contents.archive.map(({ record }) => record);
}

/** Writes each once: one whose reply is lost has happened where it is refused the second time. */
async function write(parts: StoreParts, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index += 1) {
    const commit = () => parts.writer.commit(noted(`r${index}`));
    const lost = await commit().catch((error: unknown) => error);
    if (lost instanceof ReplyLostError) await commit();
    else expect(lost).toMatchObject({ isDone: true });
  }
  await parts.writer.finished();
}

describe.skipIf(server.missing !== null)("a log in a ring", () => {
  test("goes round and round: whoever follows it, comes late, or opens it has the same contents", async () => {
    const { open } = await shortLog(16);
    const [writer, follower, late] = [await open(), await open(), await open()];
    await late.replica.catchUp();
    for (let round = 0; round < 10; round += 1) {
      await write(writer, round * 7, round * 7 + 7);
      await follower.replica.catchUp();
      expect(follower.replica.contents).toEqual(writer.replica.contents);
    }
    // Its next entry was written over four times since.
    await late.replica.catchUp();
    const opened = await open();
    await opened.replica.catchUp();
    for (const parts of [late, opened]) expect(parts.replica.contents).toEqual(writer.replica.contents);
    expect(recordsOf(opened)).toEqual(Array.from({ length: 70 }, (_, index) => `r${69 - index}`));
  });

  test("takes no entry of a writer who has not read the latest, however often it went round meanwhile", async () => {
    const { open } = await shortLog(16);
    const [frozen, other] = [await open(), await open()];
    await write(frozen, 0, 3);
    const before = frozen.replica.contents.revision;
    // One short of a round, a whole one, and more: at each length the writer's next slot has another entry.
    for (const length of [13, 16, 19]) {
      await write(other, 1_000 * length, 1_000 * length + length);
      const late = { n: before + 1, id: "late", at: 0, entry: noted("late") };
      expect(await frozen.replica.log?.append(late)).toBe(false);
    }
    // By the way of the store it reads what has come, and lands behind it.
    await write(frozen, 9_000, 9_001);
    await other.replica.catchUp();
    expect(recordsOf(other)[0]).toBe("r9000");
    expect(recordsOf(other)).not.toContain("late");
  });

  test("is written by many at once, each entry once, whoever takes the snapshots", async () => {
    const { open } = await shortLog(16);
    const writers = [await open(), await open(), await open()];
    await Promise.all(writers.map((writer, index) => write(writer, index * 100, index * 100 + 20)));
    for (const writer of writers) await writer.replica.catchUp();
    const [first, ...others] = writers as [StoreParts, ...StoreParts[]];
    for (const other of others) expect(other.replica.contents).toEqual(first.replica.contents);
    expect(new Set(recordsOf(first)).size).toBe(60);
    expect(recordsOf(first)).toHaveLength(60);
  });

  test("keeps the pieces of its latest snapshot, and no others", async () => {
    const { open } = await shortLog(16);
    const parts = await open();
    await write(parts, 0, 40);
    // As one leaves it who is killed while taking one.
    await parts.table.put("snapshot", "0000000000000001-killed-0-0", { bytes: Buffer.from("half") });
    await write(parts, 40, 60);
    const manifest = await new Snapshots(parts.table).manifest();
    const there = (await parts.table.queryAll("snapshot", "0", ALL)).map(({ key }) => key);
    expect(there.toSorted()).toEqual(manifest?.parts.flatMap(({ pieces }) => pieces).toSorted());
  });

  test("has snapshots of any size, and writes again only what has changed of the archive", async () => {
    const { open } = await shortLog(64);
    const parts = await open();
    const large = (index: number): string => `${index} ${randomText(4_000)}`;
    const steps = (from: number) =>
      Array.from({ length: 8 }, (_, index): Step => ({
        do: "archive",
        lock: "a",
        record: large(from + index),
        endedAt: 1,
        room: 9,
      }));
    for (let commit = 0; commit < 66; commit += 1) await parts.writer.commit(steps(commit * 8));
    await parts.writer.finished();
    const snapshots = new Snapshots(parts.table);
    const first = await snapshots.manifest();
    const written = await snapshots.write(parts.replica.contents, parts.replica.at, first as NonNullable<typeof first>);
    // The first 511 records are complete, and take many items.
    const again = await snapshots.write(parts.replica.contents, parts.replica.at, written as NonNullable<typeof written>);
    const full = (manifest: typeof written) => manifest?.parts.find(({ fingerprint }) => fingerprint.startsWith("archive-0-"));
    expect(full(again)?.pieces.length).toBeGreaterThan(3);
    expect(full(again)).toEqual(full(written));
    expect((await snapshots.read())?.contents).toEqual(parts.replica.contents);
  });
});

describe.skipIf(server.missing !== null)("a service that stumbles", () => {
  const isCommit = (action: string, body: string): boolean => action === "PutItem" && body.includes('"entry"');

  test.each([
    ["throttles", 400, "ProvisionedThroughputExceededException", false],
    ["fails", 500, "InternalServerError", false],
    ["fails, and has done what was asked", 500, "InternalServerError", true],
    ["is away, and has done what was asked", 503, "ServiceUnavailable", true],
  ])("and %s: the commit has happened once, and is known", async (_, status, type, takesEffect) => {
    const { open } = await shortLog(64);
    const peer = await startStumbling(target);
    const parts = await open(peer.address);
    await write(parts, 0, 1);
    for (let times = 0; times < 2; times += 1) peer.next({ at: isCommit, status, type, takesEffect });
    const done = await parts.writer.commit(noted("once"));
    expect(done).toMatchObject({ isDone: true, revision: 2, kept: [{ sequence: 2 }] });
    const other = await open();
    await other.replica.catchUp();
    expect(recordsOf(other)).toEqual(["once", "r0"]);
  });

  test("because this machine's clock is wrong: it is asked again at the time that it says", async () => {
    const { open } = await shortLog(64);
    const peer = await startStumbling(target);
    const parts = await open(peer.address);
    const message = "Signature expired: 20200101T000000Z is now earlier than 20261128T000000Z";
    peer.next({ at: () => true, status: 400, type: "InvalidSignatureException", message, takesEffect: false });
    await write(parts, 0, 1);
  });

  test.each([
    ["AccessDeniedException", "not-allowed", "DynamoDB does not allow this user GetItem on the table holdline-tests"],
    ["UnrecognizedClientException", "not-allowed", "DynamoDB does not take the credentials"],
    ["ValidationException", "configuration", "has other keys than Holdline's"],
  ])("for good, with %s, says what is wrong", async (type, code, words) => {
    const { open } = await shortLog(64);
    const peer = await startStumbling(target);
    const parts = await open(peer.address);
    const message = "The provided key element does not match the schema";
    peer.next({ at: (action) => action === "GetItem", status: 400, type, message, takesEffect: false });
    await expect(parts.replica.catchUp()).rejects.toMatchObject({ code, message: expect.stringContaining(words) as unknown });
  });
});

describe.skipIf(server.missing !== null)("what stands in a table", () => {
  test.each([
    ["another program's", { kind: "terraform" }, "something else than Holdline's"],
    ["a later Holdline's", { kind: "holdline", layout: 99 }, "layout 99, and this Holdline knows 1"],
  ])("is refused where it is %s", async (_, attributes, words) => {
    const place = freshPlace(target);
    const url = place.urlAt(`${target.host}:${target.port}`);
    const parts = await openParts(url, TEST_OPTIONS);
    onTestFinished(() => parts.client.close());
    await shortLog(64);
    await parts.table.put("state", "manifest", attributes);
    await expect(openDynamo(url, TEST_OPTIONS)).rejects.toThrow(words);
  });

  test("two roots of one table know nothing of each other", async () => {
    const [one, other] = [await (await shortLog(16)).open(), await (await shortLog(16)).open()];
    await write(one, 0, 20);
    await write(other, 100, 101);
    expect(recordsOf(other)).toEqual(["r100"]);
  });

  test("takes a commit up to its limit, and says clearly what is beyond", async () => {
    const { open } = await shortLog(16);
    const parts = await open();
    const { maxBytes } = new DynamoStore(parts).traits;
    const large = (bytes: number): readonly Step[] => [
      { do: "archive", lock: "ü".repeat(127), record: randomText(bytes), endedAt: null, room: 1_000 },
    ];
    expect(await parts.writer.commit(large(maxBytes))).toMatchObject({ isDone: true });
    await expect(parts.writer.commit(large(2 * maxBytes))).rejects.toMatchObject({ code: "usage" });
    expect(await parts.writer.commit(noted("goes on"))).toMatchObject({ isDone: true });
  });
});

describe.skipIf(server.missing !== null)("sessions", () => {
  test("that are renewed do not end, however closely they are watched; one whose item is marked is renewed no more", async () => {
    const { open } = await shortLog(64);
    const [owner, watcher] = [await open(), await open()];
    const id = await owner.sessions.open(1);
    await watcher.replica.catchUp();
    await watcher.sessions.tend([id]);
    const [seen] = [(await watcher.table.get("sessions", id))?.["counter"] as string];
    expect(await owner.sessions.renew({ id, epoch: 0 })).toBe(true);
    // It was seen for its whole timeout of a millisecond, but not with the counter that it has.
    expect(await watcher.sessions.mark(id, seen)).toBe(false);
    await watcher.sessions.tend([id]);
    expect(watcher.replica.contents.sessions.get(id)?.hasEnded).toBe(false);
    const counter = (await watcher.table.get("sessions", id))?.["counter"] as string;
    expect(await watcher.sessions.mark(id, counter)).toBe(true);
    // Nothing of it stands in the log yet: the mark alone decides.
    expect(await owner.sessions.renew({ id, epoch: 0 })).toBe(false);
    await watcher.sessions.tend([id]);
    expect(watcher.replica.contents.sessions.get(id)?.hasEnded).toBe(true);
  });

  test("leave no items behind when they are long over", async () => {
    const { open } = await shortLog(16);
    const parts = await open();
    const [over, lives, opening] = [await parts.sessions.open(60_000), await parts.sessions.open(60_000), freshId()];
    await parts.writer.commit([{ do: "end", session: over, isEnded: false }]);
    // One whose entry in the log is on its way, by a process that has read the log lately.
    await parts.table.put("sessions", opening, { counter: "c", since: 5_000 });
    parts.replica.contents.revision += 5_000;
    await parts.sessions.sweep();
    expect((await parts.table.queryAll("sessions", "0", ALL)).map(({ key }) => key).toSorted()).toEqual(
      [lives, opening].toSorted(),
    );
  });
});

/** Text that deflates to no less than three quarters. */
function randomText(length: number): string {
  return randomBytes(length).toString("base64").slice(0, length);
}
