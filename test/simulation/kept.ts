// What the simulation can try and the code does not keep yet: each is switched on with the change that keeps it, and goes
// from here then.
export const KEPT = {
  /** A process apart ends a command under an ephemeral claim whose agent is frozen (`CommandSpec.endsWith`). */
  frozenHolders: false as boolean,
};
