// `npm run chaos`: a fleet and a nemesis on a real ensemble; test/chaos/main.ts takes the arguments.
import { ensureBuilt } from "./build.mjs";
import { ensureRequirements } from "./requirements.mjs";
import { runSource } from "./run-source.mjs";

await ensureBuilt();
ensureRequirements(new Set(["zookeeper", "build"]));
await runSource("test/chaos/main.ts");
