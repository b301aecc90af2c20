// The coordinators that there are, by the scheme of their URL. Each is loaded when it is asked for and not before.
import type { Coordinator, CoordinatorOptions } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";

type Open = (url: string, options: CoordinatorOptions) => Promise<Coordinator>;

const COORDINATORS: Readonly<Record<string, () => Promise<Open>>> = {
  sqlite: async () => (await import("./sqlite/index.js")).openSqlite,
  zookeeper: async () => (await import("./zookeeper/index.js")).openZooKeeper,
};

/**
 * Opens the coordinator that a URL names.
 * @throws HoldlineError `configuration` for a URL that is not right
 * @throws UnreachableError when the store cannot be reached within the connect timeout
 */
export async function openCoordinator(url: string, options: CoordinatorOptions): Promise<Coordinator> {
  const scheme = /^([a-z]+):\/\//.exec(url)?.[1] ?? "";
  const load = Object.hasOwn(COORDINATORS, scheme) ? COORDINATORS[scheme] : undefined;
  if (load === undefined) {
    throw new HoldlineError("configuration", `there is no coordinator for URLs that begin with ${JSON.stringify(`${scheme}://`)}`, {
      hint: `known are ${Object.keys(COORDINATORS).map((name) => `${name}://`).join(" and ")}`,
    });
  }
  return (await load())(url, options);
}
