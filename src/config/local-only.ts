// Without any configuration, locks are kept in a database on one machine. This tells people once, who may expect more.
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "./settings.js";

/**
 * The notice for a store that a command has opened; `null` if somebody chose the store, or has seen the notice before.
 * @param command the command's name; each one gives the notice once on this machine
 */
export function localOnlyNotice(settings: Settings, url: string, command: string): string | null {
  const { file, coordinator, origins, stateDir, log } = settings;
  if (file !== null || url !== coordinator || origins?.get("coordinator") !== "default") return null;
  // At these levels nobody would see it.
  if (log.level === "error" || log.level === "silent") return null;
  try {
    closeSync(openSync(join(stateDir, `told-${command}`), "wx", 0o600));
  } catch (error) {
    // If the file cannot be written, the next command gives the notice again.
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
  }
  const whose = origins.get("state_dir") === "default" ? "of this user on this machine" : "of this machine";
  return `nothing is configured: this is a lock ${whose} only (its database is in ${stateDir}). To share locks between machines, set \`coordinator\` or HOLDLINE_COORDINATOR`;
}
