// The facts of a real machine, for gates.
import { stat } from "node:fs/promises";
import type { Log } from "../../locks/log.js";
import type { Facts, Processes } from "../machine.js";
import type { SeenFiles } from "../state/seen-files.js";
import { lookForAlerts } from "./alerts.js";
import { lookForChanges } from "./changed.js";
import { lookForOutdated } from "./outdated.js";

export function createFacts({ processes, seen, log }: { processes: Processes; seen: SeenFiles; log: Log }): Facts {
  return {
    wallNow: () => Date.now(),
    zone: () => new Intl.DateTimeFormat().resolvedOptions().timeZone,
    file: lookForFile,
    changed(request, signal) {
      const debug = (pattern: string): void =>
        log.debug({ action: request.action, pattern }, "no file matches this pattern of `needed.changed`");
      return lookForChanges(request, { processes, seen, wallNow: Date.now, debug }, signal);
    },
    outdated: async (pattern) => lookForOutdated(await processes.matching(pattern)),
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
