// The program of a contender over somebody else's store: packaged-contender.ts starts it.
import { type OpenCoordinator, runContender } from "./contender-process.js";

const [module = "", opener = "", ...words] = process.argv.slice(2);
// eslint-disable-next-line no-restricted-syntax -- the module is the caller's, and none of Holdline's
const exports = (await import(module)) as Readonly<Record<string, OpenCoordinator>>;
const open = exports[opener];
if (open === undefined) throw new Error(`${module} exports no ${opener}`);
await runContender(open, words);
