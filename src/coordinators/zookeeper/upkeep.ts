// Writing around the claims: transactions that hold only for what was read, znodes that must exist before others, and
// the server's clock.
import type { Changes } from "../../locks/coordinator.js";
import type { Layout } from "./layout.js";
import type { Stat, Step } from "./protocol.js";
import type { Wire } from "./wire.js";
import { MODE, WireError, ZK } from "./protocol.js";

const EMPTY = Buffer.alloc(0);

/** The version of a claim's znode until it is settled. Settling writes to the new znode once more, so that what was read of the old is never true of it. */
export const UNSETTLED = 0;
/** The version with which it is settled. */
export const SETTLED = 1;

// How often a znode is made, or a claim's version read, again because another client has undone it in between. Another client
// that keeps undoing it is a fault of its own, which the caller must hear of.
const MOST_TRIES = 5;

/** Creates a persistent znode and those above it, as far as they are missing. */
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
 * Deletes a znode; it may be gone already.
 * @param version only if it still has this one; by default whatever it has
 */
export async function removeIfThere(wire: Wire, path: string, version?: number): Promise<void> {
  try {
    await wire.remove(path, version);
  } catch (error) {
    if (!(error instanceof WireError) || (error.zk !== ZK.noNode && error.zk !== ZK.badVersion)) throw error;
  }
}

/**
 * Deletes a claim that has not been settled; one that has, meanwhile, stays. One that somebody has written to while it
 * was ephemeral goes too: its settle is conditional on the version, so that none can succeed any more.
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

// Nobody has a reason to make any: more than a few are an attack, which is an admin's to end.
const MOST_BELOW = 1_000;

/**
 * Deletes what other clients have made below a znode, which could not be deleted otherwise.
 * @returns how many there were
 */
export async function removeBelow(wire: Wire, path: string): Promise<number> {
  const found = [path];
  // It grows while it is gone through: those above come before those below them.
  for (let at = 0; at < found.length && found.length <= MOST_BELOW; at += 1) {
    const above = found[at] as string;
    found.push(...((await wire.getChildren(above)) ?? []).map((name) => `${above}/${name}`));
  }
  const below = found.slice(1);
  for (const one of below.toReversed()) await removeIfThere(wire, one);
  return below.length;
}

/** The server's time, in milliseconds since 1970. Being a write, it also brings the server that answers up to date: what is read after it is not older than it. */
export async function readClock(wire: Wire, layout: Layout): Promise<number> {
  const write = async (): Promise<number> => (await wire.setData(layout.clock, EMPTY, -1)).mtime;
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof WireError) || error.zk !== ZK.noNode) throw error;
    await ensure(wire, layout.clock);
    return write();
  }
}

/**
 * How often durable claims have come and gone, by the znodes in `alive`: zxids alone do not tell an ensemble that was restored, since the
 * leader that it elects begins above all that were before.
 */
export async function countChanges(wire: Wire, layout: Layout, id: string): Promise<Changes | null> {
  const [folder, own] = await Promise.all([wire.exists(layout.alive), wire.exists(layout.aliveOf(id))]);
  // Only with its own entry, made after all that was seen before, is the count above all that was seen.
  return folder === null || own === null ? null : { since: folder.czxid, count: folder.changes };
}

/** Is it there, and settled? Others may have written to it since. */
export function isDurable(stat: Stat | null): boolean {
  return stat !== null && stat.ephemeralOwner === null;
}

/**
 * Commits a transaction whose first `guarded` steps are conditional on the claims. What fails there is an outcome. So is the
 * refusal of a step behind them, whatever its code: the caller decides whether to repair, or to do without that step.
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
