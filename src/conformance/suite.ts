// The conformance suite: what every coordinator promises, as tests over a real store. src/locks/coordinator.ts says the same in
// words.
import { describe } from "vitest";
import { describeCrowd } from "./crowd.js";
import { describeDocumentWrites, describeLostDocumentWrites } from "./document-writes.js";
import { describeDocuments } from "./documents.js";
import { describeExpiries } from "./expiries.js";
import { describeFinding } from "./finding.js";
import { describeHolding } from "./holding.js";
import { describeJoining } from "./joining.js";
import { describeLeases } from "./leases.js";
import { describeLosses } from "./losses.js";
import { describeMoving } from "./moving.js";
import { describeOutages } from "./outages.js";
import { describeProcesses } from "./processes.js";
import { describeRecords } from "./records.js";
import { type RunningServer, stageFor, type StoreUnderTest } from "./stage.js";
import { describeTurns } from "./turns.js";
import { describeWatching } from "./watching.js";

/** Describes the whole suite over a store; it is called at the top of a file of vitest's. */
export function describeCoordinator<Server extends RunningServer | undefined = undefined>(
  name: string,
  subject: StoreUnderTest<Server>,
): void {
  describe(`${name} as a coordinator`, () => {
    const stage = stageFor(subject);
    describeJoining(stage);
    describeHolding(stage);
    describeRecords(stage);
    describeFinding(stage);
    describeDocuments(stage);
    describeDocumentWrites(stage);
    describeMoving(stage);
    describeTurns(stage);
    describeCrowd(stage);
    describeLeases(stage, subject);
    describeWatching(stage, subject);
    describeProcesses(stage, subject);
    if (subject.hasFaults) {
      describeLosses(stage);
      describeLostDocumentWrites(stage);
      describeExpiries(stage);
      describeOutages(stage);
    }
  });
}
