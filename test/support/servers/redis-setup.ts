// Before the first test: one Redis for the whole run, which tests get with `inject("redis")`. After the last: its end.
import type { TestProject } from "vitest/node";
import { findRedis, startRedisServer } from "./redis.js";
import { type RunServer, setupOf } from "./run-server.js";

/** Where the run's server is. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

declare module "vitest" {
  export interface ProvidedContext {
    readonly redis: RunServer<RedisAddress>;
  }
}

export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setupOf("redis", async () => {
    if (findRedis("redis-server") === null) return "redis-server is not installed";
    const server = await startRedisServer();
    return { details: { host: server.host, port: server.port }, close: () => server.close() };
  })(project);
}
