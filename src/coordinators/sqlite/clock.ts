// The store's clock: an anchor in the database and the time that the machine has been up since. It follows no jump of
// the wall clock, is the same for all processes of the machine, and never goes back, not even over a reboot.
import { readFileSync } from "node:fs";
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
  return {
    bootId: readBootId(),
    uptimeMs: () => Math.round(Number.parseFloat(readFileSync("/proc/uptime", "utf8")) * 1_000),
    wallMs: () => Date.now(),
  };
}

/** Milliseconds since 1970, in a transaction that may be read-only. */
export function readClock(sql: Sql, time: TimeSource): number {
  const [anchor] = sql.all("SELECT boot_id, uptime_ms, epoch_ms, latest_ms FROM clock WHERE id = 1");
  if (anchor === undefined) return time.wallMs();
  const latest = anchor["latest_ms"] as number;
  // Without boots to tell apart there is nothing steadier than the wall clock; it is only kept from going back.
  const isAnchored = time.bootId !== null && anchor["boot_id"] === time.bootId;
  const now = isAnchored ? (anchor["epoch_ms"] as number) + time.uptimeMs() - (anchor["uptime_ms"] as number) : time.wallMs();
  return Math.max(now, latest);
}

/** The same in a transaction that writes: what it gives out is remembered, so that no later boot begins before it. */
export function tickClock(sql: Sql, time: TimeSource): number {
  const now = readClock(sql, time);
  sql.run("UPDATE clock SET latest_ms = ? WHERE id = 1", now);
  return now;
}

/** Sets the anchor for this boot, unless it is set. */
export function anchorClock(sql: Sql, time: TimeSource): void {
  const [anchor] = sql.all("SELECT boot_id FROM clock WHERE id = 1");
  if (anchor !== undefined && anchor["boot_id"] === time.bootId) return;
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
