// The names of claims in ZooKeeper, Holdline's and those of foreign recipes, and their order. Names of locks are tested in test/doors/.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { claimPrefix, notBehind, orderClaims, parseClaimName } from "../../../src/coordinators/zookeeper/layout.js";

describe("a claim's znode name", () => {
  test("has the id, the slots and the hash of the key", () => {
    const id = randomUUID();
    const claim = { id, key: null, slots: 1, settles: true };
    const plain = parseClaimName(`${claimPrefix(claim)}0000000007`);
    expect(plain).toMatchObject({ id, key: null, slots: 1, settles: true, sequence: 7 });
    const keyed = parseClaimName(`${claimPrefix({ ...claim, key: "rack 12", slots: Number.POSITIVE_INFINITY })}0000000007`);
    const same = parseClaimName(`${claimPrefix({ ...claim, id: randomUUID(), key: "rack 12", slots: 3 })}0000000009`);
    const other = parseClaimName(`${claimPrefix({ ...claim, key: "rack 13", slots: 3 })}0000000009`);
    expect(keyed).toMatchObject({ id, slots: Number.POSITIVE_INFINITY });
    expect(keyed?.key).toBe(same?.key);
    expect(keyed?.key).not.toBe(other?.key);
    expect(same?.slots).toBe(3);
  });

  test("says whether the claim stays ephemeral, so that its deletion alone means that it has left", () => {
    const claim = { id: randomUUID(), key: "rack 12", slots: 3, settles: false };
    const named = [claim, { ...claim, key: null, slots: Number.POSITIVE_INFINITY }];
    for (const { id, slots, ...one } of named)
      expect(parseClaimName(`${claimPrefix({ id, slots, ...one })}0000000007`)).toMatchObject({ id, slots, settles: false });
  });

  test("of a foreign recipe means an exclusive claim, except that Curator's readers share", () => {
    const uuid = randomUUID();
    for (const name of [
      `_c_${uuid}-lock-0000000001`,
      "lock-0000000001",
      `${uuid.replaceAll("-", "")}__lock__0000000001`,
      `_c_${uuid}-__WRIT__0000000001`,
    ]) {
      expect(parseClaimName(name), name).toMatchObject({ id: null, key: null, slots: 1, settles: false, sequence: 1 });
    }
    const readers = [`_c_${uuid}-__READ__0000000001`, `${randomUUID()}__rlock__0000000002`].map(parseClaimName);
    expect(readers[0]?.slots).toBe(Number.POSITIVE_INFINITY);
    expect(readers[0]?.key).toBe(readers[1]?.key);
    for (const name of ["nginx", "lock-1", "_h_0000000001", "lease-0000000001x", ""]) expect(parseClaimName(name), name).toBeNull();
  });

  test("sorts by its number, not by its text, even where the numbers wrap", () => {
    const claim = (sequence: string): string => `_c_${randomUUID()}-${sequence.endsWith("7") ? "1" : "e1"}-lock-${sequence}`;
    const queue = [claim("2147483646"), claim("2147483647"), claim("-2147483648"), claim("-2147483647")];
    expect(orderClaims([...queue].reverse()).map(({ ref }) => ref)).toEqual(queue);
    const mixed = ["zzz__lock__0000000009", claim("0000000010"), "aaa__lock__0000000011"];
    expect(orderClaims([...mixed].reverse()).map(({ ref }) => ref)).toEqual(mixed);
  });

  test("shows by its bytes whether it is behind another, just as the sorted list does", () => {
    const uuid = randomUUID();
    const beginnings = [`_c_${uuid}-1-lock-`, `_c_${uuid}-e1-lock-`, "lock-", `${uuid}__lock__`, "__READ__", `äö${uuid}__rlock__`];
    for (const around of [0, 12, 2 ** 31 - 1, -(2 ** 31)]) {
      const names = beginnings.flatMap((beginning) =>
        [-2, -1, 0, 1, 2].map((step) => {
          const sequence = (around + step) | 0;
          return `${beginning}${sequence < 0 ? "-" : ""}${String(Math.abs(sequence)).padStart(10, "0")}`;
        }),
      );
      for (const own of names) {
        const isWanted = notBehind(own);
        const number = parseClaimName(own)?.sequence ?? Number.NaN;
        for (const name of names) {
          const bytes = Buffer.from(`x-${name}`);
          const isBehind = (((parseClaimName(name)?.sequence ?? Number.NaN) - number) | 0) > 0;
          expect(isWanted(bytes, 2, bytes.length), `${name} for ${own}`).toBe(!isBehind);
        }
      }
    }
    for (const name of ["", "nginx", "_h_000000001x", "123456789"]) {
      const bytes = Buffer.from(name);
      expect(notBehind("lock-0000000001")(bytes, 0, bytes.length), name).toBe(false);
    }
  });
});
