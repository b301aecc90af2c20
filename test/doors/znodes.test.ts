// Znodes that anyone may have made below Holdline's root, with any names and any bytes: a claim is a claim whatever is
// written in it, an exclusive and foreign one where it cannot be read, and never taken as free.
import { isDeclaredAction } from "../../src/locks/exec-actions.js";
import { ALL_GONE } from "../support/perspectives.js";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, inject, test } from "vitest";
import { lockAsJson } from "../../src/views/json.js";
import { type LockView, viewLock } from "../../src/views/lock.js";
import { renderLocks } from "../../src/cli/listing.js";
import type { View } from "../../src/cli/table.js";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import {
  claimPrefix,
  createLayout,
  FOREIGN_READERS,
  hashKey,
  orderClaims,
  orderRecords,
  parseClaimName,
  segmentsAmong,
} from "../../src/coordinators/zookeeper/layout.js";
import type { Stat } from "../../src/coordinators/zookeeper/wire/protocol.js";
import { decodeClaim, encodeFirst } from "../../src/coordinators/zookeeper/records.js";
import { claimOf } from "../../src/coordinators/zookeeper/reads.js";
import { isSlots } from "../../src/locks/claim.js";
import { lockNameProblem } from "../../src/locks/names.js";
import { isHeld } from "../../src/locks/rule.js";
import { draftFor, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { freshRoot } from "../support/roots.js";
import { bottomless, CASES, mangled, misshapen, nastyText, nastyValue } from "./junk.js";
import { recordText, someRecord } from "./records.js";
import { expectShare, expectClear, failOnPollution, open } from "./verdict.js";

failOnLeaks();
failOnPollution();

// As it is shown on something that is no terminal.
const VIEW: View = { paint: (_, text) => text, columns: Number.POSITIVE_INFINITY, isExact: false, perspective: ALL_GONE };

const ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const sequence = fc
  .integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  .map((number) => `${number < 0 ? "-" : ""}${String(Math.abs(number)).padStart(10, "0")}`);
const tags = fc.tuple(
  fc.option(fc.constantFrom("rack-12", "", "__proto__"), { nil: null }),
  fc.constantFrom(1, 2, 9_999_999_999, Number.POSITIVE_INFINITY),
  fc.boolean(),
);
const ours = fc
  .tuple(tags, sequence)
  .map(([[key, slots, settles], number]) => claimPrefix({ id: ID, key, slots, settles }) + number);
const foreign = fc
  .tuple(
    fc.constantFrom(`_c_${ID}-lock-`, "lock-", `${ID}__lock__`, `${ID}__rlock__`, `_c_${ID}-__READ__`, `_c_${ID}-__WRIT__`),
    sequence,
  )
  .map((parts) => parts.join(""));
const names = fc.oneof(ours, foreign, mangled(fc.oneof(ours, foreign), 1), nastyText);

const contents = fc.oneof(
  { weight: 3, arbitrary: misshapen(recordText) },
  { weight: 3, arbitrary: mangled(recordText) },
  nastyText,
  nastyValue.map((value) => JSON.stringify({ v: 1, fencingToken: value })),
  // As the connection gives bytes that are no text.
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString()),
);

test("whatever stands among a lock's children is a claim or none, and claims have an order", () => {
  fc.assert(
    fc.property(fc.array(names, { maxLength: 8 }), (children) => {
      const read = open(() => [orderClaims(children), segmentsAmong(children)] as const, []);
      const [claims, segments] = "value" in read ? read.value : [[], []];
      const others = children.filter((child) => child.startsWith("_") && parseClaimName(child) === null);
      expect(claims.length + segments.length + others.length).toBe(children.length);
      for (const { slots, sequence: number, id } of claims) {
        expect(isSlots(slots) && Number.isSafeInteger(number)).toBe(true);
        expect(id === null || /^[0-9a-f-]{36}$/.test(id)).toBe(true);
      }
      expect(orderClaims([...claims].reverse().map(({ ref }) => ref)).length).toBe(claims.length);
    }),
    { numRuns: CASES },
  );
});

test("whatever stands in the history's folder is a record of a lock or none, and records have an order", () => {
  const layout = createLayout("/holdline");
  const records = fc
    .tuple(fc.oneof(fc.constantFrom("restart/nginx", "a=b", "_h_", "%", "ü"), fc.string({ minLength: 1, maxLength: 9 })), sequence)
    .filter(([lock]) => lockNameProblem(lock) === null);
  fc.assert(
    fc.property(fc.array(records, { maxLength: 8 }), fc.array(names, { maxLength: 8 }), (written, strange) => {
      const own = written.map(([lock, number]) => `${layout.recordsOf(lock)}${number}`.slice(layout.history.length + 1));
      const read = open(() => orderRecords([...own, ...strange]), []);
      const found = "value" in read ? read.value : [];
      for (const { name, lock, sequence: number } of found) {
        expect(lockNameProblem(lock)).toBeNull();
        expect(`${layout.recordsOf(lock)}${number < 0 ? "-" : ""}${String(Math.abs(number)).padStart(10, "0")}`).toBe(
          `${layout.history}/${name}`,
        );
      }
      expect(found.map(({ lock }) => lock).sort()).toEqual(expect.arrayContaining(written.map(([lock]) => lock)));
    }),
    { numRuns: CASES },
  );
});

test("a claim is one whatever is written in it; its name says what the rule goes by; it can be shown", () => {
  const stat: Stat = {
    czxid: 5,
    mzxid: 7,
    ctime: 1_000,
    mtime: 1_000,
    version: 0,
    changes: 0,
    ephemeralOwner: null,
  };
  const claimNames = fc.oneof({ weight: 3, arbitrary: ours }, foreign);
  let readable = 0;
  const shown: LockView[] = [];
  fc.assert(
    fc.property(claimNames, contents, fc.boolean(), (ref, data, isDurable) => {
      const name = parseClaimName(ref);
      if (name === null) throw new Error("the generator makes names of claims");
      const read = open(() => claimOf("a", name, data, { ...stat, ephemeralOwner: isDurable ? null : "1f" }, new Set()), []);
      if (!("value" in read)) throw read.error;
      const claim = read.value;
      expect([claim.ref, claim.slots]).toEqual([ref, name.slots]);
      expect(claim.key === null).toBe(name.key === null);
      if (claim.key !== null && claim.key !== FOREIGN_READERS && !claim.key.startsWith("unreadable key "))
        expect(hashKey(claim.key)).toBe(name.key);
      expect(claim.fencingToken === null || Number.isSafeInteger(claim.fencingToken)).toBe(true);
      if (name.id === null || decodeClaim(data) === null) {
        expect(claim.owner).toMatchObject({ principal: "foreign client", action: null, process: null });
        expect(claim.data).toBeNull();
      } else readable += 1;
      expect(isHeld([claim], 0)).toBe(true);
      const state = viewLock("a", [claim], ALL_GONE);
      // What has not been settled may still wait, for another of a lease's locks or for a thaw, though nobody is before it here.
      const settles = claim.lease !== null || isDeclaredAction(claim.owner.action);
      const standing = claim.durable || !settles ? "holders" : "waiting";
      expect(JSON.parse(JSON.stringify(lockAsJson(state)))).toHaveProperty(`${standing}.0.id`);
      shown.push(state);
    }),
    { numRuns: CASES },
  );
  expectShare(readable, 1 / 20, "claims that are read");
  const seen = shown.slice(-1_000).map((state) => ({ ...state, now: 2_000 }));
  for (const line of renderLocks(seen, VIEW)) expect(line).not.toMatch(/[\p{Cc}\u202e]/u);
});

test("the garbage in a real lock is listed, an exclusive foreign claim each, and stands in the way", async () => {
  const root = freshRoot();
  const server = inject("zookeeper");
  const client = await openPlainClient(server);
  const coordinator = await openZooKeeper(`zookeeper://${server.host}:${server.port}${root}`, TEST_OPTIONS);
  try {
    const whole = encodeFirst({ ...someRecord, data: "HERE" }).toString();
    const garbage: (string | Buffer)[] = [
      ...[
        "",
        "\0",
        "null",
        "[]",
        "{",
        '"x"',
        "1e999",
        '{"v":1}',
        '{"v":2}',
        '{"__proto__":{"polluted":1},"v":1}',
        "x".repeat(100_000),
      ],
      ...[
        bottomless(whole),
        whole.slice(0, -1),
        whole.replace('"v":1', '"v":"1"'),
        whole.replace('"owner":{', '"owner":[{'),
        `\ufeff${whole}`,
      ],
      ...[
        Buffer.alloc(100, 0xff),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from(fc.sample(fc.uint8Array({ minLength: 50, maxLength: 50 }), 1)[0] as Uint8Array),
      ],
    ];
    const refs: string[] = [];
    for (const [index, content] of garbage.entries()) {
      const prefix =
        index % 2 === 0 ? claimPrefix({ id: randomUUID(), key: null, slots: 1, settles: true }) : `_c_${randomUUID()}-lock-`;
      const path = await client.create(
        `${root}/locks/a/${prefix}`,
        "",
        index % 3 === 0 ? "ephemeral-sequential" : "persistent-sequential",
      );
      await client.write(path, content);
      refs.push(path.slice(path.lastIndexOf("/") + 1));
    }
    const draft = draftFor("a");
    const { positions: standings } = await coordinator.join(draft);
    expect(standings[0]?.ahead.map(({ ref }) => ref)).toEqual(refs);
    const queue = await coordinator.queue("a");
    expect(queue.map(({ ref }) => ref)).toEqual([...refs, standings[0]?.ref]);
    for (const claim of queue.slice(0, -1))
      expect(claim).toMatchObject({ key: null, slots: 1, owner: { principal: "foreign client", process: null }, data: null });
    expect(queue.map((_, position) => isHeld(queue, position)).indexOf(false)).toBe(1);
    expect(await coordinator.list()).toEqual(["a"]);
    for (const line of renderLocks([{ ...viewLock("a", queue, ALL_GONE), now: (await coordinator.sync()).ms }], VIEW))
      if (line !== "") expectClear(line);
    // An admin can end what is durable, whatever it says, and the history tells of it.
    for (const claim of queue.filter(({ durable }) => durable))
      expect(await coordinator.leave(claim.id, [claim], { event: "cleared", by: "admin", reason: "garbage" })).toBe("done");
    expect((await coordinator.history("a", 100)).length).toBe(refs.filter((_, index) => index % 3 !== 0).length);
  } finally {
    await coordinator.close();
    await client.close();
  }
});
