// Which machine this is, so that only the machine that made a claim takes the claim for its own: all machines of one image may
// share a name. No single sign is enough: an image copies /etc/machine-id, only root can read the hardware's id, and not
// everywhere, and each user has a state directory of their own. So machine-signs.ts compares all three.
import { createHash, randomUUID } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { differs, encodeSigns, type MachineSigns } from "../../line/machine-signs.js";
import { isObject } from "../../locks/claim.js";
import type { Log } from "../../locks/log.js";
import { makeTopDirectory, readContent, setAside, writeWhole } from "./durable-files.js";

/** Where a machine has its signs; tests bring other places. */
export const PLACES = { machineId: "/etc/machine-id", hardware: "/sys/class/dmi/id/product_uuid" };
export type Places = typeof PLACES;

const STATE_FILE = "machine.json";

/**
 * The machine as claims name it. Begins a state directory anew that was copied from another machine, with an image say: the
 * journal in it tells what that other machine has left.
 * @throws HoldlineError `configuration` when it cannot make or write the state directory
 */
export function openMachineIdentity(stateDir: string, log: Log, places: Places = PLACES): string {
  const here = { machineId: hashOf(places.machineId), hardware: hashOf(places.hardware) };
  return encodeSigns({ ...here, state: openState(stateDir, here, log) });
}

/** The same for callers that only look: it makes and mends nothing. A state directory that it may not read counts as unknown. */
export function readMachineIdentity(stateDir: string, places: Places = PLACES): string {
  const known = lookAtState(stateDir);
  return encodeSigns({ machineId: hashOf(places.machineId), hardware: hashOf(places.hardware), state: known?.state ?? null });
}

function lookAtState(stateDir: string): State | null {
  try {
    const content = readContent(stateDir, STATE_FILE);
    return typeof content === "object" ? parseState(content.text) : null;
  } catch {
    return null;
  }
}

function openState(stateDir: string, here: Omit<MachineSigns, "state">, log: Log): string {
  makeTopDirectory(stateDir);
  const known = readState(stateDir);
  if (known !== null && !differs(known.machineId, here.machineId) && !differs(known.hardware, here.hardware)) return known.state;
  const state = shorten(randomUUID());
  if (known !== null) {
    const journal = join(stateDir, "journal");
    const aside = `${journal}.of-another-machine-${known.state}`;
    renameIfThere(journal, aside);
    log.warn({ journal: aside }, "the state directory was copied from another machine: its journal is set aside");
  }
  writeWhole(stateDir, STATE_FILE, `${JSON.stringify({ v: 1, ...here, state })}\n`);
  // If two processes do this at once, both go by what the later one has written.
  return readState(stateDir)?.state ?? state;
}

type State = MachineSigns & { readonly state: string };

function readState(stateDir: string): State | null {
  const content = readContent(stateDir, STATE_FILE);
  if (content === "nothing") return null;
  const state = content === "something else" ? null : parseState(content.text);
  if (state === null) setAside(stateDir, STATE_FILE);
  return state;
}

/** `null` for a text that this module has not written. */
function parseState(text: string): State | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value["v"] !== 1 || typeof value["state"] !== "string") return null;
  return { state: value["state"], machineId: textOrNull(value["machineId"]), hardware: textOrNull(value["hardware"]) };
}

function renameIfThere(path: string, target: string): void {
  try {
    renameSync(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function hashOf(path: string): string | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? null : shorten(text);
  } catch {
    return null; // The file is missing, or this user may not read it: one sign fewer.
  }
}

// Enough to tell machines apart, and not enough to give away the ids, which some hold to be secrets.
function shorten(text: string): string {
  return createHash("sha256").update(`holdline machine ${text}`).digest("hex").slice(0, 16);
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
