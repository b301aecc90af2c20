// Where a run is killed on MariaDB.
import { test } from "vitest";
import { mariadbProblem, openPlace } from "../../stores/mysql/places.js";
import { describeCrashesOnStore } from "./suite.js";

if (mariadbProblem() === null) describeCrashesOnStore("mariadb", openPlace);
else test.skip(`no MariaDB: ${mariadbProblem()}`, () => undefined);
