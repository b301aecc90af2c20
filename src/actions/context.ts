// What every guarded run on this node is given: who it is, its machine, its store, and whom to tell.
import type { Coordinator, Log } from "../locks/coordinator.js";
import { createPerspective, type Perspective } from "../line/perspective.js";
import type { Progress } from "../line/progress.js";
import type { Machine, StatelessMachine } from "./machine.js";
import type { StopRequests } from "./stop.js";

export interface GuardContext {
  readonly node: string;
  readonly principal: string;
  readonly releaseTimeoutMs: number;
  readonly machine: Machine;
  readonly progress: Progress;
  readonly log: Log;
  readonly stop: StopRequests;
  /**
   * The store of a lock's queue.
   * @throws UnreachableError within the connect timeout
   */
  readonly coordinator: (lock: string) => Promise<Coordinator>;
}

/** Whose claims on a store's locks are this process's own. */
export function perspectiveOn(
  { isShared }: Pick<Coordinator, "isShared">,
  { node, machine }: { readonly node: string; readonly machine: StatelessMachine },
): Perspective {
  return createPerspective({ node, machineOn: () => (isShared ? machine.id : null), processes: machine.processes });
}
