// Checks what callers of the library hand in, who may write JavaScript without types. A wrong value is refused in words that
// name the option and what would be right.
import type { DependencyMap } from "../leases/dependencies.js";
import { parseHost } from "../leases/hosts.js";
import { isSlots } from "../locks/claim.js";
import { plainData } from "../locks/data.js";
import { HoldlineError } from "../locks/errors.js";
import { ID_EXAMPLE, parseAnyClaimId, parseClaimId } from "../locks/ids.js";
import { defaultSlots } from "../locks/rule.js";
import { quoted } from "../locks/text.js";

/** By host, the hosts that depend on it: `{ hv01: ["dc01", "vmm01"] }`. */
export type Dependencies = Readonly<Record<string, readonly string[]>> | ReadonlyMap<string, readonly string[]>;

/** @throws HoldlineError `usage` */
export function readSharing({ key, slots }: { readonly key?: string | null; readonly slots?: number }): {
  readonly key: string | null;
  readonly slots: number;
} {
  const shared = readText(key, "key");
  const allowed = slots ?? defaultSlots(shared);
  if (!isSlots(allowed)) throw new HoldlineError("usage", `slots must be a whole number from 1, not ${quoted(slots)}`);
  return { key: shared, slots: allowed };
}

/** A text, or `null` for none. @throws HoldlineError `usage` */
export function readText(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" && value !== "" && !value.includes("\0") && value.isWellFormed()) return value;
  throw new HoldlineError("usage", `${name} must be well-formed text without a NUL character, and not empty`);
}

const ID_HINT = `a claim's id is a UUID, such as ${ID_EXAMPLE}; the lock's name comes before it`;

/** The id of a lease. @throws HoldlineError `usage` */
export function readId(value: unknown): string {
  return parseClaimId(readText(value, "the id of a claim") ?? "", ID_HINT);
}

/** The id of any claim, also of another program's. @throws HoldlineError `usage` */
export function readAnyId(value: unknown): string {
  return parseAnyClaimId(readText(value, "the id of a claim") ?? "", ID_HINT);
}

/** A time to wait, in milliseconds: 0 is not at all, and `Infinity`, which becomes `null`, for ever. @throws HoldlineError `usage` */
export function readTimeoutMs(value: unknown, fallback: number): number | null {
  const ms = value ?? fallback;
  if (typeof ms !== "number" || !(ms >= 0)) {
    throw new HoldlineError("usage", `timeoutMs must be a number of milliseconds from 0, not ${quoted(value)}`);
  }
  return Number.isFinite(ms) ? ms : null;
}

/** How long a lease lasts, in milliseconds; `null` or `Infinity`: until somebody ends it. @throws HoldlineError `usage` */
export function readTtlMs(value: unknown, fallback: number | null): number | null {
  const ms = value === undefined ? fallback : value;
  if (ms === null || ms === Number.POSITIVE_INFINITY) return null;
  if (typeof ms === "number" && ms > 0) return ms;
  throw new HoldlineError("usage", `ttlMs must be a number of milliseconds above 0, or null, not ${quoted(value)}`);
}

/** A copy of some data. @throws HoldlineError `usage` for data that JSON cannot carry, and for too much */
export function parseData(value: unknown): unknown {
  const plain = plainData(value ?? null);
  if ("problem" in plain) throw new HoldlineError("usage", `data ${plain.problem}`);
  return JSON.parse(JSON.stringify(plain.data));
}

/** @throws HoldlineError `usage` */
export function readDependencies(value: Dependencies = {}): DependencyMap {
  const entries: readonly (readonly [string, unknown])[] = value instanceof Map ? [...value] : Object.entries(value);
  const map = new Map<string, readonly string[]>();
  for (const [name, dependents] of entries) {
    const host = parseHost(name);
    if (!Array.isArray(dependents) || !dependents.every((dependent) => typeof dependent === "string")) {
      throw new HoldlineError("usage", `dependencies: ${host} must have a list of the hosts that depend on it`);
    }
    map.set(host, [...(map.get(host) ?? []), ...(dependents as readonly string[]).map(parseHost)]);
  }
  return map;
}
