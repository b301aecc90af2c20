// `npm run bench`: builds if needed and runs bench/run.ts; `npm run bench -- http`: bench/http.ts; `npm run bench -- stores`:
// bench/stores.ts, which needs every store's server and client.
import { ensureBuilt } from "./build.mjs";
import { SERVERS } from "./needs.mjs";
import { ensureRequirements } from "./requirements.mjs";
import { runSource } from "./run-source.mjs";

const what = process.argv[2];
await ensureBuilt();
ensureRequirements(new Set(what === "stores" ? SERVERS : ["zookeeper"]));
if (what === "stores") await runSource("bench/stores.ts");
else await import(what === "http" ? "../dist/bench/http.js" : "../dist/bench/run.js");
