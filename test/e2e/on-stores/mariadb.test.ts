// MariaDB from end to end.
import { test } from "vitest";
import { mariadbProblem, openPlace } from "../../stores/mysql/places.js";
import { describeOnStore } from "./suite.js";

if (mariadbProblem() === null) describeOnStore("mariadb", openPlace);
else test.skip(`no MariaDB: ${mariadbProblem()}`, () => undefined);
