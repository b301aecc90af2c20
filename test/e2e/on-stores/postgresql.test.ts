// PostgreSQL from end to end.
import { describe, inject } from "vitest";
import { freshUrl } from "../../stores/postgresql/place.js";
import { describeOnStore } from "./suite.js";

describe.skipIf(inject("postgresql").missing !== null)("postgresql", () => {
  describeOnStore("postgresql", freshUrl);
});
