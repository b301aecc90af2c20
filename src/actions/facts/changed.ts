// Whether one of the files that an action names is newer than the process that has read them: the sign `needed.changed`.
//
// A file tells by its ctime when it last changed: writing sets it, and so do renaming, linking, and a change of owner or mode.
// Its mtime is no help: `cp -p`, `mv`, `rsync -t` and `tar` set it to what it was elsewhere. So a chmod counts as a change, and
// an action may run once too often; a change is not missed.
//
// A ctime is wall time, and a process starts at a tick since boot. The two are compared by the wall time of the boot, as the clocks
// have it at this moment; so a clock that was set between boot and the change of the file does not matter, as long as both clocks
// run on together. What is too close to call counts as changed. Two cases remain. A file that changed before the clock was put
// forward, after the process had started, looks older than it is. And where the clock was put back, or the file has the time of a
// server with another clock, a file looks newer than a process that has read it: against that, the run remembers the files as it
// has found them (state/seen-files.ts). A process that has started since then has read them, whatever their times say.
import type { BigIntStats } from "node:fs";
import type { ChangedFact } from "../../gates/needed.js";
import type { BootMoment } from "../../locks/claim.js";
import { ticksNow } from "../../proc.js";
import type { ChangedRequest, Processes } from "../machine.js";
import { eldestOf, hasRestarted } from "../processes.js";
import type { SeenFiles } from "../state/seen-files.js";
import { findFiles, SearchProblem } from "./files.js";

// The kernel's times of files are those of its latest timer interrupt: up to a hundredth of a second behind.
const BEHIND_MS = 10;
const MS_PER_TICK = 10;

export interface ChangedContext {
  readonly processes: Pick<Processes, "moment" | "matching">;
  readonly seen: SeenFiles;
  /** Milliseconds since 1970 by the wall clock, which dates files. */
  readonly wallNow: () => number;
  /** Called where a pattern finds nothing. */
  readonly debug: (pattern: string) => void;
}

export async function lookForChanges(
  { action, patterns, pattern, remembers }: ChangedRequest,
  { processes, seen, wallNow, debug }: ChangedContext,
  signal?: AbortSignal,
): Promise<ChangedFact> {
  // Before the files: a process that starts after this has read them as they are found now, or newer.
  const moment = processes.moment();
  const running = await processes.matching(pattern);
  const eldest = eldestOf(running);
  if (eldest === null) return { found: "no-process" };
  const startedMs = earliestStartMs(eldest.started, wallNow);
  const newer = new Map<string, string>();
  const looked = new Set<string>();
  try {
    for (const each of patterns) {
      const hasMatch = await findFiles(
        each,
        (path, stats) => {
          // A link and what it leads to have one path.
          const key = stats.isSymbolicLink() ? `${path}@` : path;
          looked.add(key);
          if (Number(stats.ctimeNs / 1_000_000n) + BEHIND_MS >= startedMs) newer.set(key, stateOf(stats));
        },
        signal,
      );
      if (!hasMatch) debug(each);
    }
  } catch (error) {
    if (error instanceof SearchProblem) return { found: "problem", problem: error.message };
    throw error;
  }
  if (newer.size > 0) {
    const known = seen.latest(action);
    const hasRead = known !== null && hasRestarted(known.moment, running);
    const unread = [...newer].find(([key, state]) => !hasRead || !known.isAsSeen(key, state));
    if (unread !== undefined) {
      if (remembers) seen.save(action, moment, newer);
      return { found: "newer", path: unread[0].replace(/@$/, ""), pid: eldest.pid };
    }
  }
  return { found: "none-newer", files: looked.size };
}

/** What tells a file from itself after a change, and from another in its place. */
function stateOf({ ctimeNs, dev, ino, size }: BigIntStats): string {
  return `${ctimeNs} ${dev} ${ino} ${size}`;
}

/** A wall time, in milliseconds since 1970, before which the process has certainly not started. */
function earliestStartMs({ ticks, wallMs }: BootMoment, wallNow: () => number): number {
  // In this order: a pause between the two makes the boot, and so the start, look earlier, and never later.
  const nowMs = wallNow();
  const nowTicks = ticksNow();
  // Start times by the wall clock are whole seconds.
  if (ticks === null || nowTicks === null) return Math.floor(wallMs / 1_000) * 1_000;
  // Both counts of ticks are rounded down.
  return nowMs - (nowTicks + 1 - ticks) * MS_PER_TICK;
}
