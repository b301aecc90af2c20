// Which machine this is, so that only the machine that made a claim takes it for its own: names are often shared by all
// machines of one image. No single sign is enough. /etc/machine-id is copied with an image, the hardware's id is there
// for root alone and not everywhere, and the state directory is another one for each user; so all three are compared.
import { createHash, randomUUID } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { differs, encodeSigns, type MachineSigns } from "../../line/machine-signs.js";
import { isObject } from "../../locks/claim.js";
import type { Log } from "../../locks/coordinator.js";
import { makeTopDirectory, readContent, setAside, writeWhole } from "./durable-files.js";

/** Where the signs of a machine are read; tests bring others. */
export const PLACES = { machineId: "/etc/machine-id", hardware: "/sys/class/dmi/id/product_uuid" };
export type Places = typeof PLACES;

const STATE_FILE = "machine.json";

/**
 * The machine as claims carry it. A state directory that was copied to another machine, with an image say, is begun anew:
 * the journal in it tells of what that other machine has left.
 * @throws HoldlineError `configuration` when the state directory cannot be made or written
 */
export function openMachineIdentity(stateDir: string, log: Log, places: Places = PLACES): string {
  const here = { machineId: hashOf(places.machineId), hardware: hashOf(places.hardware) };
  return encodeSigns({ ...here, state: openState(stateDir, here, log) });
}

/** The same without making or mending anything, for those who only look. A state directory that they may not read says nothing. */
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
    log.warn({ journal: aside }, "the state directory was copied from another machine: what its journal says is set aside");
  }
  writeWhole(stateDir, STATE_FILE, `${JSON.stringify({ v: 1, ...here, state })}\n`);
  // Of two processes that do this at the same time the later one has written what both go by.
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

/** `null` for what was not written here. */
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
    return null; // Not there, or not for this user: one sign fewer.
  }
}

// Enough to tell machines apart, and too little to give the ids away, which some take for secrets.
function shorten(text: string): string {
  return createHash("sha256").update(`holdline machine ${text}`).digest("hex").slice(0, 16);
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
