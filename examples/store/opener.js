// Opens the store under the queue engine, as Holdline does, for tests and the processes that they start.
import { openEngine } from "holdline/conformance";
import { openStore } from "./index.js";

export async function openFiles(url, options) {
  return openEngine(await openStore(url, options), options);
}
