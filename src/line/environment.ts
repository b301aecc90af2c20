// What a command that runs under a lock finds in its environment. Its checks and hooks find the same.

/** The claim that a command runs under. */
export interface ClaimInHand {
  readonly id: string;
  readonly fencingToken: number;
}

/** @param claim `null` where the command runs without its lock */
export function environmentOf(
  { action, lock, node }: { readonly action: string; readonly lock: string; readonly node: string },
  claim: ClaimInHand | null,
): Record<string, string> {
  return {
    HOLDLINE_ACTION: action,
    HOLDLINE_LOCK: lock,
    HOLDLINE_NODE: node,
    ...(claim === null ? {} : { HOLDLINE_CLAIM: claim.id, HOLDLINE_FENCING_TOKEN: String(claim.fencingToken) }),
  };
}
