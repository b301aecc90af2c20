// What the test files need is found in their sources: `npm run test:unit` stays quick, and `npm test -- PATH` sets up no more
// than it must.
import { describe, expect, test } from "vitest";
import { needsOf, projectOf, testFiles } from "../scripts/needs.mjs";

describe("a test file's needs", () => {
  test.each([
    ["test/locks/rule.test.ts", "unit", []],
    ["test/leases/lease.test.ts", "unit", []],
    ["test/simulation/simulation.test.ts", "unit", []],
    ["test/needs.test.ts", "unit", []],
    ["test/simulation/mutants.test.ts", "machine", ["time"]],
    ["test/stores/sqlite.test.ts", "machine", ["time"]],
    ["test/server/image.test.ts", "machine", ["time"]],
    ["test/quickstart.test.ts", "machine", ["build"]],
    ["test/cli/man-page.test.ts", "machine", ["man page readers"]],
    ["test/coordinators/zookeeper.test.ts", "zookeeper", ["zookeeper", "time"]],
    ["test/e2e/on-stores/redis.test.ts", "redis", ["redis", "build"]],
    ["test/e2e/run.test.ts", "zookeeper", ["zookeeper", "build"]],
    ["test/e2e/completion.test.ts", "zookeeper", ["shells", "build"]],
    ["test/server/page.test.ts", "zookeeper", ["browser", "build"]],
    ["test/foreign/foreign.test.ts", "zookeeper", ["foreign clients", "zookeeper"]],
  ] as const)("%s belongs to %s: %j", (file, project, needs) => {
    expect([...needsOf(file)]).toEqual(expect.arrayContaining([...needs]));
    expect(projectOf(file)).toBe(project);
  });

  test("leave all of the configuration and of the rule to `npm run test:unit`", () => {
    const files = testFiles().filter((file) => /^test\/(?:config|locks)\//.test(file));
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((file) => projectOf(file) !== "unit")).toEqual([]);
  });
});
