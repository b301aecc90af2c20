// `npm run bench`: builds where that is needed and runs bench/run.ts.
import { ensureBuilt } from "./build.mjs";
import { ensureRequirements } from "./requirements.mjs";

await ensureBuilt();
ensureRequirements();
await import("../dist/bench/run.js");
