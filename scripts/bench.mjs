// `npm run bench`: builds if needed and runs bench/run.ts; `npm run bench -- http`: bench/http.ts.
import { ensureBuilt } from "./build.mjs";
import { ensureRequirements } from "./requirements.mjs";

await ensureBuilt();
ensureRequirements(new Set(["zookeeper"]));
await import(process.argv[2] === "http" ? "../dist/bench/http.js" : "../dist/bench/run.js");
