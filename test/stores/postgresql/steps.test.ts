// Commits to PostgreSQL against the model.
import { describe, inject } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { openPostgresStore } from "../../../src/stores/postgresql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { describeSteps } from "../network/steps.js";
import { freshUrl } from "./place.js";

failOnLeaks();

describe.skipIf(inject("postgresql").missing !== null)("commits to PostgreSQL", () => {
  describeSteps(() => openPostgresStore(freshUrl(), TEST_OPTIONS));
});
