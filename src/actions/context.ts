// What a run works with, whatever its action: its node's name, machine and stores, and where it reports.
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import type { Log } from "../locks/log.js";
import type { Notifier } from "../locks/notifier.js";
import { createPerspective, type Perspective } from "../line/perspective.js";
import type { Progress } from "../line/progress.js";
import type { AcquireSettings, WaitOptions } from "../line/waiting.js";
import type { FleetContext } from "./fleet-context.js";
import type { Machine, StatelessMachine } from "./machine.js";
import type { StopRequests } from "./stop.js";

/** What a run needs that leaves nothing behind on this node. */
export interface ExecContext {
  readonly node: string;
  readonly group: string;
  readonly principal: string;
  readonly machine: StatelessMachine;
  readonly progress: Progress;
  readonly stop: StopRequests;
  /**
   * The store of a lock's queue.
   * @throws UnreachableError within the connect timeout
   */
  readonly coordinator: (lock: string) => Promise<Coordinator>;
}

/** What a guarded run needs. */
export interface GuardContext extends ExecContext {
  readonly machine: Machine;
  readonly log: Log;
  readonly notifier: Notifier;
  /** What the node tells a whole fleet of itself, and knows of it; `null`: nothing. */
  readonly fleet: FleetContext | null;
  /** How long a run tries to tell a store that does not answer that its claim ends. */
  readonly releaseTimeoutMs: number;
}

/** How this process sees the claims of a store. */
export function perspectiveOn(
  { isShared }: Pick<Coordinator, "isShared">,
  { node, machine }: Pick<ExecContext, "node" | "machine">,
): Perspective {
  return createPerspective({ node, machineOn: () => (isShared ? machine.id : null), processes: machine.processes });
}

/** How a run waits in line: never beside another machine of its node's name, and not behind a claim that it has to deal with first. */
export function waitOptions(
  { machine, progress, stop }: Pick<ExecContext, "machine" | "progress" | "stop">,
  perspective: Perspective,
  acquire: AcquireSettings,
  isInTheWay: (holder: Claim) => boolean = () => false,
): WaitOptions {
  return {
    clock: machine.clock,
    acquire,
    progress,
    perspective,
    onHolder(holder) {
      perspective.refuseTwin(holder);
      const isFailedOne = acquire.behindFailed === "leave" && holder.failure !== null;
      return isInTheWay(holder) || isFailedOne ? "leave" : "stay";
    },
    stop: stop.signal,
  };
}
