// Sessions: which open stores there are, in which processes, and what goes when one of those has ended.
import type { ProcessIdentity } from "../../locks/claim.js";
import type { Row, Sql } from "./database.js";
import type { Lives } from "./lives.js";
import { isGone, isInSight } from "./process-identity.js";
import type { SessionSight } from "./rows.js";

export function hasSession(sql: Sql, id: string): boolean {
  return sql.one("SELECT 1 FROM sessions WHERE id = ?", id) !== null;
}

export function knownSessions(sql: Sql): ReadonlySet<string> {
  return new Set(sql.all("SELECT id FROM sessions").map((row) => row["id"] as string));
}

/** Writes a session down with its process. */
export function addSession(sql: Sql, id: string, { bootId, pidNamespace, pid, startTicks }: ProcessIdentity): void {
  sql.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", id, bootId, pidNamespace, pid, startTicks);
}

/** Ends a session with its ephemeral claims. Durable claims stay, and show that their owner is gone. */
export function endSession(sql: Sql, id: string): void {
  sql.run("DELETE FROM claims WHERE session = ? AND durable = 0", id);
  sql.run("DELETE FROM sessions WHERE id = ?", id);
}

/** What is needed to see whether a session lives. */
export interface Observer {
  /** This process. */
  readonly self: ProcessIdentity;
  /** Tells it of processes that this one cannot look at. */
  readonly lives: Pick<Lives, "hasEnded">;
}

/** Looks at sessions in one transaction, at each once. */
export function sightOf(sql: Sql, observer: Observer): SessionSight {
  const seen = new Map<string, boolean>();
  return (session) => {
    let isAlive = seen.get(session);
    if (isAlive === undefined) {
      const row = sql.one("SELECT * FROM sessions WHERE id = ?", session);
      isAlive = row !== null && !hasEnded(row, observer);
      seen.set(session, isAlive);
    }
    return isAlive;
  };
}

/** The sessions whose processes are gone. */
export function findEnded(sql: Sql, observer: Observer): readonly string[] {
  return sql.all("SELECT * FROM sessions").flatMap((row) => (hasEnded(row, observer) ? [row["id"] as string] : []));
}

function hasEnded(row: Row, { self, lives }: Observer): boolean {
  const identity = identityIn(row);
  return isGone(identity, self) || (!isInSight(identity, self) && lives.hasEnded(row["id"] as string));
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
