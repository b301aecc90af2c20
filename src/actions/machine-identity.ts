// Which machine this is, so that only the machine that made a claim takes it for its own: names are often shared by all
// machines of one image. No single sign is enough. /etc/machine-id is copied with an image, the hardware's id is there
// for root alone and not everywhere, and the state directory is another one for each user; so all three are compared.
import { createHash, randomUUID } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Owner, ProcessIdentity } from "../locks/claim.js";
import { isObject } from "../locks/claim.js";
import type { Log } from "../locks/coordinator.js";
import { makeTopDirectory, readContent, setAside, writeWhole } from "./durable-files.js";

/** What is known of a machine; `null` where it has no such sign, or this user may not read it. Hashes, not the ids themselves. */
interface Signs {
  readonly machineId: string | null;
  readonly hardware: string | null;
  /** Of the state directory: made at random with its first use. */
  readonly state: string | null;
}

/** Where the signs of a machine are read; tests bring others. */
export const PLACES = { machineId: "/etc/machine-id", hardware: "/sys/class/dmi/id/product_uuid" };
export type Places = typeof PLACES;

const STATE_FILE = "machine.json";
const UNKNOWN = "-";

/**
 * The machine as claims carry it. A state directory that was copied to another machine, with an image say, is begun anew:
 * the journal in it tells of what that other machine has left.
 * @throws HoldlineError `configuration` when the state directory cannot be made or written
 */
export function openMachineIdentity(stateDir: string, log: Log, places: Places = PLACES): string {
  const here = { machineId: hashOf(places.machineId), hardware: hashOf(places.hardware) };
  return encode({ ...here, state: openState(stateDir, here, log) });
}

/** The same without making or mending anything, for those who only look. A state directory that they may not read says nothing. */
export function readMachineIdentity(stateDir: string, places: Places = PLACES): string {
  const known = lookAtState(stateDir);
  return encode({ machineId: hashOf(places.machineId), hardware: hashOf(places.hardware), state: known?.state ?? null });
}

function lookAtState(stateDir: string): State | null {
  try {
    const content = readContent(stateDir, STATE_FILE);
    return typeof content === "object" ? parseState(content.text) : null;
  } catch {
    return null;
  }
}

function openState(stateDir: string, here: Omit<Signs, "state">, log: Log): string {
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

type State = Signs & { readonly state: string };

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

/** This machine and process, as far as another's claim is compared with it. */
export interface MachineSelf {
  readonly machine: string;
  readonly process: ProcessIdentity;
}

/**
 * Was a claim made on this very machine? The same boot is proof, unless the signs say that two containers share it. After
 * a reboot the hardware's id or the state directory decides; where neither is known on both sides, as with the claims of
 * version 0.1, the claim is not taken for this machine's, and is left to an admin.
 */
export function isOfMachine({ machine, process }: Owner, self: MachineSelf): boolean {
  const [one, other] = [decode(machine ?? null), decode(self.machine)];
  const contradicts = differs(one.machineId, other.machineId) || differs(one.hardware, other.hardware);
  if (contradicts) return false;
  const isSameBoot = process !== null && process.bootId !== null && process.bootId === self.process.bootId;
  return isSameBoot || agrees(one.hardware, other.hardware) || agrees(one.state, other.state);
}

function differs(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && one !== other;
}

function agrees(one: string | null, other: string | null): boolean {
  return one !== null && one === other;
}

function encode({ machineId, hardware, state }: Signs): string {
  return [machineId, hardware, state].map((sign) => sign ?? UNKNOWN).join(".");
}

/** Of whatever stands there: a claim may have been written by anybody. */
function decode(text: string | null): Signs {
  const [machineId = UNKNOWN, hardware = UNKNOWN, state = UNKNOWN] = (text ?? "").split(".");
  const known = (sign: string): string | null => (/^[0-9a-f]{16}$/.test(sign) ? sign : null);
  return { machineId: known(machineId), hardware: known(hardware), state: known(state) };
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
