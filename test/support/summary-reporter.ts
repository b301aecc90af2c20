// Prints how the run went as its very last line: "N passed, N failed", and ", N skipped" when there are any.
import type { SerializedError } from "vitest";
import type { Reporter, TestModule, Vitest } from "vitest/node";

export default class SummaryReporter implements Reporter {
  #watching = false;

  onInit(vitest: Vitest): void {
    this.#watching = vitest.config.watch;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const line = summaryOf(modules, unhandled.length);
    if (this.#watching) console.log(line);
    // At the exit everything else, such as the end of the servers, has had its say.
    else process.once("exit", () => process.stdout.write(`${line}\n`));
  }
}

function summaryOf(modules: readonly TestModule[], unhandledErrors: number): string {
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
  const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}
