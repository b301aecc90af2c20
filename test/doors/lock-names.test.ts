// Names of locks, from configurations, command lines, the library and other people's znodes: what is accepted stays
// within its store's root, apart from all other names, and comes back as it was.
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openSqlite } from "../../src/stores/sqlite/index.js";
import { sqliteUrl } from "../../src/coordinators/urls.js";
import { createLayout, decodeName, encodeName, segmentsAmong } from "../../src/coordinators/zookeeper/layout.js";
import { LONGEST_NAME_BYTES, lockNameProblem, parseLockName } from "../../src/locks/names.js";
import { draftFor, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { freshDirectory } from "../support/roots.js";
import { CASES, mangled, nastyText, nastyValue } from "./junk.js";
import { failOnPollution, open } from "./verdict.js";

failOnPollution();

const right = fc.constantFrom(
  "restart/nginx",
  "a",
  "ä/ö ü",
  "x".repeat(255),
  "%2F",
  "..a",
  "_h_0000000001",
  "a/lock-0000000001",
  "😀",
);
const texts = fc.oneof(
  { weight: 3, arbitrary: mangled(right, 2) },
  nastyText,
  fc.array(nastyText, { maxLength: 3 }).map((parts) => parts.join("/")),
);
const names = texts.filter((name) => lockNameProblem(name) === null);

test("anything is a name, or is refused in clear words", () => {
  fc.assert(
    fc.property(fc.oneof({ weight: 3, arbitrary: texts }, nastyValue, fc.anything({ withNullPrototype: true })), (value) => {
      const read = open(() => parseLockName(value), ["usage"]);
      if (!("value" in read)) return;
      expect(read.value).toBe(value);
      expect(Buffer.byteLength(read.value)).toBeLessThanOrEqual(LONGEST_NAME_BYTES);
    }),
    { numRuns: CASES },
  );
  const impossible = { toString: () => "x".repeat(10), valueOf: 1, [Symbol.toPrimitive]: 1 };
  for (const value of [impossible, Object.create(null), Symbol("x"), () => 1, 1n]) open(() => parseLockName(value), ["usage"]);
});

test("as a path of znodes a name stays below its root, takes no other's place, and comes back", () => {
  const layout = createLayout("/holdline");
  const { locks, history, alive, clock } = layout;
  fc.assert(
    fc.property(names, (name) => {
      const path = encodeName(name);
      const segments = path.split("/");
      expect(path).toMatch(/^[\x21-\x7e]+$/);
      expect(segments.every((segment) => segment !== "" && segment !== "." && segment !== "..")).toBe(true);
      // Not taken for a claim or a record, nor for anything else that stands beside it.
      expect(segmentsAmong(segments)).toEqual(segments);
      expect(layout.lock(name).startsWith(`${locks}/`) && layout.recordsOf(name).startsWith(`${history}/`)).toBe(true);
      expect([locks, history, alive, clock]).not.toContain(layout.lock(name));
      expect(decodeName(path)).toBe(name);
    }),
    { numRuns: CASES },
  );
});

test("a path that others have made is the name that leads back to it, or none", () => {
  const paths = fc.oneof(
    texts,
    mangled(names.map(encodeName), 2),
    names.map((name) => encodeName(name).replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)),
  );
  fc.assert(
    fc.property(paths, (path) => {
      const read = open(() => decodeName(path), []);
      if (!("value" in read) || read.value === null) return;
      expect(lockNameProblem(read.value)).toBeNull();
      expect(encodeName(read.value)).toBe(path);
    }),
    { numRuns: CASES },
  );
});

// Generated input has found these once: another spelling would be a second lock of the same name.
test.each(["%61", "%2f", "a%00b", "a//b", "/a", "a/", "..", "%2E%2E", "%C3%28", "\ud800"])(
  "the path %j, which no name is encoded as, is no name",
  (path) => {
    expect(open(() => decodeName(path), [])).toEqual({ value: null });
  },
);

test("in a database names stay apart and come back", async () => {
  const directory = await freshDirectory();
  const coordinator = await openSqlite(sqliteUrl(join(directory, "holdline.db")), TEST_OPTIONS);
  try {
    const chosen = [...new Set(fc.sample(names, 300))];
    for (const name of chosen) await coordinator.join(draftFor(name));
    expect(await coordinator.list()).toEqual([...chosen].sort());
    for (const name of chosen) expect((await coordinator.queue(name)).map(({ lock }) => lock)).toEqual([name]);
  } finally {
    await coordinator.close();
  }
});
