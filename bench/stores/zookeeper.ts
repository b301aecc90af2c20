// ZooKeeper, which the others are held against.
import { ZOOKEEPER } from "../../test/support/zookeeper-framer.js";
import { startZooKeeper } from "../../test/support/zookeeper-server.js";
import { bare, twoWrites } from "../bare.js";
import { type BenchStore, roadTo } from "./store.js";

const urlAt = (address: string): string => `zookeeper://${address}/bench`;

export const store: BenchStore = {
  title: "ZooKeeper",
  aims: { alone: null, handOffMs: 2 },
  async start() {
    const server = await startZooKeeper();
    const { address } = server;
    return { url: urlAt(address), at: address, openRoad: roadTo(ZOOKEEPER, [server], urlAt), close: () => server.close() };
  },
  floor: twoWrites.open,
  rivals: { "node-zookeeper-client": { isToBeat: true, open: bare.open } },
};
