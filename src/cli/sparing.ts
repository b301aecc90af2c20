// How little memory a process takes that waits. Knows nothing of what it waits for.
import type { Progress } from "../actions/progress.js";

/**
 * A progress that has V8 optimize no more code once there is waiting. A look at the line now and then gains nothing by it,
 * and the optimizer's own code alone takes more memory than all that the look needs: some 4 MiB on Node 20.
 */
export function sparingMemory(progress: Progress): Progress {
  let spares = false;
  return {
    ...progress,
    waiting(...place) {
      progress.waiting(...place);
      if (spares) return;
      spares = true;
      // After what the progress itself has loaded: code that was compiled before is taken only under the same flags.
      void import("node:v8").then(({ setFlagsFromString }) => setFlagsFromString("--no-opt"));
    },
  };
}
