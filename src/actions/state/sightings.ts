// How far each store had come when this node last saw it: one small file for each store, in the state directory beside the
// journal. What follows from it is store-age.ts's matter.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { isObject } from "../../locks/claim.js";
import type { Log } from "../../locks/log.js";
import { makeDirectory, readContent, setAside, writeWhole } from "./durable-files.js";
import type { Sighting, Sightings } from "../machine.js";

const VERSION = 1;
const FOLDER = "stores";

/** Opens what is remembered below a state directory, which must be there. There is nothing to close. */
export function openSightings(stateDir: string, log: Log): Sightings {
  const folder = join(stateDir, FOLDER);
  return {
    fileOf: (store) => join(folder, fileOf(store)),
    latest(store) {
      const content = readContent(folder, fileOf(store));
      if (content === "nothing") return null;
      const sighting = content === "something else" ? null : decode(content.text, store);
      if (sighting === null) {
        const file = setAside(folder, fileOf(store));
        log.warn(
          { file },
          "the file that says how far the store had come was damaged: it was set aside, and this run cannot notice a restored backup",
        );
      }
      return sighting;
    },
    save(store, sighting) {
      makeDirectory(stateDir, FOLDER);
      writeWhole(folder, fileOf(store), `${JSON.stringify({ v: VERSION, store, ...sighting })}\n`);
    },
  };
}

// The name of a store has slashes, and may be longer than the name of a file can be.
function fileOf(store: string): string {
  return `${createHash("sha256").update(store).digest("hex").slice(0, 32)}.json`;
}

function decode(text: string, store: string): Sighting | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value["v"] !== VERSION || value["store"] !== store) return null;
  const { fencingToken, changes, at } = value;
  if (!isCount(fencingToken) || !isCount(at)) return null;
  if (changes === null) return { fencingToken, changes, at };
  if (!isObject(changes) || !isCount(changes["since"]) || !isCount(changes["count"])) return null;
  return { fencingToken, changes: { since: changes["since"], count: changes["count"] }, at };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
