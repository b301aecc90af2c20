import { defineConfig } from "vitest/config";
import { projectOf, PROJECTS, testFiles } from "./scripts/needs.mjs";

export default defineConfig({
  test: {
    // By what a file needs, which its source tells: `npm run test:unit` runs the first, and the last has a global setup.
    projects: PROJECTS.map((name) => ({
      extends: true,
      test: {
        name,
        include: testFiles().filter((file) => projectOf(file) === name),
        globalSetup: name === "zookeeper" ? ["test/support/global-setup.ts"] : [],
      },
    })),
    pool: "forks",
    // Most tests wait for servers and child processes; more workers than this and their own work delays them.
    maxWorkers: 3,
    // Deadlines, not expectations: real servers on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    reporters: ["default", "./test/support/summary-reporter.ts"],
  },
});
