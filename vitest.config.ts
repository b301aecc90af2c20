import { defineConfig } from "vitest/config";
import { projectOf, testFiles } from "./scripts/needs.mjs";

const files = testFiles();
const projects = [...new Set(["unit", "machine", ...files.map(projectOf)])];

export default defineConfig({
  test: {
    // By what a file needs, which its source tells: `npm run test:unit` runs the first, and those that need servers have them set up.
    projects: projects.map((name) => ({
      extends: true,
      test: {
        name,
        include: files.filter((file) => projectOf(file) === name),
        globalSetup: ["unit", "machine"].includes(name)
          ? []
          : name.split("+").map((server) => `test/support/servers/${server}-setup.ts`),
      },
    })),
    pool: "forks",
    // Most tests wait for servers and for sessions to expire: two cores have time for more than two.
    maxWorkers: 5,
    // Deadlines, not expectations: real servers on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    reporters: ["default", "./test/support/summary-reporter.ts"],
  },
});
