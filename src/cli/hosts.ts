// What the commands for host locks share: which hosts a host depends on, and hosts that have two names.
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
 * The map of dependencies in force: from the file that `--dependencies` names, else the configuration's.
 * @throws HoldlineError `configuration` for a file that is missing or wrong
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

/** Warns if the host is also locked under another name, since that is another lock. */
export async function warnOfOtherName(context: Pick<Context, "coordinator" | "log" | "stop">, host: string): Promise<void> {
  const { signal } = context.stop;
  const coordinator = await context.coordinator(hostLock(host));
  const [short = ""] = host.split(".");
  const isShort = short === host;
  // A full name has one short name. The full names of a short name are found among those that are locked.
  const names = isShort ? (await coordinator.list(signal)).map((lock) => hostOfLock(lock) ?? "") : [short];
  for (const name of names.filter((other) => mayBeSame(other, host))) {
    if ((await coordinator.queue(hostLock(name), signal, 1)).length === 0) continue;
    const what = `${name} is locked as well, and is another lock than ${host}; set \`node\` or \`dependencies\` to give the host one name`;
    context.log.warn({ host, other: name }, what);
  }
}

/** "dc02 and hv01", "dc02, dc03 and hv01". */
export function enumerate(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
