// Prints how much of what is generated the run tries, and as its very last line how it went: "N passed, N failed", and
// ", N skipped" when there are any.
import type { SerializedError } from "vitest";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import { EFFORT_SUMMARY } from "./effort.js";

export default class SummaryReporter implements Reporter {
  #watching = false;

  onInit(vitest: Vitest): void {
    this.#watching = vitest.config.watch;
    console.log(EFFORT_SUMMARY);
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = countsOf(modules, unhandled.length);
    if (this.#watching) {
      console.log(summaryOf(counts));
      return;
    }
    // At the exit everything else, such as the end of the servers, has had its say.
    process.once("exit", (code) => {
      // A setup that fails leaves no trace in the tests, but the run has failed.
      const failed = counts.failed === 0 && code !== 0 ? 1 : counts.failed;
      process.stdout.write(`${summaryOf({ ...counts, failed })}\n`);
    });
  }
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

function summaryOf({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}

function countsOf(modules: readonly TestModule[], unhandledErrors: number): Counts {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    let failedTests = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") counts.passed += 1;
      else if (state === "skipped") counts.skipped += 1;
      else failedTests += 1;
    }
    // A file that does not load, or whose hooks fail, has no failed test, but the run has failed.
    counts.failed += failedTests === 0 && module.state() === "failed" ? 1 : failedTests;
  }
  return counts;
}
