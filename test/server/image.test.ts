// The Dockerfile, where there is no Docker: its instructions are read, what they copy is there, what they link to is what a
// build makes, and the files that they copy are enough for a build.
import { execFile } from "node:child_process";
import { cpSync, existsSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { freshDirectory } from "../support/roots.js";

const root = new URL("../..", import.meta.url).pathname;

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

interface Stage {
  readonly base: string;
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

const stages = parseStages(readFileSync(join(root, "Dockerfile"), "utf8"));

function parseStages(text: string): readonly Stage[] {
  const lines = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n/g, " ");
  const found: (Stage & { instructions: Instruction[] })[] = [];
  for (const line of lines.split("\n").filter((one) => one.trim() !== "")) {
    const [, word = "", rest = ""] = /^([A-Z]+)\s+(.*?)\s*$/.exec(line) ?? [];
    const [, base, name] = (word === "FROM" && /^(\S+) AS ([a-z]+)$/.exec(rest)) || [];
    if (base !== undefined && name !== undefined) found.push({ base, name, instructions: [] });
    else if (found.length === 0 || word === "FROM") throw new Error(`no stage: ${line}`);
    else found.at(-1)?.instructions.push({ word, rest });
  }
  return found;
}

function stageOf(name: string): Stage {
  const stage = stages.find((one) => one.name === name);
  if (stage === undefined) throw new Error(`there is no stage ${name}`);
  return stage;
}

/** The instructions of a stage after those of the stages that it is made from. */
function inheritedBy(name: string): readonly Instruction[] {
  const { base, instructions } = stageOf(name);
  return stages.some((stage) => stage.name === base) ? [...inheritedBy(base), ...instructions] : instructions;
}

interface Copy {
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly target: string;
}

function copiesOf({ instructions }: Stage): readonly Copy[] {
  let workdir = "/";
  const copies: Copy[] = [];
  for (const { word, rest } of instructions) {
    if (word === "WORKDIR") workdir = posix.resolve(workdir, rest);
    if (word !== "COPY" && word !== "ADD") continue;
    const [, from = null, paths = ""] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
    const parts = paths.split(/\s+/);
    copies.push({ from, sources: parts.slice(0, -1), target: posix.resolve(workdir, parts.at(-1) ?? "") });
  }
  return copies;
}

const copiedFromHere = stages.flatMap((stage) => copiesOf(stage).filter(({ from }) => from === null));
const sourcesHere = [...new Set(copiedFromHere.flatMap(({ sources }) => sources))];
const links = (name: string): ReadonlyMap<string, string> => {
  let workdir = "/";
  const found = new Map<string, string>();
  for (const { word, rest } of inheritedBy(name)) {
    if (word === "WORKDIR") workdir = posix.resolve(workdir, rest);
    if (word !== "RUN") continue;
    for (const [, target = "", path = ""] of rest.matchAll(/ln -s (\S+) (\S+)/g)) found.set(posix.resolve(workdir, path), target);
  }
  return found;
};

describe("the Dockerfile", () => {
  test("makes every stage from an image with glibc, or from a stage before it", () => {
    const known = new Set<string>();
    for (const { base, name } of stages) {
      expect(known.has(base) || /^node:(20|22|24)-(bookworm|trixie)-slim$/.test(base), `${name} from ${base}`).toBe(true);
      expect(known.has(name)).toBe(false);
      known.add(name);
    }
    expect([...known]).toEqual(expect.arrayContaining(["resource", "server"]));
    // What a build without --target makes is the last one.
    expect(stages.at(-1)?.name).toBe("server");
    expect(new Set(stages.map(({ base }) => base).filter((base) => base.includes(":"))).size).toBe(1);
  });

  test("copies what is there, and what the stages that it copies from have", () => {
    expect(sourcesHere.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    const [packages, build] = [stageOf("packages"), stageOf("build")];
    const fromStages = stages.flatMap((stage) => copiesOf(stage).filter(({ from }) => from !== null));
    expect(fromStages.map(({ from, sources }) => [from, ...sources])).toEqual([
      ["packages", "/opt/holdline/node_modules"],
      ["build", "/src/dist"],
    ]);
    expect(packages.instructions).toContainEqual({ word: "RUN", rest: "npm ci --omit=dev" });
    expect(packages.instructions).toContainEqual({ word: "WORKDIR", rest: "/opt/holdline" });
    expect(build.instructions).toContainEqual({ word: "WORKDIR", rest: "/src" });
    expect(build.instructions).toContainEqual({ word: "RUN", rest: "node scripts/build.mjs" });
  });

  test("is given those files and no others", () => {
    const lines = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
    const rules = lines.filter((line) => line !== "" && !line.startsWith("#"));
    expect(rules[0]).toBe("*");
    expect(rules.slice(1).sort()).toEqual(sourcesHere.map((path) => `!${path}`).sort());
  });

  test("links the resource's programs, and the server's, to the program that the build makes", () => {
    const program = "/opt/holdline/dist/main.cjs";
    const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { bin: Readonly<Record<string, string>> };
    expect(posix.resolve("/opt/holdline", bin["holdline"] ?? "")).toBe(program);
    const parts = ["check", "in", "out"].map((name) => [`/opt/resource/${name}`, program] as const);
    expect([...links("resource")]).toEqual([["/usr/local/bin/holdline", program], ...parts]);
    expect([...links("server")]).toEqual([["/usr/local/bin/holdline", program]]);
    const said = Object.fromEntries(inheritedBy("server").map(({ word, rest }) => [word, rest]));
    expect(JSON.parse(said["ENTRYPOINT"] ?? "")).toEqual(["holdline"]);
    expect(JSON.parse(said["CMD"] ?? "")).toEqual(["serve", "--listen", "0.0.0.0"]);
  });

  test("runs the server as a user who owns its state and nothing else", () => {
    const words = stageOf("server").instructions.map(({ word }) => word);
    const user = stageOf("server").instructions.find(({ word }) => word === "USER");
    expect(user?.rest).toBe("node");
    // What would need root stands before it.
    expect(words.slice(words.indexOf("USER")).filter((word) => word === "RUN" || word === "COPY")).toEqual([]);
    const state = stageOf("server").instructions.find(({ word }) => word === "VOLUME")?.rest;
    expect(stageOf("server").instructions).toContainEqual({ word: "ENV", rest: `HOLDLINE_STATE_DIR=${state ?? ""}` });
    expect(inheritedBy("resource").filter(({ word }) => word === "USER")).toEqual([]);
  });

  test("has no secrets, and no way in for them", () => {
    const all = stages.flatMap(({ instructions }) => instructions);
    expect(all.filter(({ word }) => ["ARG", "ADD", "SECRET"].includes(word))).toEqual([]);
    const set = all.filter(({ word }) => word === "ENV").map(({ rest }) => rest.split("=")[0]);
    expect(set).toEqual(["NODE_ENV", "HOLDLINE_STATE_DIR"]);
    expect(readFileSync(join(root, ".npmrc"), "utf8")).not.toMatch(/_auth|_password|token/i);
  });

  test("copies enough to build a program that runs", { timeout: 120_000 }, async () => {
    const directory = await freshDirectory();
    for (const { sources, target } of copiesOf(stageOf("build")))
      for (const source of sources) {
        const isFolder = statSync(join(root, source)).isDirectory();
        cpSync(join(root, source), join(directory, posix.relative("/src", isFolder ? target : posix.join(target, source))), {
          recursive: true,
        });
      }
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
    const run = promisify(execFile);
    await run(process.execPath, ["scripts/build.mjs"], { cwd: directory });
    const link = join(directory, "check");
    symlinkSync(join(directory, "dist/main.cjs"), link);
    const called = run(link);
    called.child.stdin?.end();
    await expect(called).rejects.toMatchObject({ code: 64, stderr: expect.stringContaining("it is no JSON") as string });
  });
});
