// Reading queues while entries leave or the connection breaks, and showing foreign contenders. A fake wire answers.
import { describe, expect, test } from "vitest";
import { claimPrefix, createLayout } from "../../../src/coordinators/zookeeper/layout.js";
import { WireError, ZK } from "../../../src/coordinators/zookeeper/wire/protocol.js";
import { foreignRecord, fetchQueue } from "../../../src/coordinators/zookeeper/reads.js";
import type { Wire } from "../../../src/coordinators/zookeeper/wire/wire.js";
import { freshId } from "../../support/roots.js";

/** A lock with these entries. Those in `leaving` leave after they have been listed. */
function wireWith(entries: readonly string[], leaving: readonly string[]): { readonly wire: Wire; readonly asked: string[] } {
  const asked: string[] = [];
  const stat = { czxid: 1, mzxid: 1, ctime: 0, mtime: 0, version: 0, ephemeralOwner: null };
  const wire = {
    getChildren: (path: string) => Promise.resolve(path.endsWith("/alive") ? [] : entries),
    exists: () => Promise.resolve(null),
    getData: (path: string) => {
      const ref = path.slice(path.lastIndexOf("/") + 1);
      asked.push(ref);
      return Promise.resolve(leaving.includes(ref) ? null : { data: "", stat });
    },
  };
  return { wire: wire as unknown as Wire, asked };
}

test("as many claims as asked for are read from the front, although some leave during the read", async () => {
  const entries = Array.from(
    { length: 20 },
    (_, index) =>
      `${claimPrefix({ id: freshId(), key: "smoke", slots: Number.POSITIVE_INFINITY, settles: true })}${String(index).padStart(10, "0")}`,
  );
  const first = async (count: number, leaving: readonly number[]) => {
    const { wire, asked } = wireWith(
      entries,
      leaving.map((index) => entries[index] as string),
    );
    const claims = await fetchQueue(wire, createLayout("/holdline"), "db", count);
    expect(asked.length).toBeLessThanOrEqual(count + leaving.length);
    return claims.map(({ ref }) => entries.indexOf(ref));
  };
  expect(await first(4, [])).toEqual([0, 1, 2, 3]);
  expect(await first(4, [0, 2])).toEqual([1, 3, 4, 5]);
  expect(await first(4, [0, 4, 5])).toEqual([1, 2, 3, 6]);
  expect(await first(19, [0, 1])).toHaveLength(18);
  expect(await first(Number.POSITIVE_INFINITY, [7])).toHaveLength(19);
});

test("a connection that is lost during a read fails the read, and leaves no unhandled rejection", async () => {
  const entries = [`${claimPrefix({ id: freshId(), key: null, slots: 1, settles: true })}0000000001`];
  const lost = (): Promise<never> => Promise.reject(new WireError(ZK.connectionLoss));
  const wire = { ...wireWith(entries, []).wire, exists: lost, getData: lost } as unknown as Wire;
  await expect(fetchQueue(wire, createLayout("/holdline"), "db", 2)).rejects.toThrow(WireError);
});

describe("the name of another program's contender", () => {
  test.each([
    "10.0.0.7",
    "web-07.example.com",
    "deploy of web 07 (ann@admin-01)",
    "!~",
    "Zürich",
    "主机-1",
    "x".repeat(255),
    "ü".repeat(255),
  ])("is shown when it is an address or a name: %s", (data) => expect(foreignRecord(data).owner.node).toBe(data));

  test.each(["", "x".repeat(256), "ü".repeat(256), "a\nb", "a\tb", "\u007f", "\u001b[2J", "ü\u001b[2J", "ü\u202eb", "{}\u0000"])(
    "is not shown when it could be anything: %j",
    (data) => expect(foreignRecord(data).owner.node).toBe("unknown"),
  );
});
