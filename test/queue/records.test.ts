// What a write adds to a record so that it can be told from others: readers see nothing of it, and a record without it is read.
import { expect, test } from "vitest";
import { encodeRecord } from "../../src/locks/claim.js";
import { claimOf, decodeEnding, encodeEnding, encodeWrite } from "../../src/queue/records.js";
import type { StoredEntry } from "../../src/queue/store.js";
import { draftFor, recordFor, RELEASED } from "../coordinators/conformance/store.js";

const RECORD = recordFor(draftFor("a", { reason: "a new certificate", data: { ticket: "OPS-1" } }));

test("two writes of one record are told apart", () => {
  expect(encodeWrite(RECORD)).not.toBe(encodeWrite(RECORD));
});

test("a claim is read alike whether its record has a stamp, or none, as a claim that has only been settled", () => {
  const claim = claimOf(entryWith(encodeRecord(RECORD)));
  expect(claim).toMatchObject(RECORD);
  expect(claimOf(entryWith(encodeWrite(RECORD)))).toEqual(claim);
  expect(Object.keys(claim)).not.toContain("write");
});

test("so is a record of the history", () => {
  const archived = (record: string) => {
    const text = encodeEnding({ claim: "c1", since: 1_000, record }, RELEASED, false);
    return decodeEnding({ lock: "a", sequence: 1, endedAt: 2_000, record: text });
  };
  const ended = archived(encodeRecord(RECORD));
  expect(ended).toMatchObject({ claim: "c1", data: RECORD.data, description: RECORD.reason });
  expect(archived(encodeWrite(RECORD))).toEqual(ended);
});

test("a stamp stays within what a store allows for each lock", () => {
  const [bare, stamped] = [encodeRecord(RECORD), encodeWrite(RECORD)].map((text) => Buffer.byteLength(text)) as [number, number];
  // The number of a process's writes grows to 16 digits at most.
  expect(stamped - bare + 16).toBeLessThanOrEqual(100);
});

function entryWith(record: string): StoredEntry {
  const place = { ref: "1", claim: "c1", key: null, slots: 1, durable: true, session: "s1", isSessionAlive: true, revision: 2 };
  return { ...place, lock: "a", token: 2, since: 1_000, record };
}
