// Kills a scenario at each of its points, each in a fleet of its own. What is killed, and what has to be so afterwards, is the scenario's.
import { join } from "node:path";
import { expect } from "vitest";
import type { Fleet, StoreName } from "../e2e/nodes.js";
import { EVERY_CRASH_POINT } from "../support/effort.js";
import { inTurn } from "./in-turn.js";
import { killPoints } from "./points.js";

/** Where a scenario runs: each case in a fleet on a root of its own. */
export interface Ground {
  readonly kind: StoreName;
  readonly openFleet: () => Promise<Fleet>;
}

// What a run does between two calls to its store is the same on all of them, and so is what a kill there leaves.
const CALL = /^coordinator\./;
const WRITE = /^coordinator\.(?:join|settle|update|adopt|leave):/;
const CALL_OR_COMMAND = /^(?:coordinator|commands)\./;

/**
 * Those at writes on all stores, those at calls on ZooKeeper, and every point on SQLite. At a small effort only each third of those
 * between the calls and the command, where the node's own files are read and written.
 */
function chosen(kind: StoreName, points: readonly string[]): readonly string[] {
  if (kind !== "sqlite") return points.filter((point) => (kind === "zookeeper" ? CALL : WRITE).test(point));
  return EVERY_CRASH_POINT ? points : points.filter((point, index) => CALL_OR_COMMAND.test(point) || index % 3 === 0);
}

/**
 * @param name of the scenario: its points are on record in `points/`, so that a new one is seen
 * @param record the points of a run that was left alone
 * @param between the first and the last of them to kill at, as {@link killPoints} takes them
 * @param check kills at a point, and looks at what comes of it
 */
export async function killAtEach(
  { kind, openFleet }: Ground,
  name: string,
  record: readonly string[],
  between: readonly [string, string],
  check: (fleet: Fleet, point: string) => Promise<void>,
): Promise<void> {
  await expect(`${record.join("\n")}\n`).toMatchFileSnapshot(join(import.meta.dirname, `points/${name.replaceAll(" ", "-")}.txt`));
  const points = chosen(kind, killPoints(record, ...between));
  const fleets = await Promise.all(points.map(openFleet));
  await inTurn(points, async (point, index) => {
    try {
      await check(fleets[index] as Fleet, point);
    } catch (error) {
      throw new Error(`killed at ${point}`, { cause: error });
    }
  });
  console.log(`${kind}: ${name}: killed at ${points.length} points`);
}
