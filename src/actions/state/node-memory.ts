// What this node has told of itself last: one small file for each store, node and action, in the state directory beside the journal.
// What follows from it is node-report.ts's matter.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { decodeMoment, isObject } from "../../locks/claim.js";
import type { NodeMemory, Remembered } from "../fleet-context.js";
import { makeDirectory, readContent, removeFile, writeWhole } from "./durable-files.js";

const VERSION = 1;
const FOLDER = "told";

/** Opens what is remembered below a state directory, which must be there. There is nothing to close. */
export function openNodeMemory(stateDir: string): NodeMemory {
  const folder = join(stateDir, FOLDER);
  return {
    latest(about) {
      const content = readContent(folder, fileOf(about));
      // What cannot be read is told again, and then written anew.
      return typeof content === "object" ? decode(content.text, about) : null;
    },
    save(about, remembered) {
      makeDirectory(stateDir, FOLDER);
      writeWhole(folder, fileOf(about), `${JSON.stringify({ v: VERSION, about, ...remembered })}\n`);
    },
    forget: (about) => removeFile(folder, fileOf(about)),
  };
}

function fileOf(about: string): string {
  return `${createHash("sha256").update(about).digest("hex").slice(0, 32)}.json`;
}

function decode(text: string, about: string): Remembered | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value["v"] !== VERSION || value["about"] !== about) return null;
  const { group, machine, version, lock, outcome, message, ranMs, isPending } = value;
  const moment = decodeMoment(value["moment"]);
  if (moment === null || moment === undefined || typeof isPending !== "boolean") return null;
  if (typeof group !== "string" || typeof version !== "string" || typeof lock !== "string") return null;
  if (typeof outcome !== "string" || typeof message !== "string") return null;
  if ((machine !== null && typeof machine !== "string") || (ranMs !== null && typeof ranMs !== "number")) return null;
  return { group, machine, version, lock, outcome, message, ranMs, isPending, moment };
}
