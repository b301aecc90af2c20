// What the commands for locks on hosts share: which hosts are locked with a host, and how several of them are named.
import { homedir } from "node:os";
import { readDependencies } from "../config/load.js";
import { absolutePath } from "../config/paths.js";
import { createProblems } from "../config/problems.js";
import type { Settings } from "../config/settings.js";
import type { DependencyMap } from "../leases/dependencies.js";
import { HoldlineError } from "../locks/errors.js";
import { mayBeSame } from "../leases/hosts.js";
import { hostLock, hostOfLock } from "../locks/names.js";
import type { Invocation } from "./command.js";
import type { Context } from "./context.js";
import { workingDirectory } from "../working-directory.js";

/**
 * The map of dependencies in force: the file that the option names, or else the configuration's.
 * @throws HoldlineError `configuration` for a file that is not there or not right
 */
export async function dependenciesInForce(options: Invocation["options"], settings: Settings): Promise<DependencyMap> {
  const file = options["dependencies"];
  if (typeof file !== "string") return settings.dependencies;
  if (file === "") throw new HoldlineError("usage", "--dependencies names no file");
  const problems = createProblems();
  const map = await readDependencies(absolutePath(file, workingDirectory(), homedir()), "--dependencies", problems);
  problems.throwIfAny();
  return map;
}

/** Says where a host may be locked under another name as well: that would be another lock. */
export async function warnOfOtherName(context: Pick<Context, "coordinator" | "log" | "stop">, host: string): Promise<void> {
  const { signal } = context.stop;
  const coordinator = await context.coordinator(hostLock(host));
  const [short = ""] = host.split(".");
  const isShort = short === host;
  // A full name has one short one; which full ones a short name may have is seen from those that are locked.
  const names = isShort ? (await coordinator.list(signal)).map((lock) => hostOfLock(lock) ?? "") : [short];
  for (const name of names.filter((other) => mayBeSame(other, host))) {
    if ((await coordinator.queue(hostLock(name), signal, 1)).length === 0) continue;
    const what = `${name} is locked as well: that and ${host} are two locks here. \`node\` or \`dependencies\` can say which name the host has`;
    context.log.warn({ host, other: name }, what);
  }
}

/** "dc02 and hv01", "dc02, dc03 and hv01". */
export function enumerate(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
