// Sessions: which open coordinators there are, in which processes, and what goes when one of those has ended.
import { setMaxListeners } from "node:events";
import type { ProcessIdentity } from "../../locks/claim.js";
import type { Session } from "../../locks/coordinator.js";
import { SessionLostError } from "../../locks/errors.js";
import type { Row, Sql } from "./database.js";
import type { Lives } from "./lives.js";
import { isGone, isInSight } from "./process-identity.js";

//   alive → lost (closed, or given up because a claim could not be withdrawn, or found to have been removed)
export class SqliteSession implements Session {
  /** A process cannot lose itself: nobody else takes its place before it has heard of the loss. */
  readonly graceMs = 0;
  readonly #loss = new AbortController();
  #seen: number;

  constructor(
    readonly id: string,
    /** The counter when it began: what has a smaller revision was joined in an earlier session. */
    readonly began: number,
  ) {
    // All who wait in it listen.
    setMaxListeners(0, this.#loss.signal);
    this.#seen = began;
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  /** A process that lives keeps its session, however long it is silent. */
  heldUntil(): number {
    return Number.POSITIVE_INFINITY;
  }

  latestRevision(): number {
    return this.#seen;
  }

  see(number: number): void {
    this.#seen = Math.max(this.#seen, number);
  }

  lose(reason: string): void {
    if (!this.lost.aborted) this.#loss.abort(new SessionLostError(reason));
  }
}

export function hasSession(sql: Sql, id: string): boolean {
  return sql.one("SELECT 1 FROM sessions WHERE id = ?", id) !== null;
}

export function knownSessions(sql: Sql): ReadonlySet<string> {
  return new Set(sql.all("SELECT id FROM sessions").map((row) => row["id"] as string));
}

/** Ends sessions with their ephemeral claims. Durable claims stay, and show that nobody runs them. */
export function endSessions(sql: Sql, ids: readonly string[]): void {
  for (const id of ids) {
    sql.run("DELETE FROM claims WHERE session = ? AND durable = 0", id);
    sql.run("DELETE FROM sessions WHERE id = ?", id);
  }
}

/** Puts a new session in the place of a former one of the same coordinator: durable claims pass on to it, ephemeral ones end. */
export function replaceSession(sql: Sql, former: string | null, id: string, self: ProcessIdentity): void {
  if (former !== null) {
    sql.run("UPDATE claims SET session = ? WHERE session = ? AND durable = 1", id, former);
    endSessions(sql, [former]);
  }
  sql.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", id, self.bootId, self.pidNamespace, self.pid, self.startTicks);
}

/** Whose processes are looked at: all, those with claims on some locks, or those of some entries of one lock. */
export type Scope = "all" | { readonly locks: readonly string[] } | { readonly lock: string; readonly refs: readonly string[] };

/**
 * The sessions within `scope` whose processes are gone.
 * @param lives says it of processes that this one cannot look at
 */
export function findGone(sql: Sql, scope: Scope, self: ProcessIdentity, lives: Pick<Lives, "hasEnded">): readonly string[] {
  return sessionsIn(sql, scope).flatMap((row) => {
    const [id, identity] = [row["id"] as string, identityIn(row)];
    return isGone(identity, self) || (!isInSight(identity, self) && lives.hasEnded(id)) ? [id] : [];
  });
}

function sessionsIn(sql: Sql, scope: Scope): readonly Row[] {
  if (scope === "all") return sql.all("SELECT * FROM sessions");
  if ("locks" in scope) {
    return sql.all(
      "SELECT * FROM sessions WHERE id IN (SELECT session FROM claims WHERE lock IN (SELECT value FROM json_each(?)))",
      JSON.stringify(scope.locks),
    );
  }
  return sql.all(
    "SELECT * FROM sessions WHERE id IN (SELECT session FROM claims WHERE lock = ? AND position IN (SELECT value FROM json_each(?)))",
    scope.lock,
    JSON.stringify(scope.refs.map(Number)),
  );
}

/** The process in a row of `sessions`. */
function identityIn(row: Row): ProcessIdentity {
  return {
    bootId: row["boot_id"] as string | null,
    pidNamespace: row["pid_namespace"] as string | null,
    pid: row["pid"] as number,
    startTicks: row["start_ticks"] as number | null,
  };
}
