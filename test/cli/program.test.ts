import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { GlobalFlags, WithContext } from "../../src/cli/context.js";
import { runProgram } from "../../src/cli/program.js";
import { COMMANDS } from "../../src/cli/command-table.js";
import { usageOf } from "../../src/cli/command.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { VERSION } from "../../src/version.js";
import { context, recordedIo } from "./fakes.js";

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly flags: GlobalFlags | null;
}

/** Runs a command line. With `failure`, opening its context fails. */
async function run(argv: readonly string[], failure: Error | null = null): Promise<Run> {
  const io = recordedIo();
  let flags: GlobalFlags | null = null;
  const withContext: WithContext = async (request, use) => {
    ({ flags } = request);
    if (failure !== null) throw failure;
    return use(context(null, io, { json: request.flags.json }));
  };
  const code = await runProgram({ argv, io, stop: context(null, io).stop, withContext });
  return { code, out: io.out(), err: io.err(), flags };
}

describe("a wrong command line exits 64 with one clear line, before anything is opened", () => {
  test.each([
    [[], "no command was given", "holdline --help"],
    [["lokcs"], "unknown command 'lokcs'", "Did you mean locks?"],
    [["list"], "unknown command 'list'", "Did you mean locks?"],
    [["-v", "ls"], "unknown command 'ls'", "Did you mean locks?"],
    [["locks", "--jsn"], "unknown option '--jsn'", "Did you mean --json?"],
    [["locks", "a", "b"], "too many arguments", "usage: holdline locks [LOCK]"],
    [["clear", "a"], "required option '--reason <TEXT>' not specified", "usage: holdline clear LOCK"],
    [["clear", "--reason", "x"], "missing required argument 'LOCK'", "usage: holdline clear LOCK"],
    [["history", "--limit"], "option '--limit <N>' argument missing", "usage: holdline history"],
    [["exec", "a"], 'the command to run is missing: it follows "--"', "usage: holdline exec LOCK"],
    [["exec", "a", "--"], 'the command to run is missing: it follows "--"', "-- COMMAND…"],
    [["exec", "a", "ls", "-l"], "unknown option '-l'", "usage: holdline exec"],
    [["exec", "a", "ls"], 'the command to run is missing: it follows "--"', "usage: holdline exec"],
    [["check", "-q", "-v"], "--quiet and --verbose exclude each other", ""],
    [["locks", "--", "a", "b"], "too many arguments for locks", "usage: holdline locks"],
  ])("%j", async (argv, words, hint) => {
    const { code, out, err, flags } = await run(argv);
    expect([code, out, flags]).toEqual([64, "", null]);
    expect(err.split("\n")[0]).toMatch(/^holdline: /);
    expect(err.split("\n")[0]).toContain(words);
    expect(err).toContain(hint);
    expect(err.split("\n").length).toBeLessThanOrEqual(3);
  });

  test("and with one JSON document where that was asked for", async () => {
    const { code, out, err } = await run(["--json", "lokcs"]);
    expect(code).toBe(64);
    expect(JSON.parse(out)).toEqual({ error: { code: "usage", message: "unknown command 'lokcs'", hint: "Did you mean locks?" } });
    expect(err).toContain("unknown command");
  });
});

describe("options", () => {
  test("may stand before and after the command", async () => {
    for (const argv of [
      ["-c", "f", "--coordinator", "u", "-v", "--json", "check"],
      ["check", "--json", "-v", "--coordinator=u", "--config", "f"],
    ]) {
      const { code, flags } = await run(argv);
      expect(code).toBe(0);
      expect(flags).toEqual({ config: "f", coordinator: "u", json: true, quiet: false, verbose: true });
    }
  });

  test("after -- are the guarded command's", async () => {
    const { flags, err } = await run(["exec", "a", "--durable", "--", "tar", "-c", "x", "--json", "--help", "--", "-q"]);
    expect(flags).toEqual({ config: null, coordinator: null, json: false, quiet: false, verbose: false });
    expect(err).toContain("nothing is to be run");
  });
});

describe("help", () => {
  test("lists every command", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(0);
    for (const { name } of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name}\\b`, "m"));
  });

  test.each(COMMANDS.map((entry) => [entry.name, entry] as const))(
    "of %s says how it is used, with two examples",
    async (name, entry) => {
      const { code, out, err } = await run([name, "--help"]);
      expect([code, err]).toEqual([0, ""]);
      expect(out).toContain(`Usage: holdline ${usageOf(entry)}`);
      for (const example of entry.examples) expect(out).toContain(`  ${example}\n`);
      for (const example of entry.examples) expect(example).toMatch(new RegExp(`\\bholdline ${name}\\b`));
      expect((await run(["help", name])).out).toBe(out);
    },
  );

  test.each(COMMANDS.map((entry) => [entry.name, entry] as const))(
    "of %s has examples that a shell and we can read",
    async (_, entry) => {
      for (const example of entry.examples) {
        const lines = commandLinesOf(example);
        expect(lines.map(([name]) => name)).toContain(entry.name);
        for (const argv of lines.filter((line) => !waitsForInput(line))) {
          // Commands that open a context fail with its error, so the command line was right.
          const { code } = await run(argv, new HoldlineError("configuration", "stop here"));
          expect(code, argv.join(" ")).toBe(entry.name === "completion" ? 0 : 78);
        }
      }
    },
  );
});

describe("the documents", () => {
  const root = new URL("../..", import.meta.url).pathname;
  const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  const text = ["README.md", "CONTRIBUTING.md", ...pages.map((name) => `docs/${name}`)]
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  const typed = [...text.matchAll(/^ *\$ (.*\bholdline [a-z].*)$/gm), ...text.matchAll(/`([^`\n]*\bholdline [a-z][^`\n]*)`/g)];

  test.each([...new Set(typed.map(([, line = ""]) => line))])("%s is a command line that we can read", async (line) => {
    const calls = commandLinesOf(line);
    expect(calls).not.toEqual([]);
    for (const argv of calls.filter((call) => !waitsForInput(call)))
      expect([0, 78]).toContain((await run(argv, new HoldlineError("configuration", "stop here"))).code);
  });

  test("shows how each command is used", () => {
    const shown = new Set(typed.flatMap(([, line = ""]) => [...line.matchAll(/\bholdline ([a-z-]+)/g)].map(([, name]) => name)));
    expect(COMMANDS.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
  });
});

/** The command opens nothing, and reads its request first, which nobody writes here. */
function waitsForInput([name]: readonly string[]): boolean {
  return name === "concourse";
}

/** The arguments of each call of `holdline` in a line of shell. The calls succeed and print an id. */
function commandLinesOf(line: string): string[][] {
  const folder = mkdtempSync(join(tmpdir(), "holdline-examples-"));
  try {
    const [calls, program] = [join(folder, "calls"), join(folder, "holdline")];
    writeFileSync(calls, "");
    for (const [, read = ""] of line.matchAll(/ < (\S+)/g)) writeFileSync(join(folder, read), "");
    writeFileSync(program, `#!/bin/sh\nprintf '%s\\0' "$@" >> '${calls}'\nprintf '\\n\\0' >> '${calls}'\necho 3f2504e0-4f89\n`);
    chmodSync(program, 0o755);
    spawnSync("/bin/sh", ["-uc", line], {
      cwd: folder,
      env: { PATH: `${folder}:/usr/bin:/bin`, ID: "the id", HOLDLINE_CLAIM: "the claim" },
    });
    return readFileSync(calls, "utf8")
      .split("\n\0")
      .slice(0, -1)
      .map((call) => call.split("\0").slice(0, -1));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("--version is that of package.json", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  expect(VERSION).toBe(version);
  expect(await run(["--version"])).toMatchObject({ code: 0, out: `${version}\n`, err: "" });
});

describe("errors", () => {
  test("are one line for each problem, and a hint", async () => {
    const { code, out, err } = await run(["check"], new HoldlineError("configuration", "one\ntwo", { hint: "do this" }));
    expect([code, out, err]).toEqual([78, "", "holdline: one\nholdline: two\n  do this\n"]);
  });

  test("of others cannot move the cursor", async () => {
    expect((await run(["check"], new HoldlineError("unreachable", "\x1b[2J"))).err).toBe("holdline: \\x1b[2J\n");
  });

  test("in JSON have a code, a message and a hint", async () => {
    const { code, out } = await run(["check", "--json"], new HoldlineError("unreachable", "no answer", { hint: "is it up?" }));
    expect([code, JSON.parse(out)]).toEqual([69, { error: { code: "unreachable", message: "no answer", hint: "is it up?" } }]);
  });

  test("that nobody expected are bugs, told in one line; --verbose shows where", async () => {
    const bug = new TypeError("x is not a function");
    expect(await run(["check"], bug)).toMatchObject({
      code: 70,
      err: "holdline: bug in holdline: x is not a function\n  --verbose shows more for a bug report\n",
    });
    expect((await run(["check", "-v"], bug)).err).toMatch(
      /^holdline: bug in holdline: x is not a function\n {2}TypeError: .*\n\s+at /,
    );
  });

  test("with a cause tell it where more is asked for", async () => {
    const error = new HoldlineError("unreachable", "no answer", { cause: new Error("ECONNREFUSED") });
    expect((await run(["check"], error)).err).toBe("holdline: no answer\n");
    expect((await run(["check", "--verbose"], error)).err).toBe("holdline: no answer\n  because: ECONNREFUSED\n");
  });
});

test("every command of the table can be loaded", async () => {
  for (const { load } of COMMANDS) expect(await load()).toHaveProperty("run");
});
