// The conformance suite on a real Redis, and on Valkey where it is installed, with a fault proxy for each session.
import { describe, inject } from "vitest";
import { openRedis } from "../../src/stores/redis/index.js";
import { RedisStore } from "../../src/stores/redis/store.js";
import { parseRedisUrl } from "../../src/stores/redis/url.js";
import { freshRoot } from "../support/roots.js";
import { REDIS, stepsIn, wordsIn } from "../support/redis-framer.js";
import { findRedis, type RedisServer, startRedisServer } from "../support/servers/redis.js";
import type { RedisAddress } from "../support/servers/redis-setup.js";
import { describeCoordinator } from "../coordinators/conformance.js";
import type { TestStore } from "../../src/conformance/stage.js";
import { openNetworkTestStore, operationOf } from "./network/test-store.js";
import { endSession } from "./redis/roots.js";

const server = inject("redis");
const KIND = { coordinator: "stores/redis", opener: "openRedis" };

// A session outlives its process by 4 s, and those who wait look when it can have ended.
const GONE_WITHIN_MS = 15_000;

describe.skipIf(server.missing !== null)("redis-server", () => {
  describeCoordinator("Redis", {
    hasFaults: true,
    goneWithinMs: GONE_WITHIN_MS,
    open: async () => openTestStore(server as RedisAddress),
  });
});

describe.skipIf(findRedis("valkey-server") === null)("valkey-server", () => {
  describeCoordinator<RedisServer>("Valkey", {
    hasFaults: true,
    goneWithinMs: GONE_WITHIN_MS,
    start: () => startRedisServer({ program: "valkey-server" }),
    open: async (valkey) => openTestStore(valkey),
  });
});

function openTestStore({ host, port }: RedisAddress): TestStore {
  const prefix = freshRoot().slice(1);
  return openNetworkTestStore({
    protocol: REDIS,
    servers: [{ host, port }],
    kind: KIND,
    urlAt: (address) => `redis://${address}/0?prefix=${prefix}&durability=may-lose`,
    open: openRedis,
    openStore: async (url, options) => new RedisStore(parseRedisUrl(url), options),
    matching: (operation, claim) => ({
      operation,
      where: (frame) => {
        const steps = stepsIn(wordsIn(frame));
        const found = steps === null ? null : operationOf(steps);
        return found?.operation === operation && found.claim === claim;
      },
    }),
    expireSession: (id) => endSession(port, prefix, id),
  });
}
