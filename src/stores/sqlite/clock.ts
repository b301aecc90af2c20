// The store's clock: an anchor in the database and the time that the machine has been up since. It follows no jump of
// the wall clock, is the same for all processes of the machine, and never goes back, not even over a reboot.
import { uptimeMs } from "../../uptime.js";
import type { Sql } from "./database.js";
import { readBootId } from "./process-identity.js";

/** Where a machine's time is read; tests bring others. */
export interface TimeSource {
  readonly bootId: string | null;
  uptimeMs(): number;
  wallMs(): number;
}

/** This machine's time. */
export function systemTime(): TimeSource {
  return { bootId: readBootId(), uptimeMs, wallMs: () => Date.now() };
}

// What the anchor makes of the time. Without boots to tell apart there is nothing steadier than the wall clock; it is only
// kept from going back. For the boot's id, the time since it, and the wall clock.
const NOW = "max(latest_ms, CASE WHEN boot_id = ? THEN epoch_ms + ? - uptime_ms ELSE ? END)";
const READ = `SELECT ${NOW} AS now FROM clock WHERE id = 1`;
const TICK = `UPDATE clock SET latest_ms = ${NOW} WHERE id = 1 RETURNING latest_ms AS now`;

/** Milliseconds since 1970, in a transaction that may be read-only. */
export function readClock(sql: Sql, time: TimeSource): number {
  return askClock(sql, READ, time);
}

/** The same in a transaction that writes: what it gives out is remembered, so that no later boot begins before it. */
export function tickClock(sql: Sql, time: TimeSource): number {
  return askClock(sql, TICK, time);
}

function askClock(sql: Sql, statement: string, time: TimeSource): number {
  const wallMs = time.wallMs();
  const row = sql.one(statement, time.bootId, time.bootId === null ? 0 : time.uptimeMs(), wallMs);
  return (row?.["now"] as number | undefined) ?? wallMs;
}

/** Sets the anchor for this boot, unless it is set. */
export function anchorClock(sql: Sql, time: TimeSource): void {
  const anchor = sql.one("SELECT boot_id FROM clock WHERE id = 1");
  if (anchor !== null && anchor["boot_id"] === time.bootId) return;
  const now = readClock(sql, time);
  const uptimeMs = time.bootId === null ? 0 : time.uptimeMs();
  sql.run(
    "INSERT OR REPLACE INTO clock (id, boot_id, uptime_ms, epoch_ms, latest_ms) VALUES (1, ?, ?, ?, ?)",
    time.bootId,
    uptimeMs,
    now,
    now,
  );
}
