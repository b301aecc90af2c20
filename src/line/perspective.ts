// Whose claim is it? A process makes its perspective once, and everything that meets a claim asks it: is its owner gone, is
// it this machine's own, is it another machine's that goes by the same name?
import { areOfTwoBoots, type Claim, type Owner } from "../locks/claim.js";
import { HoldlineError } from "../locks/errors.js";
import { isOfMachine } from "./machine-signs.js";
import type { ProcessSight } from "./process-sight.js";

export interface Perspective {
  /**
   * Whether the process that made a claim is gone. This node's own sight decides where it reaches: a process that lives is
   * not gone, even if its session has ended; and no process lives that this machine ran before it last booted, even if its session
   * has not ended yet. Elsewhere the claim's liveness entry decides.
   */
  isOwnerGone(claim: Claim): boolean;
  /** Whether the claim was made on this node, and on this very machine. */
  isMine(claim: Claim): boolean;
  /** Whether another machine that has this node's name made the claim. */
  isNamesakes(claim: Claim): boolean;
  /**
   * Refuses to go on beside a living claim of another machine that has this node's name. A claim whose owner has gone proves
   * nothing.
   * @throws HoldlineError `configuration`
   */
  refuseTwin(claim: Claim): void;
}

export interface Standpoint {
  readonly node: string;
  /** This machine as claims on a lock carry it; `null` where the lock's store is this machine's alone, and so is every claim in it. */
  readonly machineOn: (lock: string) => string | null;
  readonly processes: ProcessSight;
}

export function createPerspective({ node, machineOn, processes }: Standpoint): Perspective {
  const isOnMachine = (owner: Owner, lock: string): boolean => {
    const machine = machineOn(lock);
    return machine === null || isOfMachine(owner, { machine, process: processes.self });
  };
  const isOfEarlierBoot = (claim: Claim): boolean =>
    perspective.isMine(claim) && claim.owner.process !== null && areOfTwoBoots(claim.owner.process, processes.self);
  const perspective: Perspective = {
    isOwnerGone(claim) {
      const { owner, alive } = claim;
      const lives = owner.process === null ? null : processes.isAlive(owner.process);
      // What a caller has begun needs no agent. Its own node alone can see whether the caller is gone.
      if (claim.stage?.name === "open" && claim.durable) return lives === false || isOfEarlierBoot(claim);
      if (lives === null && isOfEarlierBoot(claim)) return true;
      return lives === null ? !alive : !lives;
    },
    isMine: ({ owner, lock }) => owner.node === node && isOnMachine(owner, lock),
    isNamesakes: ({ owner, lock }) => owner.node === node && owner.machine != null && !isOnMachine(owner, lock),
    refuseTwin(claim) {
      if (!claim.alive || !perspective.isNamesakes(claim)) return;
      throw new HoldlineError(
        "configuration",
        `another machine is called ${node} too, and is at work: it has a claim on ${claim.lock} by ${claim.owner.principal}`,
        { hint: "each node needs a name of its own: set `node` in the configuration, or HOLDLINE_NODE" },
      );
    },
  };
  return perspective;
}
