// What holds of the repository as a whole: documents, samples and tables say what the code does.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXIT_CODES } from "../src/cli/exit-codes.js";
import { COMMANDS, usageOf } from "../src/cli/registry.js";
import { ACTION_KEYS, type KeyDoc } from "../src/config/actions.js";
import { loadSettings } from "../src/config/load.js";
import { LOCK_KEYS } from "../src/config/locks.js";
import { ACCESS_KEYS } from "../src/config/serve.js";
import { SETTING_PATHS, SETTINGS } from "../src/config/schema.js";
import type { Settings } from "../src/config/settings.js";
import { VERSION } from "../src/version.js";

const root = new URL("..", import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Settings from a file of the repository, in surroundings that say nothing. */
function load(path: string): Promise<Settings> {
  const surroundings = {
    env: {},
    cwd: "/nowhere",
    homedir: "/nowhere",
    etc: "/nowhere",
    isRoot: true,
    uid: null,
    user: "root",
    hostname: "web-07",
  };
  return loadSettings({ config: join(root, path), flags: new Map(), surroundings });
}

describe("the packages", () => {
  interface Locked {
    readonly version: string;
    readonly resolved?: string;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  }
  const locked = (JSON.parse(read("package-lock.json")) as { packages: Readonly<Record<string, Locked>> }).packages;
  const manifest = JSON.parse(read("package.json")) as Record<string, unknown>;

  it("come from whatever registry is set up: the lock file names no addresses", () => {
    expect(Object.entries(locked).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  it("are locked for every platform: npm refuses a lock file that leaves one out", () => {
    const isLocked = (from: string, name: string): boolean => {
      const folder = from === "" ? "" : `${from}/`;
      if (locked[`${folder}node_modules/${name}`] !== undefined) return true;
      return from !== "" && isLocked(from.slice(0, Math.max(0, from.lastIndexOf("node_modules/") - 1)), name);
    };
    const missing = Object.entries(locked).flatMap(([path, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {}).filter((name) => !isLocked(path, name)),
    );
    expect(missing).toEqual([]);
  });

  it("are named with exact versions", () => {
    const named = { ...(manifest["dependencies"] as object), ...(manifest["devDependencies"] as object) };
    expect(Object.entries(named).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version as string))).toEqual([]);
  });

  it("the program knows its version", () => {
    expect(VERSION).toBe(manifest["version"]);
  });
});

describe("the sample configurations", () => {
  it.each(readdirSync(join(root, "config")).filter((name) => name.endsWith(".yaml")))("%s is valid", async (name) => {
    expect((await load(`config/${name}`)).actions.length).toBeGreaterThan(0);
  });

  it("holdline.yaml changes nothing", async () => {
    const sample = await load("config/holdline.yaml");
    const { acquire, connectTimeoutMs, sessionTimeoutMs, releaseTimeoutMs, skipCoordination, log, history, dependencies } = sample;
    const { serve, access, groups } = sample;
    const plain = await loadSettings({
      config: null,
      flags: new Map(),
      surroundings: {
        env: {},
        cwd: "/nowhere",
        homedir: "/nowhere",
        etc: "/nowhere",
        isRoot: true,
        uid: null,
        user: "root",
        hostname: "web-07",
      },
    });
    expect(plain).toMatchObject({
      acquire,
      connectTimeoutMs,
      sessionTimeoutMs,
      releaseTimeoutMs,
      skipCoordination,
      log,
      history,
      dependencies,
      serve,
      access,
      groups,
    });
  });

  const lines = linesOf(read("config/holdline.yaml"));

  it.each(SETTING_PATHS)("holdline.yaml has %s with its default and its meaning", (path) => {
    const { default: value, defaultDoc, doc } = SETTINGS[path];
    if (value !== null) expect(lines.get(path)).toEqual({ commentedOut: false, value, comment: doc });
    else expect(lines.get(path)).toMatchObject({ commentedOut: true, comment: `${doc} (default: ${defaultDoc ?? ""})` });
  });

  const keys = [
    ...inside("actions.restart-nginx", ACTION_KEYS),
    ...inside("locks.db-migrate", LOCK_KEYS),
    ...inside("access.ci", ACCESS_KEYS),
  ];

  it.each(keys)("holdline.yaml has $path with its default and its meaning", ({ path, default: value, doc }) => {
    const line = lines.get(path);
    const isDefault = value === "" || line?.value === value;
    expect(line?.comment).toBe(isDefault ? doc : `${doc} (default: ${value})`);
  });

  it("holdline.yaml has nothing else", () => {
    const known = new Set<string>([...SETTING_PATHS, ...keys.map(({ path }) => path)]);
    const groups = [...known].map((path) => path.slice(0, path.lastIndexOf(".")));
    expect([...lines.keys()].filter((path) => !known.has(path) && !groups.includes(path))).toEqual([
      ...["actions", "locks", "locks.default", "locks.default.ttl", "dependencies", "access", "groups"],
    ]);
  });
});

function inside(parent: string, docs: readonly KeyDoc[]): (KeyDoc & { readonly path: string })[] {
  return docs.map((doc) => ({ ...doc, path: `${parent}.${doc.key}` }));
}

interface SampleLine {
  readonly commentedOut: boolean;
  readonly value: string;
  readonly comment: string;
}

/** The settings of a sample by their paths, also those that are commented out. */
function linesOf(text: string): ReadonlyMap<string, SampleLine> {
  const found = new Map<string, SampleLine>();
  const parents: string[] = [];
  for (const line of text.split("\n")) {
    const parts = /^( *)(# )?( *)([a-z_-]+):(?: ([^#]*?))?(?: ?# (.*))?$/.exec(line);
    if (parts === null) continue;
    const [, indent = "", hash, further = "", key = "", value = "", comment = ""] = parts;
    parents.splice((indent.length + further.length) / 2, Number.POSITIVE_INFINITY, key);
    found.set(parents.join("."), { commentedOut: hash !== undefined, value: value.trim(), comment });
  }
  return found;
}

// The README is written for people, and its tables are the code's: what a failure shows as expected goes there.
describe.skipIf(!existsSync(join(root, "README.md")))("README.md", () => {
  it("has the table of exit codes", () => {
    const rows = Object.entries(EXIT_CODES).map(([code, meaning]) => [code, meaning]);
    expect(tablesUnder("## Exit codes")[0]).toEqual([["code", "meaning"], ...rows]);
  });

  it("has the table of commands", () => {
    const rows = COMMANDS.map((entry) => [code(usageOf(entry)), entry.summary]);
    expect(tablesUnder("## Commands")[0]).toEqual([["command", "what it does"], ...rows]);
  });

  it("has the tables of settings: general ones, those of an action, of a lock, of somebody with access", () => {
    const general = SETTING_PATHS.map((path) => {
      const { default: value, defaultDoc, doc } = SETTINGS[path];
      return [code(path), value === null ? (defaultDoc ?? "") : code(value), doc];
    });
    const keys = (docs: readonly KeyDoc[]): string[][] => docs.map(({ key, default: value, doc }) => [code(key), value, doc]);
    expect(tablesUnder("## Settings")).toEqual([
      [["setting", "default", "meaning"], ...general],
      [["key of an action", "default", "meaning"], ...keys(ACTION_KEYS)],
      [["key of a lock", "default", "meaning"], ...keys(LOCK_KEYS)],
      [["key of an entry of access", "default", "meaning"], ...keys(ACCESS_KEYS)],
    ]);
  });
});

function code(text: string): string {
  return `\`${text}\``;
}

/** The tables of README's section under a heading, each as rows of cells, without the line of dashes. */
function tablesUnder(heading: string): string[][][] {
  const section =
    read("README.md")
      .split(/^(?=## )/m)
      .find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const blocks = section.split(/\n(?!\|)/).filter((block) => block.includes("\n|") || block.startsWith("|"));
  return blocks.map((block) =>
    block
      .split("\n")
      .filter((line) => line.startsWith("|") && !/^\|[\s:|-]+\|$/.test(line))
      .map((line) =>
        line
          .replace(/^\||\|\s*$/g, "")
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim().replaceAll("\\|", "|")),
      ),
  );
}
