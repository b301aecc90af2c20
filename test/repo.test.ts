// What holds of the repository as a whole: documents, samples and tables say what the code does.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXIT_CODES } from "../src/cli/exit-codes.js";
import { COMMANDS } from "../src/cli/command-table.js";
import { usageOf } from "../src/cli/command.js";
import { ACTION_KEYS, BLOCKER_KEYS, type KeyDoc, NOTIFY_KEYS, WINDOW_KEYS } from "../src/config/keys.js";
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

// The pages are written for people, and their tables are the code's: what a failure shows as expected goes there.
describe("the documents", () => {
  it("have the table of exit codes", () => {
    const rows = Object.entries(EXIT_CODES).map(([code, meaning]) => [code, meaning]);
    expect(tablesUnder("docs/commands.md", "## Exit codes")).toEqual([[["code", "meaning"], ...rows]]);
  });

  it("have the table of commands", () => {
    const rows = COMMANDS.map((entry) => [code(usageOf(entry)), entry.summary]);
    expect(tablesUnder("docs/commands.md", "# Commands")).toEqual([[["command", "what it does"], ...rows]]);
  });

  const keys = (docs: readonly KeyDoc[]): string[][] => docs.map(({ key, default: value, doc }) => [code(key), value, doc]);

  it("have the table of settings", () => {
    const rows = SETTING_PATHS.map((path) => {
      const { default: value, defaultDoc, doc } = SETTINGS[path];
      return [code(path), value === null ? (defaultDoc ?? "") : code(value), doc];
    });
    expect(tablesUnder("docs/settings.md", "## Settings")).toEqual([[["setting", "default", "meaning"], ...rows]]);
  });

  it.each([
    ["an action", "## An action", "key of an action", ACTION_KEYS],
    ["a window", "## Windows", "key of a window", WINDOW_KEYS],
    ["a blocker", "## Blockers", "key of a blocker", BLOCKER_KEYS],
    ["a receiver of notices", "## Notices", "key of a receiver", NOTIFY_KEYS],
    ["a lock", "## Locks and dependencies", "key of a lock", LOCK_KEYS],
    ["somebody with access", "## Access over HTTP", "key of an entry of access", ACCESS_KEYS],
  ] as const)("have the table of the keys of %s", (_, heading, first, docs) => {
    expect(tablesUnder("docs/settings.md", heading)).toEqual([[[first, "default", "meaning"], ...keys(docs)]]);
  });

  it("say of every folder of src/ what it owns", () => {
    const named = tablesUnder("docs/design.md", "## Layers")
      .flat()
      .flatMap(([folders = ""]) => [...folders.matchAll(/`([^`]+)`/g)].map(([, folder = ""]) => folder))
      .filter((folder) => !folder.endsWith("/"));
    const folders = readdirSync(join(root, "src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    expect(named.toSorted()).toEqual(folders.toSorted());
  });
});

describe("the documents' links", () => {
  const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "systemd/README.md"].concat(
    readdirSync(join(root, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  );

  it.each(documents)("%s leads nowhere that is not there", (document) => {
    const broken = linksOf(read(document)).filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? document : join(dirname(document), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(read(target)).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  it("the check finds what leads nowhere", () => {
    const text =
      '# What\'s *new*?\n## `a` & b\n## `a` & b\n```\n# no heading [x](y)\n```\n[x](#whats-new) ![y](z.png) <img src="w.png"> `[no](link)`\n';
    expect(linksOf(text)).toEqual(["#whats-new", "z.png", "w.png"]);
    expect([...anchorsOf(text)]).toEqual(["whats-new", "a--b", "a--b-1"]);
  });

  // What design.md proposes as examples of new rooms.
  const NOT_YET = ["src/gates/", "src/stores/redis/", "test/stores/redis.test.ts"];

  it.each(documents.filter((document) => document !== "CHANGELOG.md"))("%s names no file that is not there", (document) => {
    const named = [...read(document).matchAll(/`((?:src|test|scripts|config|docs|examples|systemd)\/[\w./-]*)`/g)].map(
      ([, path = ""]) => path,
    );
    expect(named.filter((path) => !NOT_YET.includes(path) && !existsSync(join(root, path)))).toEqual([]);
  });

  it("README.md leads to every page", () => {
    const pages = linksOf(read("README.md")).map((link) => link.split("#")[0]);
    expect(documents.filter((document) => document !== "README.md" && !pages.includes(document))).toEqual([]);
  });
});

/** A document without its fenced code. */
function proseOf(text: string): string {
  return text.replace(/^( *)(```+)[^\n]*\n[\s\S]*?^\1\2$/gm, "");
}

/** Where a document's links and images lead. */
function linksOf(text: string): string[] {
  const prose = proseOf(text).replace(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(([^()\s]+)\)/g), ...prose.matchAll(/<(?:img|source)[^>]* src(?:set)?="([^"]+)"/g)];
  return links.map(([, link = ""]) => link);
}

/** The anchors of a document's headings, as code hosts make them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** The tables of a document's section under a heading, each as rows of cells, without the line of dashes. */
function tablesUnder(document: string, heading: string): string[][][] {
  const section =
    read(document)
      .split(/^(?=#{1,2} )/m)
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
