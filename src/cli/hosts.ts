// What the commands for locks on hosts share: which hosts are locked with a host, and how several of them are named.
import { homedir } from "node:os";
import { readDependencies } from "../config/load.js";
import { absolutePath } from "../config/paths.js";
import { createProblems } from "../config/problems.js";
import type { Settings } from "../config/settings.js";
import type { DependencyMap } from "../leases/dependencies.js";
import { HoldlineError } from "../locks/errors.js";
import type { Invocation } from "./context.js";

/**
 * The map of dependencies in force: the file that the option names, or else the configuration's.
 * @throws HoldlineError `configuration` for a file that is not there or not right
 */
export async function dependenciesInForce(options: Invocation["options"], settings: Settings): Promise<DependencyMap> {
  const file = options["dependencies"];
  if (typeof file !== "string") return settings.dependencies;
  if (file === "") throw new HoldlineError("usage", "--dependencies names no file");
  const problems = createProblems();
  const map = await readDependencies(absolutePath(file, process.cwd(), homedir()), "--dependencies", problems);
  problems.throwIfAny();
  return map;
}

/** "dc02 and hv01", "dc02, dc03 and hv01". */
export function enumerate(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
