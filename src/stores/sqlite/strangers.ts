// Sessions that live and that the database does not know: their processes go on with another database, one that was deleted,
// moved away or written over while they had it open. What they hold there nobody can see here, so that nobody may hold it here.
import { setTimeout as pause } from "node:timers/promises";
import type { Database, Sql } from "./database.js";
import { unusable } from "./file.js";
import { knownSessions } from "./sessions.js";

// A session shows that it lives a moment before it is in the database, and a moment longer than it is there.
const PAUSE_MS = 10;

/**
 * @param patienceMs how long a session may take from the one to the other
 * @throws UnreachableError while there are such sessions
 */
export async function refuseStrangers(database: Database, patienceMs: number): Promise<void> {
  const { lives, path } = database;
  const deadline = performance.now() + patienceMs;
  // Looked up before the database is read: who has shown itself and come in meanwhile is known. Those who come later are not
  // of interest, because they have opened the database that is here now.
  let suspects = lives.names();
  for (;;) {
    if (suspects.length === 0) return;
    const known = await database.read(undefined, sessionsIfAny);
    suspects = suspects.filter((id) => !known.has(id) && lives.isHeld(id));
    if (suspects.length === 0) return;
    if (performance.now() > deadline) break;
    await pause(PAUSE_MS);
  }
  throw unusable(path, "processes still use another database that was at this path when they began", {
    hint: `end them first, or wait for them: fuser ${lives.folder}/* names them. A database may only be moved, deleted or restored while no holdline runs`,
  });
}

function sessionsIfAny(sql: Sql): ReadonlySet<string> {
  const table = sql.one("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sessions'");
  return table === null ? new Set() : knownSessions(sql);
}
