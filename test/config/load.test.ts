import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadSettings } from "../../src/config/load.js";
import { SETTING_PATHS, SETTINGS, variableOf } from "../../src/config/schema.js";
import { configFile, load, problemsIn, problemsOf, surroundings } from "./loading.js";

describe("without any configuration", () => {
  test("the defaults are those of the contract", async () => {
    const settings = await load(null, { around: { isRoot: true } });
    expect(settings).toMatchObject({
      file: null,
      node: "web-07.example.com",
      principal: "ann@web-07.example.com",
      coordinator: "sqlite:///var/lib/holdline/holdline.db",
      stateDir: "/var/lib/holdline",
      acquire: { sleepTimeMs: 250, timeoutMs: 30_000 },
      connectTimeoutMs: 10_000,
      sessionTimeoutMs: 15_000,
      releaseTimeoutMs: 60_000,
      skipCoordination: false,
      log: { level: "info", format: "auto" },
      history: { keep: 100, forMs: null, total: 10_000 },
      actions: [],
    });
    expect(settings.locks.size).toBe(0);
    expect(new Set(settings.origins?.values())).toEqual(new Set(["default"]));
  });

  test("a user who is not root has a state directory of their own", async () => {
    const around = surroundings();
    const at = (env: Record<string, string>) => loadSettings({ config: null, flags: new Map(), surroundings: { ...around, env } });
    expect((await at({})).stateDir).toBe(join(around.homedir, ".local/state/holdline"));
    expect((await at({ XDG_STATE_HOME: "/state" })).coordinator).toBe("sqlite:///state/holdline/holdline.db");
    expect((await at({ XDG_STATE_HOME: "state" })).stateDir).toBe(join(around.homedir, ".local/state/holdline"));
  });

  test("the database of a state directory with blanks and the like is named by a proper URL", async () => {
    expect((await load("state_dir: /srv/my locks/100%?\n")).coordinator).toBe("sqlite:///srv/my%20locks/100%25%3F/holdline.db");
  });
});

describe("what is in force", () => {
  test("flags win over the environment, which wins over the file", async () => {
    const text = "coordinator: sqlite:///file\nnode: file\nprincipal: file\n";
    const env = { HOLDLINE_COORDINATOR: "sqlite:///env", HOLDLINE_NODE: "env" };
    const settings = await load(text, { env, flags: new Map([["coordinator", "sqlite:///flag"]]) });
    expect([settings.coordinator, settings.node, settings.principal]).toEqual(["sqlite:///flag", "env", "file"]);
    expect(["coordinator", "node", "principal", "state_dir"].map((path) => settings.origins?.get(path))).toEqual([
      "flag",
      "environment",
      "file",
      "default",
    ]);
  });

  test.each(SETTING_PATHS)("%s is read from its environment variable", async (path) => {
    const { example } = SETTINGS[path];
    const around = { homedir: "/home/ann" };
    const settings = await load(null, { around, env: { [variableOf(path)]: example } });
    const same = await load(nested(path, example), { around });
    expect(settings.origins?.get(path)).toBe("environment");
    expect({ ...settings, file: null, origins: null }).toEqual({ ...same, file: null, origins: null });
  });

  test("acquire.timeout may be none and 0", async () => {
    expect((await load("acquire: { timeout: none }")).acquire.timeoutMs).toBeNull();
    expect((await load("acquire: { timeout: 0 }")).acquire.timeoutMs).toBe(0);
    expect((await load(null, { env: { HOLDLINE_ACQUIRE_TIMEOUT: "none" } })).acquire.timeoutMs).toBeNull();
    expect((await load(null, { env: { HOLDLINE_ACQUIRE_TIMEOUT: "0" } })).acquire.timeoutMs).toBe(0);
  });

  test("a number is taken as it was written where a text is needed", async () => {
    expect((await load("node: 010\n")).node).toBe("010");
  });

  test.each(["true", "yes", "on", "1", "TRUE"])("skip_coordination may be %s in the environment", async (word) => {
    expect((await load(null, { env: { HOLDLINE_SKIP_COORDINATION: word } })).skipCoordination).toBe(true);
  });

  test("a relative state_dir is taken from where the file is, and ~ is the home directory", async () => {
    const file = configFile("state_dir: state\n");
    const around = surroundings();
    expect((await loadSettings({ config: file, flags: new Map(), surroundings: around })).stateDir).toBe(join(file, "../state"));
    expect((await load("state_dir: ~/state", { around })).stateDir).toBe(join(around.homedir, "state"));
  });

  test.each(["actions", "locks", "dependencies", "access", "groups"])("%s cannot be set in the environment", async (part) => {
    const name = `HOLDLINE_${part.toUpperCase()}`;
    const loading = load(null, { env: { [name]: "{}" } });
    await expect(loading).rejects.toMatchObject({
      code: "configuration",
      message: `${name}: has no effect; set \`${part}\` in the configuration file`,
    });
  });

  test("variables that commands see, and those of others, are no settings", async () => {
    const env = {
      HOLDLINE_ACTION: "x",
      HOLDLINE_LOCK: "x",
      HOLDLINE_CLAIM: "x",
      HOLDLINE_FENCING_TOKEN: "1",
      HOLDLINE_DASHBOARD: "x",
    };
    expect((await load(null, { env })).node).toBe("web-07.example.com");
  });
});

describe("finding the file", () => {
  const write = (path: string, node: string) => {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, `node: ${node}\n`);
  };

  test("it is looked for in the contract's order", async () => {
    const around = surroundings();
    const env = { HOLDLINE_CONFIG: "named.yaml", XDG_CONFIG_HOME: join(around.cwd, "xdg") };
    const node = async (config: string | null, changes: object = {}) =>
      (await loadSettings({ config, flags: new Map(), surroundings: { ...around, env, ...changes } })).node;
    const withoutVariable = { env: { XDG_CONFIG_HOME: env.XDG_CONFIG_HOME } };

    write(join(around.etc, "holdline/holdline.yaml"), "etc");
    expect(await node(null, withoutVariable)).toBe("etc");
    write(join(env.XDG_CONFIG_HOME, "holdline/holdline.yaml"), "xdg");
    expect(await node(null, withoutVariable)).toBe("xdg");
    write(join(around.cwd, "holdline.yaml"), "here");
    expect(await node(null, withoutVariable)).toBe("here");
    write(join(around.cwd, "named.yaml"), "variable");
    expect(await node(null)).toBe("variable");
    expect(await node(null, { env: { ...env, HOLDLINE_CONFIG: "" } })).toBe("here");
    write(join(around.cwd, "flag.yaml"), "flag");
    expect(await node("flag.yaml")).toBe("flag");
  });

  test("~/.config is the default of $XDG_CONFIG_HOME", async () => {
    const around = surroundings();
    write(join(around.homedir, ".config/holdline/holdline.yaml"), "home");
    expect((await loadSettings({ config: null, flags: new Map(), surroundings: around })).node).toBe("home");
  });

  test("a file that is named must be there", async () => {
    const around = surroundings({ env: { HOLDLINE_CONFIG: "/nowhere/at-all.yaml" } });
    const request = { flags: new Map(), surroundings: around };
    expect(await problemsIn(loadSettings({ ...request, config: "gone.yaml" }))).toEqual([
      `${join(around.cwd, "gone.yaml")}: there is no such file (named by --config)`,
    ]);
    expect(await problemsIn(loadSettings({ ...request, config: null }))).toEqual([
      "/nowhere/at-all.yaml: there is no such file (named by HOLDLINE_CONFIG)",
    ]);
    expect(await problemsIn(loadSettings({ ...request, config: "" }))).toEqual(["--config: names no file"]);
  });

  test("a directory is no file, named or merely found", async () => {
    const around = surroundings();
    mkdirSync(join(around.cwd, "holdline.yaml"));
    const request = { flags: new Map(), surroundings: around };
    expect(await problemsIn(loadSettings({ ...request, config: around.homedir + "/.." }))).toEqual([
      `${around.cwd}: is a directory, not a YAML file`,
    ]);
    expect(await problemsIn(loadSettings({ ...request, config: null }))).toEqual([" is a directory, not a YAML file"]);
  });

  test.skipIf(process.geteuid?.() === 0)("a file that may not be read is not passed over", async () => {
    const around = surroundings();
    write(join(around.cwd, "holdline.yaml"), "secret");
    chmodSync(join(around.cwd, "holdline.yaml"), 0o000);
    expect(await problemsIn(loadSettings({ config: null, flags: new Map(), surroundings: around }))).toEqual([
      " cannot be read: this user may not read it",
    ]);
  });

  test("a device that never ends is not read to its end", async () => {
    const [problem] = await problemsIn(loadSettings({ config: "/dev/zero", flags: new Map(), surroundings: surroundings() }));
    expect(problem).toBe("/dev/zero: is larger than 1 MiB, too large for a configuration");
  });

  test("an empty file says nothing, and that is fine", async () => {
    for (const text of ["", "# nothing\n", "---\n", "actions:\nlocks:\nlog:\n"]) expect((await load(text)).actions).toEqual([]);
  });
});

describe("problems", () => {
  test("a file that is no text, and one that is no YAML", async () => {
    expect(await problemsOf(null, { config: configFile(Uint8Array.of(0xff, 0xfe, 0x00)) })).toEqual([
      " is not YAML: it is not text in UTF-8",
    ]);
    const [problem] = await problemsOf("actions: [\n");
    expect(problem).toMatch(/^\d+: is not proper YAML: .* \(column \d+\)$/);
    expect(await problemsOf("just words")).toEqual([' must be a map of keys and values, not "just words"']);
  });

  test("all of them are said at once, in the file's order, each with its line and its key's path", async () => {
    const text = [
      "nodee: x",
      "acquire:",
      "  timeout: soon",
      "actions:",
      "  a:",
      "    command: []",
      "    timeout: -5 s",
      "history: { keep: many }",
    ].join("\n");
    expect(await problemsOf(text)).toEqual([
      '1: nodee: is an unknown key; did you mean "node"?',
      expect.stringMatching(/^3: acquire\.timeout: must be a number of seconds.*, or none, not "soon"$/),
      "6: actions.a.command: must not be empty; write for example [systemctl, restart, nginx.service]",
      expect.stringMatching(/^7: actions\.a\.timeout: must be a number of seconds.*not "-5 s"$/),
      '8: history.keep: must be a whole number from 1 to 100000, not "many"',
    ]);
  });

  test.each([
    ["state-dir: /x", 'did you mean "state_dir"?'],
    ["stateDir: /x", 'did you mean "state_dir"?'],
    ["log: { lvl: info }", 'did you mean "level"?'],
    ["action: {}", 'did you mean "actions"?'],
    ["xyzzy: 1", "there is node, group, membership, principal, coordinator"],
    ["__proto__: { node: x }", "__proto__: is an unknown key"],
    ["constructor: { prototype: { node: x } }", "constructor: is an unknown key"],
    ["log: { __proto__: 1 }", "log.__proto__: is an unknown key"],
    ["<<: { node: x }", '"<<": is an unknown key'],
  ])("an unknown key: %s", async (text, words) => {
    expect((await problemsOf(text)).join()).toContain(words);
  });

  test.each([
    ["node:", "node: must be text, but is empty"],
    ['coordinator: ""', "coordinator: must not be empty"],
    ["node: [a]", "node: must be text, not a list"],
    ["acquire: 5", "acquire: must be a map of keys and values, not 5"],
    ["acquire: { sleep_time: 0 }", "acquire.sleep_time: must be more than 0"],
    ["acquire: { timeout: 5 parsecs }", 'not "5 parsecs"'],
    ["acquire: { timeout: 60 days }", "acquire.timeout: must be at most 24 days"],
    ["connect_timeout: none", "connect_timeout: must be a number of seconds"],
    ["skip_coordination: maybe", 'skip_coordination: must be true or false, not "maybe"'],
    ["log: { level: loud }", 'log.level: must be debug, info, warn, error or silent, not "loud"'],
    ["history: { total: 0 }", "history.total: must be a whole number from 1 to 1000000, not 0"],
    ["history: { for: soon }", '"2 weeks", or none, not "soon"'],
    ["history: { keep: 2.5 }", "history.keep: must be a whole number from 1 to 100000, not 2.5"],
    ["actions: [a]", "actions: must be a map of keys and values, not a list"],
  ])("a wrong value: %s", async (text, words) => {
    expect((await problemsOf(text)).join()).toContain(words);
  });

  test("the environment is held to the same, by the variable's name", async () => {
    const env = { HOLDLINE_LOG_LEVEL: "lod", HOLDLINE_NODE: "", HOLDLINE_COORDINATR: "zookeeper://zk1" };
    expect(new Set(await problemsOf(null, { env }))).toEqual(
      new Set([
        "HOLDLINE_COORDINATR: is an unknown variable; did you mean HOLDLINE_COORDINATOR?",
        'HOLDLINE_LOG_LEVEL: log.level: must be debug, info, warn, error or silent, not "lod"',
        "HOLDLINE_NODE: node: must not be empty; leave it out for its default",
      ]),
    );
  });

  test("a flag is named as it is written", async () => {
    expect(await problemsOf(null, { flags: new Map([["coordinator", "zookeper://zk1"]]) })).toEqual([
      '--coordinator: has the unknown scheme "zookeper://"; did you mean "zookeeper"?',
    ]);
  });

  test("a wrong value in the file is a problem even where the environment wins", async () => {
    expect(await problemsOf("acquire: { timeout: soon }", { env: { HOLDLINE_ACQUIRE_TIMEOUT: "5 s" } })).toHaveLength(1);
  });

  test("no message shows a password", async () => {
    const texts = [
      "zookeeper://bob:s3cret@zk1:99999",
      "zookeper://bob:s3cret@zk1",
      "zookeeper://bob:s3/cret@zk1",
      "bob:s3cret@zk1",
    ];
    for (const url of texts)
      expect((await problemsOf(`coordinator: ${url}\nnode: [${url}]\nlog: ${url}`)).join()).not.toMatch(/s3|cret@/);
    const error: unknown = await load(`coordinator: zookeeper://bob:s3cret@zk1\n  node: [`).catch((reason: unknown) => reason);
    expect(String(error)).not.toContain("s3cret");
  });

  test("a folder in the file's path that is none is no file", async () => {
    const around = surroundings();
    writeFileSync(join(around.cwd, "etc"), "");
    expect((await loadSettings({ config: null, flags: new Map(), surroundings: around })).file).toBeNull();
  });
});

function nested(path: string, value: string): string {
  const [group, key] = path.split(".") as [string, string | undefined];
  if (value.startsWith("[")) return `${path}: ${value}`;
  return key === undefined ? `${group}: "${value}"` : `${group}: { ${key}: "${value}" }`;
}
