// Somebody else's stores: found beside Holdline or in $HOLDLINE_PLUGINS, whatever kind of module they are, and refused in a sentence
// where they do not fit.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { coordinatorUrlProblem } from "../../src/coordinators/urls.js";
import type { QueueStore } from "../../src/queue/store.js";
import { createMemoryStore } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import { freshDirectory } from "../support/roots.js";
import { takeDurably, TEST_OPTIONS, TEST_TIMERS } from "./conformance/store.js";

const ESM = { type: "module" };
const OPENS = "openStore = async () => globalThis.strangersStore";

declare global {
  var strangersStore: unknown;
}

let folder = "";

beforeEach(async () => {
  folder = await freshDirectory();
  process.env["HOLDLINE_PLUGINS"] = folder;
  globalThis.strangersStore = memoryStore();
});

afterEach(() => {
  delete process.env["HOLDLINE_PLUGINS"];
  delete globalThis.strangersStore;
});

function memoryStore(): QueueStore {
  const server = new MemoryServer({ now: Date.now, after: (ms, run) => TEST_TIMERS.after(ms, run), putsAway: true });
  return createMemoryStore(server);
}

/** Writes a package. @param at the folder that it is in */
function install(code: string, description: object = ESM, at = join(folder, "holdline-coordinator-x"), file = "index.js"): string {
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, "package.json"), JSON.stringify({ name: "holdline-coordinator-x", ...description }));
  writeFileSync(join(at, file), code);
  return at;
}

async function open(url = "x://anything") {
  const coordinator = await openCoordinator(url, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

test.each([
  ["an ES module", `await 0; export const seam = 1, ${OPENS};`, ESM, "index.js"],
  ["a CommonJS module", `exports.seam = 1; exports.${OPENS};`, {}, "index.js"],
  [
    "one whose exports nobody can foresee",
    `module.exports = { ["se" + "am"]: 1, ["open" + "Store"]: async () => globalThis.strangersStore };`,
    {},
    "index.js",
  ],
  ["one with a main file", `exports.seam = 1; exports.${OPENS};`, { main: "./lib.cjs" }, "lib.cjs"],
  [
    "one that exports by conditions",
    `export const seam = 1, ${OPENS};`,
    { exports: { ".": { types: "./no.d.ts", import: "./lib.mjs" } } },
    "lib.mjs",
  ],
] as const)("%s is a store", async (_, code, description, file) => {
  install(code, description, undefined, file);
  expect(coordinatorUrlProblem("x://anything")).toBe(null);
  const coordinator = await open();
  const { settled } = await takeDurably(coordinator, "a");
  expect(settled.fencingToken).toBeGreaterThan(0);
  expect((await coordinator.examine?.())?.facts).toMatchObject({ kind: "memory", durability: "may-lose" });
});

test.each([
  ["in the folder", () => folder, ""],
  ["among its node_modules", () => folder, "node_modules/holdline-coordinator-x"],
  ["as the folder itself", () => join(folder, "mine"), "mine"],
  ["in the second of two", () => ["/nowhere", folder].join(delimiter), "holdline-coordinator-x"],
])("it is found %s", async (_, variable, at) => {
  install(`export const seam = 1, ${OPENS};`, ESM, join(folder, at === "" ? "holdline-coordinator-x" : at));
  process.env["HOLDLINE_PLUGINS"] = variable();
  await open();
});

test("a scheme without a package is refused with the schemes that there are, and where the package was looked for", async () => {
  const problem = coordinatorUrlProblem("whatever://anything");
  expect(problem).toMatch(/^has the unknown scheme "whatever:\/\/"; there is zookeeper, .*, and there is no package /);
  expect(problem).toContain(
    `"holdline-coordinator-whatever" for it beside Holdline (from ${join(import.meta.dirname, "../../src/coordinators")} upwards)`,
  );
  expect(problem).toContain(`$HOLDLINE_PLUGINS (${folder})`);
  await expect(open("whatever://anything")).rejects.toMatchObject({ code: "configuration" });
  // What cannot be a package is not looked for.
  for (const url of ["../x://a", `${"x".repeat(5_000)}://a`]) expect(coordinatorUrlProblem(url)).not.toBe(null);
});

test("its URL has no blanks and no half escapes, and is what the plug-in itself takes", async () => {
  install(`export const seam = 1, ${OPENS}, urlProblem = (rest) => rest === "right?a=b" ? null : "must be right";`);
  expect(coordinatorUrlProblem("x://a b")).toContain("blanks");
  expect(coordinatorUrlProblem("x://%zz")).toContain('"%"');
  await open("x://right?a=b");
  await expect(open("x://wrong")).rejects.toMatchObject({ code: "configuration", message: "the coordinator's URL must be right" });
});

test.each([
  ["another version", `export const seam = 2, ${OPENS};`, "it was made for version 2 of the seam, and this holdline has version 1"],
  [
    "no version",
    `export const ${OPENS};`,
    "it does not say for which version of the seam it was made, and this holdline has version 1",
  ],
  ["no openStore", `export const seam = 1, openStore = 7;`, "it exports no function openStore"],
  ["code that fails", `throw new Error("out of cheese");`, "it cannot be loaded: out of cheese"],
  ["a syntax error", `export const = 1;`, "it cannot be loaded: "],
  ["no store", `export const seam = 1, openStore = () => null;`, "the store that it opens has no proper object"],
  [
    "a store without a method",
    `export const seam = 1, openStore = () => ({ ...globalThis.strangersStore, readClaim: 1 });`,
    "the store that it opens has no proper method readClaim",
  ],
  [
    "a store without a trait",
    `export const seam = 1, openStore = () => ({ ...globalThis.strangersStore, traits: {} });`,
    "the store that it opens has no proper trait sessions",
  ],
])("a plug-in with %s is refused in a sentence", async (_, code, why) => {
  const at = install(code);
  await expect(open()).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining(`the plug-in holdline-coordinator-x in ${at} cannot be used: ${why}`) as string,
  });
});

test("a plug-in without its file is refused", async () => {
  install(`export const seam = 1, ${OPENS};`, { ...ESM, main: "./gone.js" });
  await expect(open()).rejects.toThrow("gone.js, from which it is to be loaded");
});

test.each([
  ["its folder", "."],
  ["its package.json", "package.json"],
  ["its code", "index.js"],
])("a plug-in is not loaded where others may write to %s", async (_, what) => {
  const at = install(`globalThis.strangersStore = null; export const seam = 1, ${OPENS};`);
  const isFolder = what === ".";
  chmodSync(join(at, what), isFolder ? 0o777 : 0o666);
  await expect(open()).rejects.toThrow(/may be written to by other users, and its code would run as this user/);
  chmodSync(join(at, what), isFolder ? 0o755 : 0o644);
  if (process.geteuid?.() !== 0) return;
  chownSync(join(at, what), 54_321, 54_321);
  await expect(open()).rejects.toThrow(/belongs to another user \(54321\)/);
  expect(globalThis.strangersStore).not.toBe(null);
});

test("errors of another copy of Holdline are known by their names: a lost reply is asked about again, and the rest is told", async () => {
  install(`
    class ReplyLostError extends Error { name = "ReplyLostError"; }
    let lost = 2;
    const store = globalThis.strangersStore;
    export const seam = 1, openStore = async () => ({
      ...store,
      sync: async () => { if (lost-- > 0) throw new ReplyLostError("gone"); return store.sync(); },
      locks: async () => { throw Object.assign(new Error("no such user"), { name: "HoldlineError", code: "not-allowed", hint: "ask" }); },
      documents: async () => { throw new TypeError("a mistake"); },
    });`);
  const coordinator = await open();
  expect((await coordinator.sync()).errorMs).toBe(0);
  await expect(coordinator.list()).rejects.toMatchObject({
    name: "HoldlineError",
    code: "not-allowed",
    hint: "ask",
    message: "no such user",
  });
  await expect(coordinator.documents("")).rejects.toThrow(TypeError);
});

test("what its openStore says is what people are told", async () => {
  install(
    `export const seam = 1, openStore = async () => { throw Object.assign(new Error("nobody there"), { name: "UnreachableError", code: "unreachable" }); };`,
  );
  await expect(open()).rejects.toMatchObject({ code: "unreachable", message: "nobody there" });
});
