// Commits to MariaDB against the model.
import { describe } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { openMysqlStore } from "../../../src/stores/mysql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { describeSteps } from "../network/steps.js";
import { mariadbProblem, openPlace } from "./places.js";

failOnLeaks();

describe.skipIf(mariadbProblem() !== null)("commits to MariaDB", () => {
  describeSteps(() => openMysqlStore(openPlace(), TEST_OPTIONS));
});
