// Removes what nobody needs any more and nobody else removes: folders of locks and of their former histories that are empty,
// which Holdline up to 0.1 left for good, and records beyond the history's bounds. Whatever has anything in it stays.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import type { HistoryBounds } from "../../locks/history-bounds.js";
import { isLeftover } from "./folders.js";
import { trimFormerHistory, trimHistory } from "./history.js";
import { decodeName, type Layout, segmentsAmong } from "./layout.js";
import { WireError, ZK } from "./protocol.js";
import { inRounds, walk } from "./tree.js";
import type { Wire } from "./wire.js";

/** Safe to repeat. Gives the paths of all that it has removed, sorted. */
export async function tidy(
  wire: Wire,
  layout: Layout,
  bounds: HistoryBounds,
  log: CoordinatorOptions["log"],
): Promise<readonly string[]> {
  const gone = [...(await trimHistory(wire, layout, bounds, log)), ...(await trimFormerHistory(wire, layout, bounds, log))];
  for (const base of [layout.locks, layout.history]) {
    const byDepth: string[][] = [];
    await walk(wire, base, (folder, children) => {
      // With a claim in it, or something of another program, it is not even tried.
      if (decodeName(folder) === null || segmentsAmong(children).length < children.length) return;
      const depth = folder.split("/").length;
      byDepth[depth] = [...(byDepth[depth] ?? []), `${base}/${folder}`];
    });
    // Those below come first: the folders above may be empty then.
    for (const folders of byDepth.reverse()) {
      const removed = await inRounds(folders ?? [], async (path) => ((await removeFolder(wire, path)) ? [path] : []));
      gone.push(...removed.flat());
    }
  }
  return gone.sort();
}

/** Deletes a folder that is as Holdline has left them, unless something is in it. */
async function removeFolder(wire: Wire, path: string): Promise<boolean> {
  const node = await wire.getData(path);
  if (node === null || !isLeftover(node)) return false;
  try {
    // The server looks in the same step: who joins meanwhile either keeps the folder, or makes it again.
    await wire.remove(path, node.stat.version);
    return true;
  } catch (error) {
    if (error instanceof WireError && [ZK.noNode, ZK.notEmpty, ZK.badVersion].some((code) => code === error.zk)) return false;
    throw error;
  }
}
