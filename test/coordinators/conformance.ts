// The conformance suite as this repository runs it: each of its tests fails as well when it leaves something open.
import { type RunningServer, type StoreUnderTest } from "../../src/conformance/stage.js";
import { describeCoordinator as describeSuite } from "../../src/conformance/suite.js";
import { failOnLeaks } from "../support/leaks.js";

export function describeCoordinator<Server extends RunningServer | undefined = undefined>(
  name: string,
  subject: StoreUnderTest<Server>,
): void {
  failOnLeaks();
  describeSuite(name, subject);
}
