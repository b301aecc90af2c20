// Small writes that the other modules share: conditional transactions, creating and deleting single znodes, and the write that gives the
// server's time.
import type { Changes, StoreTime } from "../../locks/coordinator.js";
import type { Layout } from "./layout.js";
import type { Stat, Step } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { MODE, WireError, ZK } from "./wire/protocol.js";

const EMPTY = Buffer.alloc(0);

/** The version of a claim's znode until it is settled. Settling writes to the new znode once more, so that no revision of the old one fits it. */
export const UNSETTLED = 0;
/** The version that settling gives it. */
export const SETTLED = 1;

/** A transaction is one request, and a server takes none of more than a mebibyte (`jute.maxbuffer`, 0xfffff by default). */
export const MOST_BYTES = 900_000;

// How often a znode is created, or a claim's version read, again because another client has interfered. A client that keeps interfering
// is a fault that the caller must hear of.
const MOST_TRIES = 5;

/** Creates a persistent znode, and those above it, where they are missing. */
export async function ensure(wire: Wire, path: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await wire.create(path, EMPTY, MODE.PERSISTENT);
      return;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (error.zk === ZK.nodeExists) return;
      const above = path.slice(0, path.lastIndexOf("/"));
      if (error.zk !== ZK.noNode || above === "" || tries === MOST_TRIES) throw error;
      await ensure(wire, above);
    }
  }
}

/**
 * Deletes a znode, which may be gone already.
 * @param version deletes only this version; by default any
 */
export async function removeIfThere(wire: Wire, path: string, version?: number): Promise<void> {
  try {
    await wire.remove(path, version);
  } catch (error) {
    if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.badVersion)) throw error;
  }
}

/**
 * Deletes a claim unless it has been settled. A claim that somebody has written to while it was ephemeral goes too: its settle is
 * conditional on the version, so it cannot succeed any more.
 */
export async function removeUnsettled(wire: Wire, path: string): Promise<void> {
  let version = UNSETTLED;
  for (let tries = 1; ; tries += 1) {
    try {
      return await wire.remove(path, version);
    } catch (error) {
      if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.badVersion)) throw error;
      if (error.zk === ZK.badVersion && tries === MOST_TRIES) throw error;
    }
    const stat = await wire.exists(path);
    if (stat === null || isDurable(stat)) return;
    version = stat.version;
  }
}

// Nobody has a reason to make any. More than a few are an attack, and an admin has to end it.
const MOST_BELOW = 1_000;

/**
 * Deletes the znodes that other clients have made below a znode, because they keep it from being deleted.
 * @returns how many there were
 */
export async function removeBelow(wire: Wire, path: string): Promise<number> {
  const found = [path];
  // The loop appends to the list that it walks, so parents come before their children.
  for (let at = 0; at < found.length && found.length <= MOST_BELOW; at += 1) {
    const above = found[at] as string;
    found.push(...((await wire.getChildren(above)) ?? []).map((name) => `${above}/${name}`));
  }
  const below = found.slice(1);
  for (const one of below.toReversed()) await removeIfThere(wire, one);
  return below.length;
}

/**
 * Brings the server that answers up to date, by a write: whatever is read after it has everything that was committed before.
 * @returns the time with which the server that leads has stamped the write
 */
export async function sync(wire: Wire, layout: Layout): Promise<StoreTime> {
  const write = async (): Promise<StoreTime> => ({ ms: (await wire.setData(layout.clock, EMPTY, -1)).mtime, errorMs: 0 });
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof WireError) || error.zk !== ZK.noNode) throw error;
    await ensure(wire, layout.clock);
    return write();
  }
}

/**
 * How often durable claims have come and gone, by the znodes in `alive`. Zxids alone do not reveal that an ensemble was restored from a
 * backup: the leader that it elects begins above all earlier ones.
 */
export async function countChanges(wire: Wire, layout: Layout, id: string): Promise<Changes | null> {
  const [folder, own] = await Promise.all([wire.exists(layout.alive), wire.exists(layout.aliveOf(id))]);
  // The claim's own entry was made after everything that this process has seen, so with it the count is above all that were seen.
  return folder === null || own === null ? null : { since: folder.czxid, count: folder.changes };
}

/** Whether it exists and is settled. Others may have written to it since. */
export function isDurable(stat: Stat | null): boolean {
  return stat !== null && stat.ephemeralOwner === null;
}

/**
 * Commits a transaction whose first `guarded` steps are conditional on the claims. A failure there is an outcome, and so is the refusal of
 * a step behind them, whatever its code: the caller decides whether to repair it or to do without that step.
 */
export async function commit(
  wire: Wire,
  steps: readonly Step[],
  guarded: number,
): Promise<readonly (string | null)[] | "gone" | "changed" | Refusal> {
  try {
    return (await wire.transaction(steps)).map(({ path }) => path);
  } catch (error) {
    if (!(error instanceof WireError) || error.operation === null) throw error;
    if (error.operation >= guarded) return { step: error.operation, error };
    if (error.zk !== ZK.noNode && error.zk !== ZK.badVersion && error.zk !== ZK.nodeExists) throw error;
    return error.zk === ZK.noNode ? "gone" : "changed";
  }
}

/** The server refused a transaction because of a step that is not conditional on the claims. */
export interface Refusal {
  /** Counted from 0. */
  readonly step: number;
  readonly error: WireError;
}

export function isRefusal(outcome: readonly (string | null)[] | "gone" | "changed" | Refusal): outcome is Refusal {
  return typeof outcome === "object" && "step" in outcome;
}

/** A claim on several locks is gone when all of its entries are. */
export async function outcomeOfAll(wire: Wire, paths: readonly string[], outcome: "gone" | "changed"): Promise<"gone" | "changed"> {
  if (outcome === "changed" || paths.length === 1) return outcome;
  const stats = await Promise.all(paths.map((path) => wire.exists(path)));
  return stats.every((stat) => stat === null) ? "gone" : "changed";
}
