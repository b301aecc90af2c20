// `npm run simulate`: the deterministic simulation; test/simulation/main.ts takes the arguments.
import { runSource } from "./run-source.mjs";

await runSource("test/simulation/main.ts");
