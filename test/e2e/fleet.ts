// Fleets on the two stores that every test of the built program runs on. The others have on-stores/, which needs their servers.
import { inject, onTestFinished } from "vitest";
import { type FaultProxy, openFaultProxy } from "../support/fault-proxy.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { Fleet } from "./nodes.js";

export * from "./nodes.js";

/** The stores that a test of the built program goes through. */
export const STORES = ["zookeeper", "sqlite"] as const;
export type StoreKind = (typeof STORES)[number];

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
