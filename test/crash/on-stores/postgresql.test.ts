// Crash points on PostgreSQL.
import { describe, inject } from "vitest";
import { freshUrl } from "../../stores/postgresql/place.js";
import { describeCrashesOnStore } from "./suite.js";

describe.skipIf(inject("postgresql").missing !== null)("postgresql", () => {
  describeCrashesOnStore("postgresql", freshUrl);
});
