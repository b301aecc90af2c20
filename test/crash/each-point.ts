// Kills a scenario at each of its points, each in a fleet of its own: on one store at all of them, on others where they are called. What is killed, and what has to be so afterwards, is the scenario's.
import { expect } from "vitest";
import { type Fleet, openFleet, type StoreKind } from "../e2e/fleet.js";
import { inTurn } from "./in-turn.js";
import { killPoints } from "./points.js";

/** What a run does between two calls to its store is the same on all of them, and so is what a kill there leaves. */
const EVERY_POINT_ON: StoreKind = "sqlite";

/**
 * @param name of the scenario: its points are on record in `points/`, so that a new one is seen
 * @param record the points of a run that was left alone
 * @param between the first and the last of them to kill at, as {@link killPoints} takes them
 * @param check kills at a point, and looks at what comes of it
 */
export async function killAtEach(
  kind: StoreKind,
  name: string,
  record: readonly string[],
  between: readonly [string, string],
  check: (fleet: Fleet, point: string) => Promise<void>,
): Promise<void> {
  await expect(`${record.join("\n")}\n`).toMatchFileSnapshot(`points/${name.replaceAll(" ", "-")}.txt`);
  const points = killPoints(record, ...between).filter((point) => kind === EVERY_POINT_ON || point.startsWith("coordinator."));
  const fleets = await Promise.all(points.map(() => openFleet(kind)));
  await inTurn(points, async (point, index) => {
    try {
      await check(fleets[index] as Fleet, point);
    } catch (error) {
      throw new Error(`killed at ${point}`, { cause: error });
    }
  });
  console.log(`${kind}: ${name}: killed at ${points.length} points`);
}
