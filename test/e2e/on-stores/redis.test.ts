// Redis from end to end.
import { test } from "vitest";
import { openPlace, redisProblem } from "../../stores/redis/places.js";
import { describeOnStore } from "./suite.js";

if (redisProblem() === null) describeOnStore("redis", openPlace);
else test.skip(`no Redis: ${redisProblem()}`, () => undefined);
