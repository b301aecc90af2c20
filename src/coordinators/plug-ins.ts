// Somebody else's stores: opens what a plug-in exports under the queue engine. The code runs as this user, so it is loaded only from
// where nobody else may write.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { whyNotTrusted } from "../config/trust.js";
import { isObject } from "../locks/claim.js";
import type { Coordinator, CoordinatorOptions } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { openEngine } from "../queue/engine.js";
import { type QueueStore, SEAM } from "../queue/store.js";
import { asOurs, translated } from "./foreign-errors.js";
import { packageFor } from "./plug-in-places.js";

/** What a plug-in exports. */
interface PlugIn {
  readonly openStore: (url: string, options: CoordinatorOptions) => QueueStore | Promise<QueueStore>;
  /** What is wrong with all that follows `scheme://`, in words that follow "the coordinator's URL", or `null`. */
  readonly urlProblem: ((rest: string) => string | null) | null;
}

/**
 * Opens a store by its plug-in.
 * @param folder of the package
 * @throws HoldlineError `configuration` for a plug-in that cannot be used, and for a URL that it refuses
 */
export async function openPlugIn(folder: string, url: string, options: CoordinatorOptions): Promise<Coordinator> {
  const colon = url.indexOf("://");
  const scheme = url.slice(0, colon);
  const { openStore, urlProblem } = await loadPlugIn(packageFor(scheme), folder);
  const problem = urlProblem?.(url.slice(colon + 3)) ?? null;
  if (problem !== null) throw new HoldlineError("configuration", `the coordinator's URL ${problem}`);
  let store: unknown;
  try {
    store = await openStore(url, options);
  } catch (error) {
    throw asOurs(error);
  }
  const missing = missingIn(store);
  if (missing !== null) throw unusable(packageFor(scheme), folder, `the store that it opens has no proper ${missing}`);
  return openEngine(translated(store as QueueStore), options);
}

async function loadPlugIn(name: string, folder: string): Promise<PlugIn> {
  const entry = entryOf(name, folder);
  const uid = process.geteuid?.() ?? null;
  // A user of an own group may let that group write; root may not.
  const trust = uid === 0 ? "strict" : "owned";
  for (const path of [join(folder, "package.json"), entry]) {
    const reason = whyNotTrusted(path, trust, uid);
    if (reason !== null) {
      throw unusable(
        name,
        folder,
        `of ${path}, ${reason}, and its code would run as this user`,
        "chown and chmod go-w what is installed there",
      );
    }
  }
  let loaded: unknown;
  try {
    loaded = await importModule(pathToFileURL(entry).href);
  } catch (error) {
    throw unusable(name, folder, `it cannot be loaded: ${messageOf(error)}`, "npm install it anew, with what it needs", error);
  }
  const exported = exportsOf(loaded);
  if (exported === null) throw unusable(name, folder, "it exports no function openStore");
  if (exported["seam"] !== SEAM) {
    const made =
      exported["seam"] === undefined
        ? "does not say for which version of the seam it was made"
        : `was made for version ${JSON.stringify(exported["seam"])} of the seam`;
    throw unusable(name, folder, `it ${made}, and this holdline has version ${SEAM}`, "install versions of both that fit");
  }
  const { openStore, urlProblem } = exported;
  return {
    openStore: openStore as PlugIn["openStore"],
    urlProblem: typeof urlProblem === "function" ? (urlProblem as PlugIn["urlProblem"]) : null,
  };
}

/** What a module exports: a CommonJS one, all of it as its default. */
function exportsOf(loaded: unknown): Readonly<Record<string, unknown>> | null {
  const module = loaded as Readonly<Record<string, unknown>>;
  const all = [module, module["default"]].find(
    (one) => isObject({ ...(one as object) }) && typeof (one as PlugIn | undefined)?.openStore === "function",
  );
  return (all as Readonly<Record<string, unknown>> | undefined) ?? null;
}

/** The file that a package is loaded from. */
function entryOf(name: string, folder: string): string {
  let description: unknown;
  try {
    description = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  } catch (error) {
    throw unusable(name, folder, `its package.json cannot be read: ${messageOf(error)}`);
  }
  const { exports, main } = isObject(description) ? description : {};
  const named = targetIn(isObject(exports) && "." in exports ? exports["."] : exports) ?? main;
  const entry = join(folder, typeof named === "string" ? named : "index.js");
  if (!existsSync(entry)) throw unusable(name, folder, `there is no ${entry}, from which it is to be loaded`);
  return entry;
}

const CONDITIONS: ReadonlySet<string> = new Set(["node", "import", "module-sync", "default", "require"]);

/** The file that node would import, by the conditions in their order. */
function targetIn(exports: unknown): string | undefined {
  if (typeof exports === "string") return exports;
  if (!isObject(exports)) return undefined;
  for (const [condition, target] of Object.entries(exports)) {
    const found = CONDITIONS.has(condition) ? targetIn(target) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

const METHODS = [
  ...["commit", "line", "read", "readClaim", "locks", "endedSessions", "archived", "trim", "document", "documents"],
  ...["openSession", "renew", "watch", "sync", "reconnect", "close"],
] as const;
const TRAITS = ["sessions", "wakes", "clockErrorMs", "minSessionMs", "maxLocks", "maxBytes", "bytesPerLock", "durability"] as const;

/** What a store lacks; `null` where it has everything. */
function missingIn(store: unknown): string | null {
  if (typeof store !== "object" || store === null) return "object";
  const given = store as Readonly<Record<string, unknown>>;
  if (typeof given["name"] !== "string" || given["name"] === "") return "name";
  if (typeof given["isShared"] !== "boolean") return "isShared";
  const method = METHODS.find((name) => typeof given[name] !== "function");
  if (method !== undefined) return `method ${method}`;
  const traits = isObject(given["traits"]) ? given["traits"] : {};
  const trait = TRAITS.find((name) => !["string", "number"].includes(typeof traits[name]));
  return trait === undefined ? null : `trait ${trait}`;
}

function unusable(name: string, folder: string, why: string, hint?: string, cause?: unknown): HoldlineError {
  return new HoldlineError("configuration", `the plug-in ${name} in ${folder} cannot be used: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}

/** The built program is code that vm.Script runs, which cannot use import(): the build puts a file beside it that can. */
function importModule(url: string): Promise<unknown> {
  const importer = join(import.meta.dirname, "import.cjs");
  // eslint-disable-next-line no-restricted-syntax -- what it is, the configuration says
  if (!existsSync(importer)) return import(/* @vite-ignore */ url) as Promise<unknown>;
  return (createRequire(importer)(importer) as (url: string) => Promise<unknown>)(url);
}
