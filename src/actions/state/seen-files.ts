// What files looked like when a run found them newer than a process: one small file for each action, in the state directory beside
// the journal. What follows from it is facts/changed.ts's.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type BootMoment, isObject } from "../../locks/claim.js";
import type { Log } from "../../locks/log.js";
import { makeDirectory, readContent, setAside, writeWhole } from "./durable-files.js";

/** The files as they were at a moment. */
export interface Seen {
  readonly moment: BootMoment;
  /** Whether a file was there, and as it is now. */
  isAsSeen(path: string, state: string): boolean;
}

export interface SeenFiles {
  latest(action: string): Seen | null;
  /** @param files each path with what tells its file from itself after a change */
  save(action: string, moment: BootMoment, files: ReadonlyMap<string, string>): void;
}

const VERSION = 1;
const FOLDER = "seen";

// A file of 2 MB. Of more nothing is remembered, and where clocks disagree, the action may run once too often.
const MOST_FILES = 100_000;

/** Opens what is remembered below a state directory, which must be there unless it is only read. There is nothing to close. */
export function openSeenFiles(stateDir: string, log: Log): SeenFiles {
  const folder = join(stateDir, FOLDER);
  return {
    latest(action) {
      const content = readContent(folder, fileOf(action));
      if (content === "nothing") return null;
      const seen = content === "something else" ? null : decode(content.text, action);
      if (seen === null)
        log.warn({ file: join(folder, fileOf(action)) }, "the file that says which files a run has seen is damaged");
      return seen;
    },
    save(action, moment, files) {
      if (files.size > MOST_FILES) return;
      makeDirectory(stateDir, FOLDER);
      const digests = [...files].map(([path, state]) => digest(path, state));
      if (readContent(folder, fileOf(action)) === "something else") setAside(folder, fileOf(action));
      writeWhole(folder, fileOf(action), `${JSON.stringify({ v: VERSION, action, moment, digests })}\n`);
    },
  };
}

/** The name of an action may be longer than the name of a file can be. */
function fileOf(action: string): string {
  return `${createHash("sha256").update(action).digest("hex").slice(0, 32)}.json`;
}

function digest(path: string, state: string): string {
  return createHash("sha256").update(`${state}\0${path}`).digest("hex").slice(0, 16);
}

function decode(text: string, action: string): Seen | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value["v"] !== VERSION || value["action"] !== action) return null;
  const { moment, digests } = value;
  if (!isObject(moment) || !Array.isArray(digests)) return null;
  const { bootId, ticks, wallMs } = moment;
  if (typeof bootId !== "string" && bootId !== null) return null;
  if (typeof ticks !== "number" && ticks !== null) return null;
  if (typeof wallMs !== "number") return null;
  const known = new Set<unknown>(digests);
  return { moment: { bootId, ticks, wallMs }, isAsSeen: (path, state) => known.has(digest(path, state)) };
}
