// `holdline completion` in real shells: what they offer on a command line. They never run a name that others chose.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/command-table.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, type Node, openFleet, PROGRAM } from "./fleet.js";
import { noTerminal, startShellOnTerminal } from "./terminal.js";

failOnLeaks();

const missing = (shell: string): string | null =>
  spawnSync(shell, ["--version"]).status === 0 ? null : `${shell} is not installed`;
const [noBash, noZsh, noFish] = [missing("bash"), missing("zsh"), missing("fish")];
const why = (...reasons: (string | null)[]): string => {
  const reason = reasons.find((one) => one !== null);
  return reason === undefined ? "" : ` (skipped: ${reason})`;
};

const EVIL = "evil $(touch pwned) `touch pwned`";

let fleet: Fleet;
let node: Node;
let env: Record<string, string>;
let leaseId: string;
let freezeId: string;

beforeEach(async () => {
  fleet = await openFleet("sqlite");
  node = fleet.node("web-01", { "restart-nginx": { command: ["true"] }, deploy: { lock: "app/deploy", command: ["true"] } });
  leaseId = (await node.run("acquire", "db-migrate")).stdout.trim();
  expect((await node.run("lock", "dc01")).code).toBe(0);
  for (const lock of ["colons:are:fine", EVIL]) expect((await node.run("acquire", lock)).code).toBe(0);
  freezeId = (await node.run("freeze", "nothing/*", "--reason", "sale")).stdout.trim();
  const folder = join(node.directory, "bin");
  mkdirSync(folder);
  writeFileSync(join(folder, "holdline"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  chmodSync(join(folder, "holdline"), 0o755);
  env = { PATH: `${folder}:${process.env["PATH"] ?? ""}`, HOME: node.directory, HOLDLINE_CONFIG: node.config };
});

async function script(shell: string): Promise<string> {
  const path = join(node.directory, `completion.${shell}`);
  const { code, stdout, stderr } = await node.run("completion", shell);
  expect([code, stderr]).toEqual([0, ""]);
  writeFileSync(path, stdout);
  return path;
}

/** Runs a shell to its end, and fails if it complains. */
function ask(shell: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): string[] {
  const { stdout, stderr } = spawnSync(shell, args, { cwd: node.directory, env: { ...env, ...more }, encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

const CASES: readonly (readonly [line: string, offered: () => readonly string[]])[] = [
  ["lo", () => ["lock", "locks"]],
  ["locks --w", () => ["--watch"]],
  ["-v run ", () => ["deploy", "restart-nginx"]],
  ["run deploy rest", () => ["restart-nginx"]],
  ["locks db", () => ["db-migrate"]],
  ["acquire app/", () => ["app/deploy"]],
  ["release db-migrate ", () => [leaseId]],
  ["thaw ", () => [freezeId]],
  ["freeze app/", () => ["app/deploy"]],
  ["history --event re", () => ["recovered", "released"]],
  ["current db-migrate -f one", () => ["oneline"]],
  ["test d", () => ["dc01"]],
  ["help hist", () => ["history"]],
  ["completion z", () => ["zsh"]],
  ["locks --coordinator sqlite:///dev/null/at.all db", () => []],
];

describe.skipIf(noBash !== null)(`bash${why(noBash)}`, () => {
  /** What bash offers with the cursor at the end of the line. */
  async function offered(line: string, more: Readonly<Record<string, string>> = {}): Promise<string[]> {
    const complete = `source '${await script("bash")}'; COMP_LINE=$1 COMP_POINT=\${#1}; _holdline; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return ask("bash", ["--norc", "-c", complete, "-", line], more).sort();
  }

  test.each(CASES)("holdline %s", async (line, expected) => expect(await offered(`holdline ${line}`)).toEqual(expected()));

  test("every command, and every option of each", async () => {
    expect(await offered("holdline ")).toEqual([...COMMANDS.map(({ name }) => name), "help"].sort());
    for (const { name, options } of COMMANDS) {
      const words = await offered(`holdline ${name} --`);
      for (const option of [...options.map(({ form }) => form), "--json"]) expect(words).toContain(/--[\w-]+/.exec(option)?.[0]);
    }
  });

  test("names are quoted, not evaluated, and go on behind a colon", async () => {
    expect(await offered("holdline locks ev")).toEqual(["evil\\ \\$\\(touch\\ pwned\\)\\ \\`touch\\ pwned\\`"]);
    expect(await offered("holdline locks colons:a")).toEqual(["are:fine"]);
    expect(await offered("holdline history --event=cl")).toEqual(["cleared"]);
    expect(existsSync(join(node.directory, "pwned"))).toBe(false);
  });

  test("another program's command line is completed as that program's", async () => {
    expect(await offered("holdline exec db-migrate --durable -- touc")).toContain("touch");
    expect(await offered(`holdline check --config ${node.directory}/ho`)).toEqual([node.config]);
  });

  test("a configuration that cannot be read is no reason to be silent about commands, nor to make noise", async () => {
    writeFileSync(node.config, "nonsense: [");
    expect(await offered("holdline loc")).toEqual(["lock", "locks"]);
    expect(await offered("holdline run ")).toEqual([]);
  });

  test.skipIf(noTerminal !== null)(`pressing Tab${why(noTerminal)}`, async () => {
    const path = await script("bash");
    const terminal = startShellOnTerminal("exec bash --norc -i", node.directory, env);
    terminal.type(`source '${path}'; echo re''ady\r`);
    await until(() => terminal.shown().includes("ready"), "the shell");
    terminal.type("holdline lock\t\t");
    await until(() => /lock +locks/.test(terminal.shown()), "the two commands to be shown");
    terminal.type("s db-m\t\r");
    await until(() => /db-migrate +held +web-01/.test(terminal.shown()), "the name to be completed");
    terminal.type("exit\r");
    expect(await terminal.ended).toBe(0);
  });
});

describe.skipIf(noFish !== null)(`fish${why(noFish)}`, () => {
  async function offered(line: string): Promise<string[]> {
    const complete = `source '${await script("fish")}'; complete -C "$argv[1]"`;
    return ask("fish", ["--no-config", "-c", complete, line]).map((offer) => offer.split("\t")[0] as string);
  }

  test.each(CASES)("holdline %s", async (line, expected) => expect((await offered(`holdline ${line}`)).sort()).toEqual(expected()));

  test("names are not evaluated", async () => {
    expect(await offered("holdline locks evi")).toHaveLength(1);
    expect(existsSync(join(node.directory, "pwned"))).toBe(false);
  });

  test("another program's command line is completed as that program's", async () => {
    expect(await offered("holdline exec db-migrate --durable -- touc")).toContain("touch");
  });
});

describe.skipIf(noZsh !== null || noTerminal !== null)(`zsh${why(noZsh, noTerminal)}`, () => {
  test("pressing Tab", async () => {
    const path = await script("zsh");
    const terminal = startShellOnTerminal("exec zsh -f -i", node.directory, env);
    terminal.type(`autoload -U compinit; compinit -u -d '${node.directory}/dump'; source '${path}'; echo re''ady\r`);
    await until(() => terminal.shown().includes("ready"), "the shell");
    const pressed = async (line: string, shown: RegExp) => {
      terminal.type(line);
      await until(() => shown.test(terminal.shown()), `${JSON.stringify(line)} to show ${String(shown)}`);
    };
    await pressed("holdline locks db-m\t\r", /db-migrate +held +web-01/);
    await pressed("holdline locks evi\t\r", /evil \$\(touch pwned\) `touch pwned` +held/);
    await pressed("holdline release db-migrate \t && echo re''leased\r", /\breleased\b/);
    await pressed("holdline locks db-migrate\r", /nobody holds or waits for db-migrate/);
    await pressed("holdline comple\tz\t | head -1\r", /#compdef holdline/);
    await pressed("holdline history --event cl\t --json; echo don''e\r", /done/);
    expect(terminal.shown()).toContain('{"history":[]}');
    expect(existsSync(join(node.directory, "pwned"))).toBe(false);
    terminal.type("exit\r");
    expect(await terminal.ended).toBe(0);
  });
});
