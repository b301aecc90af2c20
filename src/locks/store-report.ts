// What there is to say of a store, for people: what it is, how well it does, and what is wrong with it. Every store says it in one form.
import type { ErrorCode } from "./errors.js";

/** What is to be said of a store. */
export interface Finding {
  readonly severity: "error" | "warning";
  /** Of an error, as of those that are thrown: `not-allowed` for what these credentials may not do and runs need. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

/** A store as it was found, for people. */
export interface StoreReport {
  /**
   * What it is: name and value, in the order in which they are shown. First come those that every store has, then its own. A time has
   * a name that ends in "Ms".
   */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly findings: readonly Finding[];
}

/**
 * What a store under the engine says of itself. The engine adds what it can measure: latency, durability (a trait) and clock. The rights
 * are told by the findings: one with the code `not-allowed` for each thing that runs need and these credentials may not do, such as
 * "may not write the history in schema holdline: permission denied". It tries them without changing anything.
 */
export interface Examined {
  /** `etcd`, `postgresql`: the server's name, and not the URL's. */
  readonly kind: string;
  /** The server's own, as it says it; `null` where it says none. */
  readonly version: string | null;
  /** `host:port` of those that the URL names; empty for a store without servers. */
  readonly servers: readonly string[];
  /** What else there is to know, such as the root, who connects, how it is encrypted, replicas. No secrets. */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly findings: readonly Finding[];
}

/** What is measured of a store. */
export interface Measured {
  /** How long one request took. */
  readonly latencyMs: number;
  /** The trait. */
  readonly durability: string;
  /** The store's time in the middle of that request; `null` where it may not be asked. */
  readonly time: { readonly ms: number; readonly errorMs: number } | null;
  /** This machine's at the same moment. */
  readonly now: number;
}

/** The report in its one form. */
export function reportOf(
  { kind, version, servers, facts, findings }: Examined,
  { latencyMs, durability, time, now }: Measured,
): StoreReport {
  return {
    facts: {
      kind,
      ...(version === null ? {} : { version }),
      ...(servers.length === 0 ? {} : { servers: servers.join(", ") }),
      latencyMs: Math.round(latencyMs * 100) / 100,
      durability,
      ...(time === null ? {} : { clockErrorMs: time.errorMs, clockAheadMs: Math.round(time.ms - now) }),
      rights: findings.some(({ code }) => code === "not-allowed") ? "not all that runs need" : "all that runs need",
      ...facts,
    },
    findings,
  };
}
