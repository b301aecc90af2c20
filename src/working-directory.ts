// The directory that this process works in. Others may remove it meanwhile.
import { existsSync } from "node:fs";

/** Its path; `null` if it is gone. Commands that name no directory start there all the same. */
export function workingDirectory(): string | null {
  try {
    const path = process.cwd();
    // Node caches its first answer.
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}
