// The layout in ZooKeeper: names that stay apart and come back, claims of ours and of foreign recipes in their order.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  claimPrefix,
  decodeName,
  encodeName,
  orderClaims,
  orderRecords,
  parseClaimName,
  segmentsAmong,
} from "../../../src/coordinators/zookeeper/layout.js";
import { lockNameProblem } from "../../../src/locks/names.js";

const names = fc
  .oneof(
    fc.string({ unit: "grapheme" }),
    fc.string(),
    fc.constantFrom("lock-0000000001", "_c_x-lock-0000000001", "_h_0000000001", "a/b", "%41", "x__lock__0000000001"),
  )
  .filter((name) => lockNameProblem(name) === null);

describe("a lock's name as a path", () => {
  test("comes back as it was, and never leaves the root", () => {
    fc.assert(
      fc.property(names, (name) => {
        const path = encodeName(name);
        expect(decodeName(path)).toBe(name);
        expect(path.split("/").every((segment) => segment !== "" && segment !== "." && segment !== "..")).toBe(true);
        expect(path).toMatch(/^[\x21-\x7e]+$/);
      }),
      { numRuns: 10_000 },
    );
  });

  test("no part of it looks like a claim or a record that stands beside it", () => {
    fc.assert(
      fc.property(names, (name) => {
        const segments = encodeName(name).split("/");
        expect(segmentsAmong(segments)).toEqual(segments);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("a claim's node name", () => {
  test("tells id, slots and key, of which the key is hashed", () => {
    const id = randomUUID();
    const plain = parseClaimName(`${claimPrefix(id, null, 1)}0000000007`);
    expect(plain).toMatchObject({ id, key: null, slots: 1, sequence: 7 });
    const keyed = parseClaimName(`${claimPrefix(id, "rack 12", Number.POSITIVE_INFINITY)}0000000007`);
    const same = parseClaimName(`${claimPrefix(randomUUID(), "rack 12", 3)}0000000009`);
    const other = parseClaimName(`${claimPrefix(id, "rack 13", 3)}0000000009`);
    expect(keyed).toMatchObject({ id, slots: Number.POSITIVE_INFINITY });
    expect(keyed?.key).toBe(same?.key);
    expect(keyed?.key).not.toBe(other?.key);
    expect(same?.slots).toBe(3);
  });

  test("of foreign recipes is an exclusive claim; Curator's readers share", () => {
    const uuid = randomUUID();
    for (const name of [
      `_c_${uuid}-lock-0000000001`,
      "lock-0000000001",
      `${uuid.replaceAll("-", "")}__lock__0000000001`,
      `_c_${uuid}-__WRIT__0000000001`,
    ]) {
      expect(parseClaimName(name), name).toMatchObject({ id: null, key: null, slots: 1, sequence: 1 });
    }
    const readers = [`_c_${uuid}-__READ__0000000001`, `${randomUUID()}__rlock__0000000002`].map(parseClaimName);
    expect(readers[0]?.slots).toBe(Number.POSITIVE_INFINITY);
    expect(readers[0]?.key).toBe(readers[1]?.key);
    for (const name of ["nginx", "lock-1", "_h_0000000001", "lease-0000000001x", ""]) expect(parseClaimName(name), name).toBeNull();
  });

  test("stands in the order of its number, not of its text, also where the numbers wrap", () => {
    const claim = (sequence: string): string => `_c_${randomUUID()}-1-lock-${sequence}`;
    const queue = [claim("2147483646"), claim("2147483647"), claim("-2147483648"), claim("-2147483647")];
    expect(orderClaims([...queue].reverse()).map(({ ref }) => ref)).toEqual(queue);
    const mixed = ["zzz__lock__0000000009", claim("0000000010"), "aaa__lock__0000000011"];
    expect(orderClaims([...mixed].reverse()).map(({ ref }) => ref)).toEqual(mixed);
  });

  test("whatever stands among the children, is a claim or none", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (children) => {
        expect(orderClaims(children).length + segmentsAmong(children).length + orderRecords(children).length).toBe(children.length);
      }),
      { numRuns: 10_000 },
    );
  });
});
