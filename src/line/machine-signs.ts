// The signs by which a claim names its machine, and whether two claims come from the same one. Reads no signs itself:
// actions/state/machine-identity.ts does.
import type { Owner, ProcessIdentity } from "../locks/claim.js";

/** The signs of a machine, as hashes; `null` for a sign that it lacks or that this user may not read. */
export interface MachineSigns {
  readonly machineId: string | null;
  readonly hardware: string | null;
  /** The state directory's own: random, made with its first use. */
  readonly state: string | null;
}

const UNKNOWN = "-";

/** The signs as a claim carries them. */
export function encodeSigns({ machineId, hardware, state }: MachineSigns): string {
  return [machineId, hardware, state].map((sign) => sign ?? UNKNOWN).join(".");
}

/** Reads the signs of a claim, which anybody may have written: everything that is no sign counts as unknown. */
function decodeSigns(text: string | null): MachineSigns {
  const [machineId = UNKNOWN, hardware = UNKNOWN, state = UNKNOWN] = (text ?? "").split(".");
  const known = (sign: string): string | null => (/^[0-9a-f]{16}$/.test(sign) ? sign : null);
  return { machineId: known(machineId), hardware: known(hardware), state: known(state) };
}

/** A machine, and a process that runs on it. */
export interface MachineSelf {
  readonly machine: string;
  readonly process: ProcessIdentity;
}

/**
 * Whether a claim was made on this very machine. The same boot proves it, unless the signs say that two containers share
 * that boot. After a reboot the hardware's id or the state directory decides. Where neither is known on both sides, as with
 * the claims of version 0.1, the answer is no, and the claim is left to an admin.
 */
export function isOfMachine({ machine, process }: Owner, self: MachineSelf): boolean {
  const [one, other] = [decodeSigns(machine ?? null), decodeSigns(self.machine)];
  if (differs(one.machineId, other.machineId) || differs(one.hardware, other.hardware)) return false;
  const isSameBoot = process !== null && process.bootId !== null && process.bootId === self.process.bootId;
  return isSameBoot || agrees(one.hardware, other.hardware) || agrees(one.state, other.state);
}

/** Whether both signs are known, and say different things. */
export function differs(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && one !== other;
}

function agrees(one: string | null, other: string | null): boolean {
  return one !== null && one === other;
}
