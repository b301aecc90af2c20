// SQLite from end to end.
import { join } from "node:path";
import { freshDirectory } from "../../support/roots.js";
import { describeOnStore } from "./suite.js";

describeOnStore("sqlite", async () => `sqlite://${join(await freshDirectory(), "holdline.db")}`);
