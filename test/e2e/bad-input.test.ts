// Bad input as users meet it: one clear line, the right exit code, and nothing touched.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory } from "../support/roots.js";
import { within } from "../support/wait.js";
import { type Ended, PROGRAM, startCli } from "./fleet.js";

failOnLeaks();

// Root may read every file.
const UNPRIVILEGED = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const canRunUnprivileged = spawnSync(process.execPath, [PROGRAM, "--version"], UNPRIVILEGED).status === 0;

const GOOD = "actions:\n  restart-nginx: { command: [touch, ran] }\n";

describe("a configuration that is wrong: 78", () => {
  test.each<[what: string, text: string, words: RegExp]>([
    ["an unknown key", `acquier: { timeout: 30 s }\n${GOOD}`, /:1: acquier: is an unknown key; did you mean "acquire"\?/],
    [
      "an unknown key of an action",
      "actions:\n  a:\n    command: [touch, ran]\n    timout: 5 s\n",
      /:4: actions\.a\.timout: is an unknown key; did you mean "timeout"\?/,
    ],
    [
      "an empty command",
      "actions:\n  a: { command: [] }\n",
      /:2: actions\.a\.command: must not be empty; write for example \[systemctl/,
    ],
    [
      "a command that names no program",
      'actions:\n  a: { command: [""] }\n',
      /:2: actions\.a\.command: must begin with the name of a program/,
    ],
    ["an empty shell text", 'actions:\n  a: { shell: " " }\n', /:2: actions\.a\.shell: must not be empty/],
    [
      "a pattern that is none",
      'actions:\n  a: { command: [touch, ran], process: { command_string: "nginx(" } }\n',
      /command_string: is not a regular expression in RE2 syntax: /,
    ],
    [
      "a negative duration",
      `acquire: { timeout: -5 s }\n${GOOD}`,
      /:1: acquire\.timeout: .*a number of seconds, or a number and a unit/,
    ],
    ["a negative number for a duration", `connect_timeout: -1\n${GOOD}`, /:1: connect_timeout: .*a number of seconds/],
    ["a duration with a unit that is none", `session_timeout: 30 parsecs\n${GOOD}`, /:1: session_timeout: .*"30 parsecs"/],
    ["a duration that is no number", `release_timeout: soon\n${GOOD}`, /:1: release_timeout: .*a number of seconds/],
    [
      "a lock name of 300 bytes",
      `actions:\n  a: { command: [touch, ran], lock: ${"x".repeat(300)} }\n`,
      /actions\.a\.lock: .*300 bytes; at most 255 are allowed/,
    ],
    ['a lock name with ".."', "actions:\n  a: { command: [touch, ran], lock: a/../b }\n", /actions\.a\.lock: .*"\.\."/],
    [
      "a coordinator URL with a typo in its scheme",
      `coordinator: zookeper://zk1:2181/x\n${GOOD}`,
      /:1: coordinator: has the unknown scheme "zookeper:\/\/"; did you mean "zookeeper"\?/,
    ],
    [
      "a coordinator URL with a port that is none",
      `coordinator: zookeeper://zk1:218l/x\n${GOOD}`,
      /:1: coordinator: has the server "zk1:218l"/,
    ],
    ["a coordinator URL that is none", `coordinator: zk1:2181\n${GOOD}`, /:1: coordinator: must be a URL such as zookeeper:/],
    ["a wrong type", `skip_coordination: perhaps\n${GOOD}`, /:1: skip_coordination: /],
    ["what is not YAML", "actions: [unclosed\n", /holdline\.yaml:\d+: /],
    ["YAML that is no map", "- restart\n- reload\n", /holdline\.yaml.*: .*must be a map/],
    [
      "serialize_process without a process",
      "actions:\n  a: { command: [touch, ran], mode: serialize_process }\n",
      /actions\.a: mode serialize_process needs `process`/,
    ],
  ])("%s", async (_what, text, words) => {
    const place = await openPlace();
    writeFileSync(place.config, text);
    for (const args of [["run"], ["exec", "x", "--", "touch", "ran"]]) {
      place.untouched(await place.run("-c", place.config, ...args), { code: 78, words });
    }
    const json = await place.run("-c", place.config, "run", "--json");
    expect(json.code).toBe(78);
    const { error } = JSON.parse(json.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe("configuration");
    expect(error.message).toMatch(words);
  });

  test("all problems are reported at once, one line each", async () => {
    const place = await openPlace();
    writeFileSync(place.config, "acquire: { timeout: -1 }\nnodes: x\nactions:\n  a: { command: [] }\n");
    const { code, stderr } = await place.run("-c", place.config, "run", "--all");
    expect(code).toBe(78);
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/^holdline: .*holdline\.yaml:\d: /);
  });

  test("a file that is a directory", async () => {
    const place = await openPlace();
    mkdirSync(place.config);
    place.untouched(await place.run("-c", place.config, "run", "--all"), { code: 78, words: /holdline\.yaml.* is a directory/ });
  });

  test("a file that is not there, when it was named", async () => {
    const place = await openPlace();
    place.untouched(await place.run("-c", "elsewhere.yaml", "run", "--all"), {
      code: 78,
      words: /elsewhere\.yaml: there is no such file/,
    });
  });

  test.skipIf(!canRunUnprivileged)("a file that is not readable", async () => {
    const place = await openPlace();
    writeFileSync(place.config, GOOD);
    chmodSync(place.config, 0o000);
    chmodSync(dirname(place.config), 0o755);
    const env = { PATH: process.env["PATH"], HOLDLINE_STATE_DIR: join(dirname(place.config), "state") };
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, "-c", place.config, "run"], {
      ...UNPRIVILEGED,
      env,
      encoding: "utf8",
    });
    place.untouched({ code: status, signal: null, stdout, stderr }, { code: 78, words: /holdline\.yaml: cannot be read/ });
  });

  test.each([
    [
      "a typo in a variable's name",
      { HOLDLINE_COORDINATR: "zookeeper://zk1/x" },
      /^holdline: HOLDLINE_COORDINATR: is an unknown variable; did you mean HOLDLINE_COORDINATOR\?/,
    ],
    ["a variable with a bad duration", { HOLDLINE_ACQUIRE_TIMEOUT: "soon" }, /^holdline: HOLDLINE_ACQUIRE_TIMEOUT: /],
    ["a variable for a map of the file", { HOLDLINE_ACCESS: "{}" }, /^holdline: HOLDLINE_ACCESS: has no effect; set `access` in/],
    ["a variable with a bad URL", { HOLDLINE_COORDINATOR: "zk1:2181" }, /^holdline: HOLDLINE_COORDINATOR: .*must be a URL/],
  ])("%s", async (_what, env, words) => {
    const place = await openPlace(env);
    writeFileSync(place.config, GOOD);
    place.untouched(await place.run("-c", place.config, "run", "--all"), { code: 78, words });
  });

  test("--coordinator with a typo", async () => {
    const place = await openPlace();
    place.untouched(await place.run("--coordinator", "sqllite:///tmp/x.db", "locks"), {
      code: 78,
      words: /^holdline: --coordinator: has the unknown scheme "sqllite:\/\/"; did you mean "sqlite"\?/,
    });
  });
});

describe("a command line that is wrong: 64", () => {
  test.each<[what: string, args: readonly string[], words: RegExp, hint?: RegExp]>([
    ["no command", [], /^holdline: no command was given/, /holdline --help/],
    ["an unknown command", ["rnu"], /^holdline: unknown command 'rnu'/, /Did you mean run\?/],
    ["an unknown option", ["run", "--jsno"], /^holdline: unknown option '--jsno'/, /Did you mean --json\?/],
    [
      "an action that does not exist",
      ["run", "restart-ngnix"],
      /^holdline: unknown action "restart-ngnix"/,
      /did you mean "restart-nginx"\?/,
    ],
    ["one among others", ["run", "restart-nginx", "reload"], /^holdline: unknown action "reload"/],
    [
      "a lock name of 300 bytes",
      ["exec", "x".repeat(300), "--", "touch", "ran"],
      /^holdline: the lock name "x{60}…" has 300 bytes; at most 255 are allowed/,
    ],
    ["a lock name of 300 bytes in few letters", ["locks", "ä".repeat(150)], /has 300 bytes/],
    [
      'a lock name with ".."',
      ["exec", "a/../b", "--", "touch", "ran"],
      /^holdline: the lock name "a\/\.\.\/b" must not have "\." or "\.\."/,
    ],
    ["an empty lock name", ["locks", ""], /^holdline: the lock name "" must not be empty/],
    ["a negative duration", ["exec", "x", "--timeout=-5 s", "--", "touch", "ran"], /^holdline: --timeout: .*a number of seconds/],
    [
      "a duration that is nonsense",
      ["exec", "x", "--timeout", "30 parsecs", "--", "touch", "ran"],
      /^holdline: --timeout: .*"30 parsecs"/,
    ],
    ["slots that are none", ["exec", "x", "--slots", "0", "--", "touch", "ran"], /^holdline: --slots: /],
    ["data that is not YAML", ["exec", "x", "--data", "{ a: [", "--", "touch", "ran"], /^holdline: --data/],
    ["no command to run", ["exec", "x"], /^holdline: the command to run is missing/],
    ["an empty command", ["exec", "x", "--", ""], /^holdline: the name of the command to run is empty/],
    ["a limit that is none", ["history", "--limit", "many"], /^holdline: --limit: /],
    ["clear without a reason", ["clear", "x"], /^holdline: required option '--reason <TEXT>' not specified/],
    ["quiet and verbose", ["-q", "-v", "run"], /^holdline: --quiet and --verbose exclude each other/],
  ])("%s", async (_what, args, words, hint) => {
    const place = await openPlace();
    writeFileSync(place.config, GOOD);
    place.untouched(await place.run("-c", place.config, ...args), { code: 64, words, ...(hint === undefined ? {} : { hint }) });
  });
});

/** An empty directory to run the program in, with its own home, so that any file it makes is seen. */
async function openPlace(env: Readonly<Record<string, string>> = {}) {
  const directory = await freshDirectory();
  const home = join(directory, "home");
  mkdirSync(home);
  const config = join(directory, "holdline.yaml");
  const around = { HOME: home, XDG_CONFIG_HOME: join(home, "config"), HOLDLINE_STATE_DIR: join(directory, "state"), ...env };
  return {
    config,
    run: (...args: readonly string[]) => within(startCli(args, directory, around).ended, `holdline ${args.join(" ")}`),
    /** Checks for one line and perhaps a hint, no stack, and no new file. */
    untouched(ended: Ended, { code, words, hint }: { readonly code: number; readonly words: RegExp; readonly hint?: RegExp }) {
      expect([ended.code, ended.stdout], ended.stderr).toEqual([code, ""]);
      const [line = "", ...hints] = ended.stderr.trimEnd().split("\n");
      expect(line).toMatch(/^holdline: /);
      expect(line).toMatch(words);
      expect(hints.length, ended.stderr).toBeLessThanOrEqual(1);
      if (hint !== undefined) expect(hints[0]).toMatch(hint);
      expect(ended.stderr, "a stack trace").not.toMatch(/^\s+at .*[:(]/m);
      expect(readdirSync(directory).filter((name) => name !== "holdline.yaml")).toEqual(["home"]);
      expect(readdirSync(home)).toEqual([]);
    },
  };
}
