import { NO_ROLLOUT } from "../../src/actions/action.js";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ACTION_KEYS } from "../../src/config/actions.js";
import { LOCK_KEYS } from "../../src/config/locks.js";
import type { ActionSettings } from "../../src/config/settings.js";
import { configFile, load, problemsOf } from "./loading.js";

async function action(yaml: string): Promise<ActionSettings> {
  const [first] = (await load(`actions:\n  a: ${yaml}\n`)).actions;
  return first as ActionSettings;
}

/** An action's problems, without line and path. */
async function wrong(yaml: string): Promise<string[]> {
  return (await problemsOf(`actions:\n  a: ${yaml}\n`)).map((line) => line.replace(/^2: actions\.a/, ""));
}

describe("an action", () => {
  test("that says only its command has the contract's defaults", async () => {
    expect(await action("{ command: [true] }")).toEqual({
      name: "a",
      mode: "serialize",
      lock: "a",
      argv: ["true"],
      timeoutMs: null,
      killAfterMs: 10_000,
      acquire: { sleepTimeMs: 250, timeoutMs: 30_000 },
      slots: 1,
      key: null,
      process: null,
      mustRestart: true,
      alreadyRestarted: "run",
      verify: null,
      ...NO_ROLLOUT,
      onFailure: "hold",
      env: {},
      cwd: null,
      data: null,
    });
  });

  test("that says everything, as in the contract's sample", async () => {
    const settings = await load(`
acquire: { sleep_time: 2 s }
actions:
  restart-nginx:
    mode: serialize_process
    lock: restart/nginx
    command: [systemctl, restart, nginx.service]
    timeout: 90 s
    kill_after: 5 s
    acquire: { timeout: 10 min }
    slots: 2
    key: rack-12
    process: { command_string: "nginx: master", full_cmd: true, user: root, must_restart: false }
    already_restarted: skip
    verify: { command: [curl, -fsS, "http://127.0.0.1/healthz"], interval: 2 s, timeout: 20 s }
    on_failure: release
    env: { KEY: value }
    cwd: /srv
    data: { ticket: OPS-123 }
`);
    expect(settings.actions).toEqual([
      {
        name: "restart-nginx",
        mode: "serialize_process",
        lock: "restart/nginx",
        argv: ["systemctl", "restart", "nginx.service"],
        timeoutMs: 90_000,
        killAfterMs: 5_000,
        acquire: { sleepTimeMs: 2_000, timeoutMs: 600_000 },
        slots: 2,
        key: "rack-12",
        process: { commandString: "nginx: master", fullCmd: true, user: "root" },
        mustRestart: false,
        alreadyRestarted: "skip",
        verify: { argv: ["curl", "-fsS", "http://127.0.0.1/healthz"], intervalMs: 2_000, timeoutMs: 20_000, passes: 1 },
        ...NO_ROLLOUT,
        onFailure: "release",
        env: { KEY: "value" },
        cwd: "/srv",
        data: { ticket: "OPS-123" },
      },
    ]);
  });

  test("keeps the file's order, also when names are numbers", async () => {
    const text = "actions:\n  b: { shell: x }\n  10: { shell: x }\n  9: { shell: x }\n  a: { shell: x }\n";
    expect((await load(text)).actions.map(({ name }) => name)).toEqual(["b", "10", "9", "a"]);
  });

  test("named like a property of every object is an action like any other", async () => {
    const { actions } = await load("actions:\n  constructor: { shell: x }\n  __proto__: { shell: y }\n");
    expect(actions.map(({ name, argv }) => [name, argv[2]])).toEqual([
      ["constructor", "x"],
      ["__proto__", "y"],
    ]);
  });

  test("with shell runs /bin/sh", async () => {
    expect((await action('{ shell: "echo $HOME" }')).argv).toEqual(["/bin/sh", "-c", "echo $HOME"]);
  });

  test("takes numbers and booleans in commands and variables as they were written", async () => {
    const { argv, env } = await action(
      "{ command: [sleep, 0.50, 0x10, true], env: { VERSION: 1.10, DEBUG: yes, ON: true, COUNT: 010 } }",
    );
    expect(argv).toEqual(["sleep", "0.50", "0x10", "true"]);
    expect(env).toEqual({ VERSION: "1.10", DEBUG: "yes", ON: "true", COUNT: "010" });
  });

  test("with a key has no limit of its own", async () => {
    expect((await action("{ shell: x, key: rack-1 }")).slots).toBe(Number.POSITIVE_INFINITY);
    expect((await action("{ shell: x, slots: unlimited }")).slots).toBe(Number.POSITIVE_INFINITY);
    expect((await action("{ shell: x, key: rack-1, slots: 3 }")).slots).toBe(3);
  });

  test("may wait for ever, or not at all", async () => {
    expect((await action("{ shell: x, acquire: { timeout: none }, timeout: none }")).acquire.timeoutMs).toBeNull();
    expect((await action("{ shell: x, acquire: { timeout: 0, sleep_time: 1 } }")).acquire).toEqual({
      timeoutMs: 0,
      sleepTimeMs: 1_000,
    });
  });

  test("may have any YAML as data", async () => {
    const data = "{ a: [1, 2.5, null, true, text], b: { __proto__: { c: 1 } }, d: &x { e: 1 }, f: *x }";
    const read = (await action(`{ shell: x, data: ${data} }`)).data as Record<string, unknown>;
    expect(JSON.stringify(read)).toBe('{"a":[1,2.5,null,true,"text"],"b":{"__proto__":{"c":1}},"d":{"e":1},"f":{"e":1}}');
    expect((read["b"] as { c?: unknown }).c).toBeUndefined();
  });

  test("has a relative cwd taken from where the file is", async () => {
    const file = configFile("actions:\n  a: { shell: x, cwd: sub }\n");
    expect((await load(null, { config: file })).actions[0]?.cwd).toBe(join(file, "../sub"));
  });
});

describe("an action is refused", () => {
  test.each([
    ["", ": is empty; write for example"],
    ["restart", ': must be a map of keys and values, not "restart"'],
    ["{ command: [] }", ".command: must not be empty; write for example [systemctl, restart, nginx.service]"],
    ['{ command: [""] }', ".command: must begin with the name of a program"],
    ["{ command: [ls, null] }", ".command.1: must be text, but is empty"],
    ["{ command: [ls, [a]] }", ".command.1: must be text, not a list"],
    ['{ command: ["l\\0s"] }', ".command.0: must be text without a NUL character"],
    ["{ command: systemctl restart nginx }", ".command: must be a list, because no shell splits the text"],
    ["{ command: { a: b } }", ".command: must be a list, not a map"],
    ["{ command: [x], shell: x }", ".shell: both `command` and `shell` are given"],
    ["{ lock: x }", ": needs a `command` (a list, no shell) or a `shell`"],
    ['{ shell: " " }', ".shell: must not be empty"],
    ["{ shell: x, timout: 1 }", '.timout: is an unknown key; did you mean "timeout"?'],
    ["{ shell: x, mode: parallel }", '.mode: must be serialize or serialize_process, not "parallel"'],
    ["{ shell: x, mode: serialize_process }", ": mode serialize_process needs `process`"],
    ["{ shell: x, process: {} }", ".process: needs a command_string, a user or both"],
    ["{ shell: x, process: { full_cmd: true } }", ".process: needs a command_string, a user or both"],
    ['{ shell: x, process: { command_string: "" } }', ".process.command_string: must not be empty: it would match every process"],
    [
      '{ shell: x, process: { command_string: "a(b" } }',
      ".process.command_string: is not a regular expression in RE2 syntax: missing closing )",
    ],
    ['{ shell: x, process: { command_string: "(?=a)" } }', ".process.command_string: is not a regular expression in RE2 syntax"],
    ["{ shell: x, timeout: -5 }", ".timeout: must be a number of seconds"],
    ["{ shell: x, timeout: 0 }", ".timeout: must be more than 0"],
    ["{ shell: x, timeout: 5 parsecs }", 'not "5 parsecs"'],
    ["{ shell: x, kill_after: none }", ".kill_after: must be a number of seconds"],
    ["{ shell: x, acquire: { tmeout: 1 } }", '.acquire.tmeout: is an unknown key; did you mean "timeout"?'],
    ["{ shell: x, slots: 0 }", ".slots: must be a whole number from 1, not 0"],
    ["{ shell: x, slots: 1.5 }", ".slots: must be a whole number from 1, not 1.5"],
    ['{ shell: x, key: "" }', ".key: must not be empty"],
    ['{ shell: x, lock: "" }', ".lock: a lock's name must not be empty"],
    [`{ shell: x, lock: ${"x".repeat(300)} }`, ".lock: a lock's name has 300 bytes; at most 255 are allowed"],
    ["{ shell: x, lock: a/../b }", '.lock: a lock\'s name must not have "." or ".."'],
    ["{ shell: x, verify: { interval: 1 s } }", ".verify: needs a `command`"],
    ["{ shell: x, verify: { command: [x], timeout: 0 } }", ".verify.timeout: must be more than 0"],
    ["{ shell: x, on_failure: explode }", '.on_failure: must be hold or release, not "explode"'],
    ["{ shell: x, env: [A] }", ".env: must be a map of keys and values, not a list"],
    ["{ shell: x, env: { A: [1] } }", ".env.A: must be text, not a list"],
    ["{ shell: x, env: { A: } }", '.env.A: must be text, but is empty (write "" for an empty text)'],
    ["{ shell: x, env: { A=B: 1 } }", '.env."A=B": a variable\'s name must not be empty or have "=" in it'],
    ["{ shell: x, data: &a [*a] }", ".data: contains itself, or is nested too deeply"],
    [`{ shell: x, data: ${"x".repeat(70_000)} }`, ".data: has more than 65536 bytes as JSON, which is the most"],
  ])("%s", async (yaml, words) => {
    const problems = await wrong(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
  });

  test.each([
    ["-x", 'must not begin with "-"'],
    ["a/../b", 'must not have "." or ".."'],
    ["x".repeat(300), "has 300 bytes"],
    ['"a\\tb"', "without control characters"],
    ['""', "must not be empty"],
  ])("for its name: %s", async (name, words) => {
    expect((await problemsOf(`actions:\n  ${name}: { shell: x }\n`)).join()).toContain(words);
  });
});

describe("locks", () => {
  test("have a time to live, a principal and a store", async () => {
    const { locks } = await load(
      "locks:\n  db-migrate: { ttl: 40 days, principal: dba@example.com, coordinator: sqlite:///x.db }\n  other:\n",
    );
    expect([...locks]).toEqual([
      ["db-migrate", { ttlMs: 40 * 86_400_000, principal: "dba@example.com", coordinator: "sqlite:///x.db" }],
      ["other", { ttlMs: null, principal: null, coordinator: null }],
    ]);
  });

  test.each([
    ["x: { ttl: 0 }", "locks.x.ttl: must be more than 0"],
    ["x: { ttl: none }", "locks.x.ttl: must be a number of seconds"],
    ["x: { ttll: 1 }", 'locks.x.ttll: is an unknown key; did you mean "ttl"?'],
    ["x: { coordinator: redis://x }", "locks.x.coordinator: "],
    ["a//b: {}", "locks.a//b: a lock's name must not begin or end with"],
    ["x: 5", "locks.x: must be a map of keys and values, not 5"],
  ])("are refused: %s", async (yaml, words) => {
    expect((await problemsOf(`locks:\n  ${yaml}\n`)).join()).toContain(words);
  });
});

test("the documented keys are the ones that are read", async () => {
  const values: Record<string, string> = {
    mode: "serialize",
    lock: "l",
    command: "[x]",
    timeout: "1 s",
    kill_after: "1 s",
    "acquire.timeout": "1 s",
    "acquire.sleep_time": "1 s",
    slots: "1",
    key: "k",
    "process.command_string": "x",
    "process.full_cmd": "true",
    "process.user": "u",
    "process.must_restart": "false",
    already_restarted: "skip",
    "verify.command": "[x]",
    "verify.interval": "1 s",
    "verify.timeout": "1 s",
    on_failure: "hold",
    env: "{}",
    cwd: "/",
    data: "1",
    shell: "x",
    "verify.shell": "x",
  };
  expect(new Set(ACTION_KEYS.map(({ key }) => key))).toEqual(new Set(Object.keys(values)));
  for (const { key } of ACTION_KEYS) {
    const [group, sub] = key.split(".") as [string, string | undefined];
    const said =
      sub === undefined
        ? `${group}: ${values[key]}`
        : `${group}: { ${sub}: ${values[key]}${/full_cmd|must_restart/.test(key) ? ", user: u" : /interval|verify.timeout/.test(key) ? ", shell: x" : ""} }`;
    await action(`{ ${said}${key === "command" || key === "shell" ? "" : ", shell: x"} }`);
  }
  for (const { key } of LOCK_KEYS) await load(`locks: { x: { ${key}: ${key === "coordinator" ? "sqlite:///x.db" : "1"} } }`);
});
