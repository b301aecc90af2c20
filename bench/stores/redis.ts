// Redis, beside a key that comes and goes. The npm package redlock is left out: it wants another client, which writes twice on its own.
import { createClient } from "@redis/client";
import { REDIS } from "../../test/support/redis-framer.js";
import { findRedis, startRedisServer } from "../../test/support/servers/redis.js";
import type { Member } from "../peer.js";
import { type BenchStore, roadTo } from "./store.js";

const urlAt = (address: string): string => `redis://${address}/0?durability=may-lose`;

export const store: BenchStore = {
  title: "Redis",
  aims: { alone: 1.3, handOffMs: 2 },
  async start() {
    if (findRedis("redis-server") === null) return "redis-server is not there";
    const server = await startRedisServer();
    const at = server.address;
    return { url: urlAt(at), at, openRoad: roadTo(REDIS, [server], urlAt), close: () => server.close() };
  },
  floor: openBare,
  rivals: {},
};

async function openBare(at: string): Promise<Member> {
  const client = createClient({ url: `redis://${at}` });
  await client.connect();
  return {
    acquire: async (lock) => {
      await client.set(`bare:${lock}`, "bare");
      return async () => void (await client.del(`bare:${lock}`));
    },
    close: () => client.close(),
  };
}
