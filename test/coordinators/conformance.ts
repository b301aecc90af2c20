// What every coordinator promises, as one suite that each runs against its real store: src/locks/coordinator.ts in tests.
import { describe } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { describeCrowd } from "./conformance/crowd.js";
import { describeFinding } from "./conformance/finding.js";
import { describeHolding } from "./conformance/holding.js";
import { describeJoining } from "./conformance/joining.js";
import { describeLeases } from "./conformance/leases.js";
import { describeLosses } from "./conformance/losses.js";
import { describeOutages } from "./conformance/outages.js";
import { describeProcesses } from "./conformance/processes.js";
import { describeRecords } from "./conformance/records.js";
import { stageFor, type StoreUnderTest } from "./conformance/store.js";
import { describeTurns } from "./conformance/turns.js";
import { describeWatching } from "./conformance/watching.js";

/** Runs the whole suite over a store. */
export function describeCoordinator(name: string, subject: StoreUnderTest): void {
  describe(`${name} as a coordinator`, () => {
    failOnLeaks();
    const stage = stageFor(subject);
    describeJoining(stage);
    describeHolding(stage);
    describeRecords(stage);
    describeFinding(stage);
    describeTurns(stage);
    describeCrowd(stage);
    describeLeases(stage, subject);
    describeWatching(stage, subject);
    describeProcesses(stage, subject);
    if (subject.hasFaults) {
      describeLosses(stage);
      describeOutages(stage);
    }
  });
}
