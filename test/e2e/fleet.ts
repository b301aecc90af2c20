// Fleets on the two stores that every test of the built program runs on. The others have on-stores/, which needs their servers.
import { inject, onTestFinished } from "vitest";
import { type FaultProxy, openFaultProxy } from "../support/fault-proxy.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { ON_BOTH_STORES } from "../support/effort.js";
import { Fleet } from "./nodes.js";

export * from "./nodes.js";

export type StoreKind = "zookeeper" | "sqlite";
/** Both of them. */
export const BOTH_STORES: readonly StoreKind[] = ["zookeeper", "sqlite"];
/** Those that a test of the built program goes through. At a small effort SQLite has on-stores/ instead, as the other stores have. */
export const STORES: readonly StoreKind[] = ON_BOTH_STORES ? BOTH_STORES : ["zookeeper"];
/** Those that a run with hooks, or with a reboot, is killed on: what it does between two calls is the same on each. */
export const CRASH_STORES: readonly StoreKind[] = ON_BOTH_STORES ? BOTH_STORES : ["sqlite"];

/** A fleet for the running test, on a root or a database of its own. */
export async function openFleet(kind: StoreKind): Promise<Fleet> {
  const directory = await freshDirectory();
  const { host, port } = inject("zookeeper");
  const url = kind === "zookeeper" ? `zookeeper://${host}:${port}${freshRoot()}` : `sqlite://${directory}/holdline.db`;
  return new Fleet(kind, url, directory);
}

/** A fault proxy in front of the run's ZooKeeper; it closes with the test. */
export async function openProxy(): Promise<FaultProxy> {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  return proxy;
}
