// The lint rule that holds the layers' arrows really bites: each snippet is linted as if it stood in a file of that layer.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { ESLint } from "eslint";
import { describe, expect, it } from "vitest";

const RULES = ["no-restricted-imports", "no-restricted-syntax", "no-restricted-properties", "no-restricted-globals"];
const eslint = new ESLint({
  cwd: new URL("..", import.meta.url).pathname,
  ruleFilter: ({ ruleId }) => RULES.includes(ruleId),
  // These rules need no types, and to find them out for files that are not what they say would take long.
  overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
});

/** What the rules say of `code` in place of the file at `filePath`. */
async function complaints(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => `${ruleId ?? "not parsed"}: ${message}`);
}

const FORBIDDEN = [
  ["src/locks/rule.ts", 'import "../config/settings.js";', "locks imports nothing of ours"],
  ["src/locks/rule.ts", 'import "node:fs";', "locks does no I/O"],
  ["src/locks/rule.ts", 'import "pino";', "locks knows no package"],
  ["src/locks/rule.ts", "export const now = Date.now();", "locks reads no clock"],
  ["src/locks/rule.ts", "export const now = new Date();", "locks reads no clock"],
  ["src/locks/rule.ts", "setTimeout(() => undefined, 1);", "locks sets no timer"],
  ["src/coordinators/zookeeper/url.ts", 'import "node-zookeeper-client";', "only the wire knows the client library"],
  ["src/coordinators/zookeeper/wire/wire.ts", 'import "../reads.js";', "the wire does not know what it carries"],
  ["src/coordinators/zookeeper/url.ts", 'import "libsql";', "a coordinator imports its own store's client only"],
  ["src/coordinators/zookeeper/url.ts", 'import "../sqlite/index.js";', "coordinators never import each other"],
  ["src/coordinators/zookeeper/url.ts", 'export * from "../registry.js";', "a coordinator does not know who opens it"],
  ["src/coordinators/zookeeper/url.ts", 'import "../../actions/machine.js";', "coordinators know locks alone"],
  ["src/actions/machine.ts", 'import "../coordinators/zookeeper/index.js";', "actions do not know coordinators"],
  ["src/actions/machine.ts", 'export const open = () => import("../coordinators/registry.js");', "not lazily either"],
  ["src/actions/machine.ts", 'import "./../coordinators/registry.js";', "nor by a detour"],
  ["src/actions/machine.ts", "export const open = (path: string): Promise<unknown> => import(path);", "nor unseen"],
  ["src/actions/machine.ts", 'import "node-zookeeper-client";', "only its coordinator imports a store's client"],
  ["src/actions/machine.ts", 'import "../cli/command-table.js";', "arrows go one way"],
  ["src/actions/machine.ts", 'import "fs";', "node's modules are called by their full names"],
  ["src/actions/machine.ts", "process.exit(1);", "only main.ts ends the process"],
  ["src/actions/machine.ts", 'import { exit } from "node:process"; exit(1);', "by whatever name"],
  ["src/actions/machine.ts", 'import "../config/settings.js";', "actions do not know where their settings come from"],
  ["src/config/settings.ts", 'import "../actions/run.js";', "configuration knows what actions are, not how they run"],
  ["src/coordinators/registry.ts", 'import "../actions/machine.js";', "nor does the registry of coordinators know actions"],
  ["src/cli/commands/run.ts", 'import "../../coordinators/registry.js";', "commands get a coordinator and open none"],
  ["src/main.ts", 'import "./coordinators/registry.js";', "only runtime.ts wires"],
  ["src/index.ts", 'import "./runtime.js";', "the library is not the program"],
  ["src/library/leases.ts", 'import "../config/locks.js";', "the library knows no configuration"],
  ["src/leases/lease.ts", 'import "../cli/leases.js";', "leases print nothing"],
  ["src/page/lock.ts", 'import "../views/queues.js";', "a browser is sent nothing of the server's"],
  ["src/page/lock.ts", "export const bytes = Buffer.from('a');", "nor has it what only node has"],
  ["src/page/lock.ts", 'import "node:fs";', "the page is pure"],
] as const;

const ALLOWED = [
  ["src/main.ts", 'import "./cli/program.js"; process.exit(0);'],
  ["src/cli/commands/run.ts", 'import "../../actions/machine.js"; import "../render.js"; import "./locks.js";'],
  ["src/coordinators/registry.ts", 'export const open = () => import("../stores/sqlite/index.js");'],
  ["src/locks/rule.ts", 'import "./claim.js";'],
  [
    "src/coordinators/zookeeper/url.ts",
    'import "../../locks/claim.js"; import "./reads.js"; import "./wire/wire.js"; import "node:net";',
  ],
  ["src/coordinators/zookeeper/wire/client.ts", 'import "node-zookeeper-client/lib/ACL.js"; import "./jute.js";'],
  ["src/actions/machine.ts", 'import "../locks/claim.js"; import "./clock.js"; export const open = () => import("execa");'],
] as const;

/** Whether a row of eslint.config.js says what a file may import. Without one it may import anything. */
async function hasRow(filePath: string): Promise<boolean> {
  const { rules } = (await eslint.calculateConfigForFile(filePath)) as { readonly rules: Readonly<Record<string, unknown[]>> };
  return rules["no-restricted-imports"]?.some((option) => typeof option === "object" && "patterns" in (option as object)) === true;
}

const SOURCES = readdirSync(new URL("../src", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `src/${name}`);

describe("the layers", () => {
  it("have a row in eslint.config.js for every folder of src/, and every file of src/ itself", async () => {
    const without = new Set<string>();
    for (const file of SOURCES) {
      if (!(await hasRow(file))) without.add(dirname(file) === "src" ? file : dirname(file));
    }
    expect([...without]).toEqual([]);
  });

  it.each(["src/room/file.ts", "src/file.ts", "src/stores/room/file.ts", "src/coordinators/room/file.ts"])(
    "know %s to be without a row",
    async (file) => {
      expect(await hasRow(file)).toBe(false);
    },
  );

  it.each(FORBIDDEN)("%s may not: %s (%s)", async (filePath, code) => {
    expect(await complaints(filePath, code)).not.toEqual([]);
  });

  it.each(ALLOWED)("%s may: %s", async (filePath, code) => {
    expect(await complaints(filePath, code)).toEqual([]);
  });
});
