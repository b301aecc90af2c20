// Where a run is killed on Redis.
import { test } from "vitest";
import { openPlace, redisProblem } from "../../stores/redis/places.js";
import { describeCrashesOnStore } from "./suite.js";

if (redisProblem() === null) describeCrashesOnStore("redis", openPlace);
else test.skip(`no Redis: ${redisProblem()}`, () => undefined);
