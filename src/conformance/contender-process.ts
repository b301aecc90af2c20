// What runs in a contender's process: it opens a coordinator, does its task, says what happens as JSON lines on standard
// output, and goes on when a line comes on standard input.
import { createInterface } from "node:readline";
import type { Coordinator, CoordinatorOptions } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { contend, type ContenderEvent, type ContenderTask } from "./contending.js";

export type OpenCoordinator = (url: string, options: CoordinatorOptions) => Promise<Coordinator>;

/** @param words the store's URL, the coordinator's options and the task, these as JSON */
export async function runContender(open: OpenCoordinator, words: readonly string[]): Promise<void> {
  const [url, options, task] = words as [string, string, string];
  const silent = () => undefined;
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const say = (event: ContenderEvent["event"], details: object): void => {
    process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);
  };
  try {
    const coordinator = await open(url, { ...(JSON.parse(options) as CoordinatorOptions), log });
    await contend(coordinator, JSON.parse(task) as ContenderTask, { say, told: () => lines.next() });
  } catch (error) {
    say("failed", {
      name: error instanceof Error ? error.name : "",
      code: error instanceof HoldlineError ? error.code : null,
      hint: error instanceof HoldlineError ? error.hint : null,
      message: messageOf(error),
    });
  }
  // Standard input would keep it alive.
  process.stdin.destroy();
}
