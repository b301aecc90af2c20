// Starts contenders of somebody else's store, by the program that comes with the package.
import { fileURLToPath } from "node:url";
import type { CoordinatorOptions } from "../locks/coordinator.js";
import { type Contender, startProgram } from "./contenders.js";
import type { ContenderTask } from "./contending.js";
import { TEST_OPTIONS } from "./drafts.js";

export interface PackagedContender {
  /** The URL of a JavaScript module, such as `import.meta.resolve("../src/store.js")`. */
  readonly module: string;
  /** The name of its export that opens a coordinator: it takes a URL and `CoordinatorOptions`. */
  readonly opener: string;
  /** The store's URL. */
  readonly url: string;
  readonly task: ContenderTask;
  readonly options?: CoordinatorOptions;
}

/** Starts a contender as a process of its own; resolves when that runs, which may be before it has said anything. */
export function startContender({ module, opener, url, task, options = TEST_OPTIONS }: PackagedContender): Promise<Contender> {
  // Beside this file in the package.
  const program = fileURLToPath(new URL("./conformance-contender.js", import.meta.url));
  const words = [module, opener, url, JSON.stringify({ ...options, log: undefined }), JSON.stringify(task)];
  return startProgram([process.execPath, program, ...words]);
}
