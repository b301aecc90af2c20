// Where nothing is configured, locks are those of one machine, in a database there. People who expect more hear of it once.
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "./settings.js";

/**
 * What to say of the store that a command has opened; `null` where somebody has chosen it, or where that has been said before.
 * @param command its name: for each of them it is said once on this machine
 */
export function localOnlyNotice(settings: Settings, url: string, command: string): string | null {
  const { file, coordinator, origins, stateDir, log } = settings;
  if (file !== null || url !== coordinator || origins?.get("coordinator") !== "default") return null;
  // Who does not hear it has not been told.
  if (log.level === "error" || log.level === "silent") return null;
  try {
    closeSync(openSync(join(stateDir, `told-${command}`), "wx", 0o600));
  } catch (error) {
    // Where it cannot be noted, it is said again.
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
  }
  const whose = origins.get("state_dir") === "default" ? "of this user on this machine" : "of this machine";
  return `nothing is configured: this is a lock ${whose} only (its database is in ${stateDir}). For a lock of several machines set \`coordinator\`, or HOLDLINE_COORDINATOR`;
}
