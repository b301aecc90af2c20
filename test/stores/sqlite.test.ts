// The conformance suite over real SQLite files. What only SQLite has is tested beside this, in sqlite/.
import { describeCoordinator } from "../coordinators/conformance.js";
import { openSqliteTestStore } from "./sqlite/store.js";

describeCoordinator("SQLite", {
  hasFaults: false,
  // At once: whoever looks sees that the process is not there.
  goneWithinMs: 5_000,
  open: openSqliteTestStore,
});
