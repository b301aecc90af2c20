// What somebody may have written by hand where a claim or a record of the history should be, and the writing of it.
import { randomBytes } from "node:crypto";
import Database from "libsql";
import { inject } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { openPlainClient } from "../support/plain-client.js";
import type { Fleet } from "./fleet.js";

/** Pieces of it, each with what it is. */
export type Garbage = readonly (readonly [what: string, bytes: string | Buffer])[];

// A server takes no more than 1 MiB in one request.
const MUCH = 1_000_000;
// Deeper than any call stack.
const DEEP = "[".repeat(200_000) + "]".repeat(200_000);
const OWNER = { node: "web-01", principal: "ops@web-01", action: "restart", process: null };
const FAILURE = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: 0 };
const RECORD = { v: 1, owner: OWNER, key: null, slots: 1, made: null, expiresAt: null, reason: null, data: null, failure: FAILURE };

/** The same record with other words in the place of one. */
const recordWith = (words: object): string => JSON.stringify({ ...RECORD, ...words });
const rawWith = (name: keyof typeof RECORD, json: string): string =>
  JSON.stringify({ ...RECORD, [name]: "HERE" }).replace('"HERE"', () => json);

/** Texts that are no record of a claim at all. */
export const UNREADABLE: Garbage = [
  ["nothing", ""],
  ["random bytes", randomBytes(512)],
  ["zero bytes", Buffer.alloc(64)],
  ["a megabyte of text", "x".repeat(MUCH)],
  ["half a record", recordWith({}).slice(0, 100)],
  ["JSON's null", "null"],
  ["a list", "[1, 2, 3]"],
  ["an empty object", "{}"],
  ["a record of a later version", recordWith({ v: 2 })],
  ["a record whose owner is a list", recordWith({ owner: [] })],
  ["a record whose owner is only inherited", rawWith("owner", `{"__proto__": ${JSON.stringify(OWNER)}}`)],
  ["slots that are none", recordWith({ slots: -1 })],
  ["a failure that is a word", recordWith({ failure: "yes" })],
  ["lists in lists without end", DEEP],
  ["data in data without end", rawWith("data", DEEP)],
];

/** What reads as a record, with things in it that nobody writes. */
export const STRANGE: Garbage = [
  ["keys of prototypes", rawWith("data", '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}')],
  ["a megabyte of data", recordWith({ data: "x".repeat(MUCH - 1_000) })],
  ["times that no calendar has", recordWith({ failure: { ...FAILURE, at: 1e308 } })],
  [
    "a terminal's control characters",
    recordWith({ failure: { ...FAILURE, message: "\u001b[2J\u0007", output: "\u001b]0;x\u0007" } }),
  ],
];

/** Writes over a claim, as somebody with the store's own client could. */
export async function overwrite(fleet: Fleet, { lock, ref, revision }: Claim, bytes: string | Buffer): Promise<void> {
  if (fleet.kind === "zookeeper") {
    const zookeeper = await openPlainClient(inject("zookeeper"));
    await zookeeper.write(`${new URL(fleet.url).pathname}/locks/${lock}/${ref}`, bytes);
    await zookeeper.close();
  } else {
    const database = new Database(fleet.url.replace("sqlite://", ""), { timeout: 5_000 });
    const statement = "UPDATE claims SET record = CAST(? AS TEXT), revision = ? WHERE lock = ? AND position = ?";
    database.prepare(statement).run(Buffer.from(bytes as string), revision + 1, lock, Number(ref));
    database.close();
  }
}

/** Writes over the oldest record of a lock's history; what reads as a claim's record is put where one belongs. */
export async function overwriteHistory(fleet: Fleet, lock: string, bytes: string | Buffer): Promise<void> {
  const isRecord = typeof bytes === "string" && bytes.startsWith('{"v":1') && bytes.endsWith("}");
  const ended = (record: string): string =>
    `{"claim":"x","event":"cleared","by":"x","reason":null,"claimedAt":1e308,"endedAt":1e308,"record":${record}}`;
  if (fleet.kind === "zookeeper") {
    const zookeeper = await openPlainClient(inject("zookeeper"));
    const place = `${new URL(fleet.url).pathname}/history`;
    const oldest = (await zookeeper.children(place)).find((name) => name.startsWith(`_h_${lock}=`)) as string;
    await zookeeper.write(`${place}/${oldest}`, isRecord ? ended(bytes) : bytes);
    await zookeeper.close();
  } else {
    const database = new Database(fleet.url.replace("sqlite://", ""), { timeout: 5_000 });
    const oldest = "(SELECT min(sequence) FROM history WHERE lock = ?)";
    database
      .prepare(`UPDATE history SET record = CAST(? AS TEXT) WHERE sequence = ${oldest}`)
      .run(Buffer.from(isRecord ? ended(JSON.stringify(bytes)) : (bytes as string)), lock);
    database.close();
  }
}
