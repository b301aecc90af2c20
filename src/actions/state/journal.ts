// What this node must not forget when the agent dies: attempts that came to nothing, and runs under durable claims. Each node
// and action has a directory, each run a file in it, and each attempt a line.
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { decodeIdentity, decodeMoment, isObject, laterOf, type BootMoment } from "../../locks/claim.js";
import type { Log } from "../../locks/log.js";
import { lockNameProblem } from "../../locks/names.js";
import {
  appendLine,
  demandWritable,
  listDirectory,
  makeDirectory,
  makeTopDirectory,
  readContent,
  removeFile,
  removeOldTemporaries,
  renameFile,
  setAside,
  writeWhole,
} from "./durable-files.js";
import type { Attempts, Journal, Leader, RunEntry, RunPhase } from "../machine.js";

const VERSION = 1;
const ATTEMPTS_FILE = "attempts.jsonl";
// Has the action's name, where that is too long for the name of a directory.
const NAME_FILE = "name.json";
// Some ten thousand attempts. After that the count begins anew.
const LARGEST_ATTEMPTS_BYTES = 1_048_576;
// File systems allow 255 bytes, and "run-", ".json" and ".damaged" need room beside this.
const LONGEST_SEGMENT = 200;

const PHASES: readonly string[] = ["settling", "running", "verifying", "succeeded", "failed"] satisfies RunPhase[];

/**
 * Phases that version 0.1 does not know. They stand in the file beside the one that it takes them for, so that it does not take the
 * file for a damaged one: it runs the action again then.
 */
const LATER_PHASES: Readonly<Partial<Record<RunPhase, RunPhase>>> = {
  draining: "running",
  rebooting: "running",
  undoing: "running",
  undraining: "verifying",
  soaking: "verifying",
};

/**
 * Opens a node's journal below the state directory, which it makes where it is missing. There is nothing to close.
 * @throws HoldlineError `configuration` when it cannot make or write the directory
 */
export function openJournal(stateDir: string, node: string, log: Log): Journal {
  makeTopDirectory(stateDir);
  const home = makeDirectory(makeDirectory(stateDir, "journal"), encodeSegment(node));
  demandWritable(home);
  for (const directory of [home, ...listDirectory(home).map((name) => join(home, name))]) removeOldTemporaries(directory);

  const placeOf = (action: string) => join(home, encodeSegment(action));
  const attempts = (action: string) => readAttempts(placeOf(action), log);
  const runs = (action: string) => readRuns(placeOf(action), action, log);
  return {
    attempts,
    addAttempt(action, moment) {
      const place = makePlace(home, action);
      // Sets a damaged file aside before anything is added to it.
      readAttempts(place, log);
      if (!appendLine(place, ATTEMPTS_FILE, encodeAttempt(moment), LARGEST_ATTEMPTS_BYTES)) {
        // The newest attempt decides which restarts fulfil the wish. How many there were before it matters less.
        writeWhole(place, ATTEMPTS_FILE, `${encodeAttempt(moment)}\n`);
      }
      return attempts(action) ?? { latest: moment, count: 1 };
    },
    clearAttempts: (action) => removeFile(placeOf(action), ATTEMPTS_FILE),
    runs,
    saveRun(entry) {
      const place = makePlace(home, entry.action);
      try {
        writeWhole(place, runFile(entry.claim), encodeRun(entry));
      } catch (error) {
        // A success must not be forgotten because the disk is full: the action would run again. A new name needs no room.
        if (entry.phase !== "succeeded" || readContent(place, runFile(entry.claim)) === "nothing") throw error;
        renameFile(place, runFile(entry.claim), doneFile(entry.claim));
      }
    },
    removeRun(action, claim) {
      for (const name of [runFile(claim), doneFile(claim)]) removeFile(placeOf(action), name);
    },
    actions() {
      // A name with a leading dot is a file that somebody is just writing.
      const segments = listDirectory(home).filter((segment) => !segment.startsWith("."));
      const names = segments.flatMap((segment) => nameOf(home, segment, log) ?? []);
      return names.filter((action) => attempts(action) !== null || runs(action).length > 0).sort();
    },
  };
}

/**
 * The leader of the processes that a run under a claim has started, by the journal below a state directory; `null` where there
 * is no such entry, or no journal. Changes nothing.
 * @throws HoldlineError when the journal cannot be read
 */
export function readLeader(stateDir: string, node: string, action: string, claim: string): Leader | null {
  const place = join(stateDir, "journal", encodeSegment(node), encodeSegment(action));
  const content = readContent(place, runFile(claim));
  const entry = typeof content === "object" ? decodeRun(content.text) : null;
  return entry?.claim === claim ? entry.group : null;
}

function makePlace(home: string, action: string): string {
  const segment = encodeSegment(action);
  const place = makeDirectory(home, segment);
  if (isHashed(segment) && readContent(place, NAME_FILE) === "nothing") writeWhole(place, NAME_FILE, `${JSON.stringify(action)}\n`);
  return place;
}

function readAttempts(place: string, log: Log): Attempts | null {
  const found = readMoments(place, ATTEMPTS_FILE);
  if (found === null || found.whole) return attemptsOf(found?.moments ?? []);

  const file = setAside(place, ATTEMPTS_FILE);
  // Reads the file that was set aside, not the text that was seen before: another process may have repaired the file
  // meanwhile, and added to it. Lines that come into the new file during this count as well.
  const moments = (file === null ? null : readMoments(place, basename(file)))?.moments ?? [];
  log.warn(
    { file, kept: moments.length },
    "a file of the journal was damaged: it was set aside, and the attempts that could be read were kept",
  );
  for (const moment of moments) appendLine(place, ATTEMPTS_FILE, encodeAttempt(moment), LARGEST_ATTEMPTS_BYTES);
  return attemptsOf(readMoments(place, ATTEMPTS_FILE)?.moments ?? []);
}

// While another process adds a line, a reader may see a part of it.
const LOOKS_AT_UNENDED_LINE = 3;

/** The attempts in a file, and whether they are all that is in it; `null` when there is no such file. */
function readMoments(place: string, name: string): { moments: BootMoment[]; whole: boolean } | null {
  for (let looks = 1; ; looks += 1) {
    const content = readContent(place, name);
    if (content === "nothing") return null;
    if (content === "something else") return { moments: [], whole: false };
    const lines = content.text.split("\n");
    // Only its end makes a line whole. What comes after the last line end was cut off by a crash, if it is anything.
    const isEnded = lines.pop() === "";
    if (!isEnded && looks < LOOKS_AT_UNENDED_LINE) continue;
    const decoded = lines.filter((line) => line !== "").map(decodeAttempt);
    const moments = decoded.filter((moment) => moment !== null);
    return { moments, whole: isEnded && moments.length === decoded.length };
  }
}

function attemptsOf(moments: readonly BootMoment[]): Attempts | null {
  const [first, ...others] = moments;
  return first === undefined ? null : { latest: others.reduce(laterOf, first), count: moments.length };
}

function readRuns(place: string, action: string, log: Log): RunEntry[] {
  return listDirectory(place)
    .filter((name) => /^(run|done)-.*\.json$/s.test(name))
    .flatMap((name) => {
      const content = readContent(place, name);
      // Another process has removed it since the directory was read.
      if (content === "nothing") return [];
      const entry = content === "something else" ? null : decodeRun(content.text);
      // In a file that was copied or renamed, the content does not fit the place.
      if (entry?.action === action && runFile(entry.claim) === name) return [entry];
      if (entry?.action === action && doneFile(entry.claim) === name) return [{ ...entry, phase: "succeeded", group: null }];
      log.warn(
        { file: setAside(place, name), action },
        "a file of the journal was damaged: it was set aside, and what it said of a run is lost",
      );
      return [];
    });
}

function encodeAttempt({ bootId, ticks, wallMs }: BootMoment): string {
  return JSON.stringify({ v: VERSION, bootId, ticks, wallMs });
}

function decodeAttempt(line: string): BootMoment | null {
  const value = parseVersioned(line);
  return value === null ? null : (decodeMoment(value) ?? null);
}

function encodeRun({ claim, lock, action, agent, phase, group }: RunEntry): string {
  const known = LATER_PHASES[phase];
  const phases = known === undefined ? { phase } : { phase: known, step: phase };
  return `${JSON.stringify({ v: VERSION, claim, lock, action, ...phases, agent: plain(agent), group: group === null ? null : plain(group) })}\n`;
}

// Only the fields of an identity, whatever else the object has.
function plain({ bootId, pidNamespace, pid, startTicks, sharesGroup }: Leader): Leader {
  return { bootId, pidNamespace, pid, startTicks, ...(sharesGroup === true ? { sharesGroup } : {}) };
}

function decodeLeader(value: unknown): Leader | null {
  const identity = decodeIdentity(value);
  return identity !== null && isObject(value) && value["sharesGroup"] === true ? { ...identity, sharesGroup: true } : identity;
}

function decodeRun(text: string): RunEntry | null {
  const value = parseVersioned(text);
  if (value === null) return null;
  const { claim, lock, action, phase } = value;
  // A run asks the store for this lock. A name that no lock can have must not get that far.
  if (typeof claim !== "string" || lockNameProblem(lock) !== null || typeof action !== "string") return null;
  if (typeof phase !== "string" || !PHASES.includes(phase)) return null;
  const agent = decodeIdentity(value["agent"]);
  const group = value["group"] === null ? null : decodeLeader(value["group"]);
  if (agent === null || (group === null && value["group"] !== null)) return null;
  const step = value["step"];
  const isLater = typeof step === "string" && LATER_PHASES[step as RunPhase] === phase;
  return { claim, lock: lock as string, action, agent, phase: (isLater ? step : phase) as RunPhase, group };
}

function parseVersioned(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && value["v"] === VERSION ? value : null;
  } catch {
    return null;
  }
}

function runFile(claim: string): string {
  return `run-${encodeSegment(claim)}.json`;
}

/** The new name of that file after a success, where the disk had no room to write it anew. */
function doneFile(claim: string): string {
  return `done-${encodeSegment(claim)}.json`;
}

/** Any text as the name of a file: no slash, no leading dot, nothing hidden. A text that is too long becomes `~` and a hash. */
function encodeSegment(text: string): string {
  const bytes = [...Buffer.from(text)].map((byte, index) => encodeByte(byte, index === 0));
  // The empty text would be no name. Nothing else encodes to "%".
  const encoded = bytes.length === 0 ? "%" : bytes.join("");
  return encoded.length <= LONGEST_SEGMENT ? encoded : `~${createHash("sha256").update(text).digest("hex")}`;
}

function encodeByte(byte: number, isFirst: boolean): string {
  const character = String.fromCharCode(byte);
  const isPlain = isFirst ? /[A-Za-z0-9_-]/.test(character) : /[A-Za-z0-9_.-]/.test(character);
  return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

function isHashed(segment: string): boolean {
  return segment.startsWith("~");
}

/** The action whose directory has this name; `null` for any other name. */
function nameOf(home: string, segment: string, log: Log): string | null {
  let name: unknown = null;
  try {
    if (isHashed(segment)) {
      const content = readContent(join(home, segment), NAME_FILE);
      name = typeof content === "object" ? JSON.parse(content.text) : null;
    } else {
      name = segment === "%" ? "" : decodeURIComponent(segment);
    }
  } catch {
    // No action's name.
  }
  if (typeof name === "string" && encodeSegment(name) === segment) return name;
  log.warn({ path: join(home, segment) }, "something in the journal's directory does not belong to it: it stays as it is");
  return null;
}
