// What this node has seen of each store at its latest: one small file for each, in the state directory beside the journal. What is
// made of it is store-age.ts's.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { isObject } from "../../locks/claim.js";
import type { Log } from "../../locks/coordinator.js";
import { makeDirectory, readContent, setAside, writeWhole } from "./durable-files.js";
import type { Sighting, Sightings } from "../machine.js";

const VERSION = 1;
const FOLDER = "stores";

/** What is remembered below a state directory, which is there. */
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
          "what was remembered of the store was damaged: it was set aside, and an older store is not noticed this time",
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

// A store's name has slashes, and may be longer than a file's.
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
