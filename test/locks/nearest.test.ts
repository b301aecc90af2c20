import { expect, test } from "vitest";
import { nearestTo, suggestion } from "../../src/locks/nearest.js";

test.each([
  ["zookeper", ["zookeeper", "sqlite"], "zookeeper"],
  ["restart-ngnix", ["restart-nginx", "restart-apache"], "restart-nginx"],
  ["sleepTime", ["sleep_time", "timeout"], "sleep_time"],
  ["rn", ["run", "resume"], "run"],
  ["xyzzy", ["run", "resume"], null],
  ["", ["run"], null],
  ["run", [], null],
  ["x".repeat(100_000), ["run", "x"], null],
])("nearest to %.20s", (word, candidates, nearest) => expect(nearestTo(word, candidates)).toBe(nearest));

test("what there is, where nothing is near", () => {
  expect(suggestion("x", ["run", "resume"])).toBe("there is run, resume");
  expect(suggestion("x", [])).toBe("there is none");
  expect(
    suggestion(
      "zzzzzzzz",
      Array.from({ length: 40 }, (_, index) => `action-${index}`),
    ),
  ).toMatch(/action-14 and 25 more$/);
});
