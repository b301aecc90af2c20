// The directory that this process works in, which others may remove while it does.
import { existsSync } from "node:fs";

/** Its path; `null` where it is gone. What is started without a path of its own begins there all the same. */
export function workingDirectory(): string | null {
  try {
    const path = process.cwd();
    // Node remembers what it has said once.
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}
