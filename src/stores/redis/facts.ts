// What a server says of itself: its version, whether it is a primary, what it forgets by itself, and what an acknowledged write survives.
import { HoldlineError } from "../../locks/errors.js";

/** What a server says of itself. */
export interface ServerFacts {
  /** `redis` or `valkey`. */
  readonly kind: string;
  readonly version: string;
  readonly isPrimary: boolean;
  /** Whom a replica follows; `null` for a primary. */
  readonly follows: string | null;
  /** Changes when it starts anew, and when it takes another server's place. */
  readonly home: string;
  readonly replicas: number;
  /** By which it makes room; `null` where this user may not know. */
  readonly evicts: string | null;
  readonly keepsLog: boolean;
  /** When it brings the log to the disk: `always`, `everysec`, `no`; `null` where this user may not know. */
  readonly syncs: string | null;
}

export const FACTS_SECTIONS = ["server", "replication", "persistence", "memory"];

/** @param info the reply to INFO with {@link FACTS_SECTIONS}; @param syncs what CONFIG GET says of `appendfsync`, where it may be asked */
export function factsIn(info: string, syncs: string | null): ServerFacts {
  const lines = info.split("\r\n").map((line) => line.split(/:(.*)/s, 2) as [string, string]);
  const known = new Map(lines);
  const valkey = known.get("valkey_version");
  const isPrimary = known.get("role") === "master";
  return {
    kind: valkey === undefined ? "redis" : "valkey",
    version: valkey ?? known.get("redis_version") ?? "",
    isPrimary,
    follows: isPrimary ? null : `${known.get("master_host")}:${known.get("master_port")}`,
    home: `${known.get("run_id")}:${known.get("master_replid")}`,
    replicas: Number(known.get("connected_slaves") ?? 0),
    evicts: known.get("maxmemory_policy") ?? null,
    keepsLog: known.get("aof_enabled") === "1",
    syncs,
  };
}

/**
 * How many replicas have to have a write for a majority of the servers to have it.
 * @param isStrict whether Sentinels may put a replica in the primary's place, and nothing may be lost by that: then one has to have it
 * also where none is in sight, as nobody can tell a primary that is cut off from one that has just been made
 */
export function replicasToWaitFor({ replicas }: ServerFacts, isStrict: boolean): number {
  return Math.max(isStrict ? 1 : 0, Math.floor((replicas + 1) / 2));
}

/** What an acknowledged write survives, given how many replicas are waited for. */
export function durabilityOf({ keepsLog, syncs }: ServerFacts, waitsFor: number): "quorum" | "disk" | "may-lose" {
  if (waitsFor > 0) return "quorum";
  return keepsLog && syncs === "always" ? "disk" : "may-lose";
}

/**
 * Whether the server can be used at all.
 * @throws HoldlineError `configuration` for one that is too old, or that may forget what it holds
 */
export function checkFacts({ kind, version, evicts }: ServerFacts, server: string): void {
  if (kind === "redis" && Number.parseInt(version, 10) < OLDEST) {
    throw new HoldlineError("configuration", `the server ${server} is Redis ${version}, which is too old`, {
      hint: `use Redis ${OLDEST} or later, or Valkey`,
    });
  }
  // Without an end of their own the store's keys are no "volatile" ones.
  if (evicts?.startsWith("allkeys-") === true) {
    throw new HoldlineError(
      "configuration",
      `the server ${server} drops keys when its memory is full (maxmemory-policy ${evicts}), and claims with them`,
      { hint: "set maxmemory-policy to noeviction, or use another server" },
    );
  }
}

// The first whose scripts say whether they may run when the memory is full.
const OLDEST = 7;
