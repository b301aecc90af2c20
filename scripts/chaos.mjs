// `npm run chaos`: a fleet and a nemesis on a store's real servers; test/chaos/main.ts takes the arguments.
import { parseArgs } from "node:util";
import { ensureBuilt } from "./build.mjs";
import { ensureRequirements } from "./requirements.mjs";
import { runSource } from "./run-source.mjs";

await ensureBuilt();
const { values } = parseArgs({ options: { store: { type: "string", default: "zookeeper" } }, strict: false });
ensureRequirements(new Set([values.store, "build"]));
await runSource("test/chaos/main.ts");
