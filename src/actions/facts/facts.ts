// The facts of a real machine, for gates.
import { stat } from "node:fs/promises";
import type { Log } from "../../locks/log.js";
import type { Facts, Processes } from "../machine.js";
import type { SeenFiles } from "../state/seen-files.js";
import { lookForAlerts } from "./alerts.js";
import { lookForChanges } from "./changed.js";
import { inTime, TooLongError } from "./in-time.js";
import { lookForOutdated } from "./outdated.js";

export interface FactsOptions {
  readonly processes: Processes;
  readonly seen: SeenFiles;
  readonly log: Log;
  /** How long a look at files or processes takes at most, in milliseconds: a place in line may wait for it. */
  readonly mostMs?: number;
}

// As long as a sign's command has. Who has more files to look at than that wants to hear of it.
const MOST_MS = 60_000;

export function createFacts({ processes, seen, log, mostMs = MOST_MS }: FactsOptions): Facts {
  const unlessLong = async <T extends object>(
    what: string,
    stop: AbortSignal | undefined,
    look: (signal: AbortSignal) => Promise<T>,
  ) => {
    try {
      return await inTime(mostMs, stop, look);
    } catch (error) {
      if (!(error instanceof TooLongError)) throw error;
      return { found: "problem", problem: `${what} ${error.message}` } as const;
    }
  };
  return {
    wallNow: () => Date.now(),
    zone: () => new Intl.DateTimeFormat().resolvedOptions().timeZone,
    async file(path, stop) {
      const looked = await unlessLong("it", stop, () => lookForFile(path));
      return "found" in looked ? { sign: "file", path, problem: looked.problem } : looked;
    },
    changed(request, stop) {
      const debug = (pattern: string): void =>
        log.debug({ action: request.action, pattern }, "no file matches this pattern of `needed.changed`");
      return unlessLong("looking at the files of `changed`", stop, (signal) =>
        lookForChanges(request, { processes, seen, wallNow: Date.now, debug }, signal),
      );
    },
    outdated: (pattern, stop) =>
      unlessLong("looking at the files of its processes", stop, async () => lookForOutdated(await processes.matching(pattern))),
    alerts: lookForAlerts,
  };
}

async function lookForFile(path: string): ReturnType<Facts["file"]> {
  try {
    await stat(path);
    return { sign: "file", path, isThere: true };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    // ELOOP: links that lead in a circle, to no file.
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(code)) return { sign: "file", path, isThere: false };
    return { sign: "file", path, problem: code };
  }
}
