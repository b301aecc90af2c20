// How many nodes a group has, how long a count is believed, and what a percentage of it is.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  countMembers,
  decodeMembership,
  documentOfMembership,
  encodeMembership,
  isBelieved,
  slotsOf,
} from "../../src/fleet/membership.js";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 28);

test("a percentage is rounded down, and at least 1", () => {
  expect([10, 10, 10, 29, 100, 1].map((percent, index) => slotsOf(percent, [20, 29, 1, 100, 7, 10_000][index] as number))).toEqual([
    2, 2, 1, 29, 7, 100,
  ]);
});

test("a percentage never exceeds the group, and never falls as the group or the percentage grows", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20_000 }), (percent, count) => {
      const slots = slotsOf(percent, count);
      expect(slots).toBeLessThanOrEqual(count);
      expect(slots).toBeLessThanOrEqual(Math.max(1, (percent * count) / 100));
      expect(slotsOf(percent, count + 1)).toBeGreaterThanOrEqual(slots);
      expect(slotsOf(Math.min(100, percent + 1), count)).toBeGreaterThanOrEqual(slots);
    }),
  );
});

test("only the group's own nodes count that have been seen lately, and whoever counts", () => {
  const nodes = [
    { node: "web-01", group: "web", seenAt: NOW - DAY_MS },
    { node: "web-02", group: "web", seenAt: NOW - 7 * DAY_MS },
    { node: "web-03", group: "web", seenAt: NOW - 7 * DAY_MS - 1 },
    { node: "web-99", group: "web", seenAt: NOW + 8 * DAY_MS },
    { node: "db-01", group: "db", seenAt: NOW },
  ];
  const counting = { group: "web", membershipMs: 7 * DAY_MS, now: NOW };
  expect(countMembers(nodes, { ...counting, self: "web-04" })).toBe(3);
  expect(countMembers(nodes, { ...counting, self: "web-01" })).toBe(2);
  // Not seen for long, or in another group until now: it is here now.
  expect(countMembers(nodes, { ...counting, self: "web-03" })).toBe(3);
  expect(countMembers(nodes, { ...counting, self: "db-01" })).toBe(3);
  expect(countMembers([], { ...counting, self: "web-01" })).toBe(1);
});

test("a count is believed longer the more there was to count, and never when it is from the future", () => {
  const believedFor = (count: number, ageMs: number) => isBelieved({ group: "web", count, countedAt: NOW - ageMs }, NOW);
  expect([believedFor(1, 999), believedFor(1, 1_000)]).toEqual([true, false]);
  expect([believedFor(10_000, 599_999), believedFor(10_000, 600_000)]).toEqual([true, false]);
  expect(believedFor(10_000, -1)).toBe(false);
  expect([believedFor(Number.MAX_SAFE_INTEGER, 3_599_999), believedFor(Number.MAX_SAFE_INTEGER, 3_600_000)]).toEqual([true, false]);
});

test("a count is read back as it was written; anything else is none", () => {
  const membership = { group: "web", count: 20, countedAt: NOW };
  expect(decodeMembership(encodeMembership(membership), "web")).toEqual(membership);
  expect(decodeMembership(encodeMembership(membership), "db")).toBeNull();
  for (const broken of [
    "",
    "{}",
    "[]",
    encodeMembership({ ...membership, count: 0 }),
    encodeMembership({ ...membership, count: 1.5 }),
  ])
    expect(decodeMembership(broken, "web")).toBeNull();
});

test("a group whose name is too long for a document has none", () => {
  expect(documentOfMembership("web")).toBe("membership/web");
  expect(documentOfMembership("w".repeat(244))).toHaveLength(255);
  expect(documentOfMembership("w".repeat(245))).toBeNull();
});
