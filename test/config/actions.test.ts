import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { NO_ROLLOUT } from "../../src/actions/action.js";
import { ACTION_KEYS } from "../../src/config/keys.js";
import { LOCK_KEYS } from "../../src/config/locks.js";
import { WEEKDAYS } from "../../src/gates/windows.js";
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
      acquire: { sleepTimeMs: 250, timeoutMs: 30_000, behindFailed: "wait" },
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

  test("that says everything", async () => {
    const settings = await load(`
acquire: { sleep_time: 2 s }
actions:
  restart-nginx:
    mode: serialize_process
    lock: restart/nginx
    command: [systemctl, restart, nginx.service]
    timeout: 90 s
    kill_after: 5 s
    acquire: { timeout: 10 min, behind_failed: leave }
    slots: 20%
    key: rack-12
    process: { command_string: "nginx: master", full_cmd: true, user: root, must_restart: false }
    already_restarted: skip
    needed:
      file: /run/reboot-required
      changed: ["/etc/nginx/**", /usr/sbin/nginx]
      outdated: true
      command: [check-it]
    windows:
      - { days: [sat, sun], start: "02:00", for: 4 h, zone: Europe/Berlin }
      - { start: 23:59, for: 90 min }
    blockers:
      - { name: cluster is green, command: [es-green], timeout: 5 s }
      - { name: no alert, prometheus: "http://prom:9090", alerts: "^Node", ignore: "^Watchdog$" }
    before: { command: [drain], timeout: 10 min }
    after: { shell: undrain, timeout: 5 min, when: always }
    verify: { command: [curl, -fsS, "http://127.0.0.1/healthz"], interval: 2 s, timeout: 20 s, passes: 3 }
    soak: 5 min
    not_now: [75, 9, 75]
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
        acquire: { sleepTimeMs: 2_000, timeoutMs: 600_000, behindFailed: "leave" },
        slots: 1,
        percent: 20,
        key: "rack-12",
        process: { commandString: "nginx: master", fullCmd: true, user: "root" },
        mustRestart: false,
        alreadyRestarted: "skip",
        needed: {
          file: "/run/reboot-required",
          changed: ["/etc/nginx/**", "/usr/sbin/nginx"],
          outdated: true,
          argv: ["check-it"],
        },
        windows: [
          { days: ["sat", "sun"], startMinute: 120, forMs: 14_400_000, zone: "Europe/Berlin" },
          { days: WEEKDAYS, startMinute: 1_439, forMs: 5_400_000, zone: null },
        ],
        blockers: [
          { type: "command", name: "cluster is green", argv: ["es-green"], timeoutMs: 5_000 },
          {
            type: "prometheus",
            name: "no alert",
            url: "http://prom:9090",
            alerts: "^Node",
            ignore: "^Watchdog$",
            timeoutMs: 30_000,
          },
        ],
        before: { argv: ["drain"], timeoutMs: 600_000 },
        after: { argv: ["/bin/sh", "-c", "undrain"], timeoutMs: 300_000, when: "always" },
        verify: { argv: ["curl", "-fsS", "http://127.0.0.1/healthz"], intervalMs: 2_000, timeoutMs: 20_000, passes: 3 },
        soakMs: 300_000,
        notNow: [75, 9],
        onFailure: "release",
        env: { KEY: "value" },
        cwd: "/srv",
        data: { ticket: "OPS-123" },
      },
    ]);
  });

  test("in mode reboot has a command, and a time for it", async () => {
    expect(await action("{ mode: reboot }")).toMatchObject({
      mode: "reboot",
      argv: ["systemctl", "reboot"],
      timeoutMs: 900_000,
      process: null,
    });
    expect(await action("{ mode: reboot, shell: kexec, timeout: 5 min }")).toMatchObject({
      argv: ["/bin/sh", "-c", "kexec"],
      timeoutMs: 300_000,
    });
  });

  test("without a command is work between begin and end", async () => {
    expect((await action("{ lock: x }")).argv).toEqual([]);
    expect((await action("{}")).argv).toEqual([]);
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

  test("may have slots of 1 to 100 percent, and then has one slot until they are reckoned", async () => {
    for (const percent of [1, 10, 33, 100])
      expect(await action(`{ shell: x, slots: ${percent}% }`)).toMatchObject({ slots: 1, percent });
    expect(await action('{ shell: x, slots: " 10 % ", key: k }')).toMatchObject({ slots: 1, percent: 10 });
    expect(await action("{ shell: x, slots: 10 }")).toMatchObject({ slots: 10, percent: null });
  });

  test("has the general acquire, as far as it says nothing itself", async () => {
    const { actions } = await load(
      "acquire: { behind_failed: leave }\nactions: { a: { shell: x }, b: { shell: x, acquire: { behind_failed: wait } } }",
    );
    expect(actions.map(({ acquire }) => acquire.behindFailed)).toEqual(["leave", "wait"]);
  });

  test("has a check that as many passes as fit into its time can succeed", async () => {
    expect((await action("{ shell: x, verify: { shell: x, passes: 30 } }")).verify?.passes).toBe(30);
    expect((await action("{ shell: x, verify: { shell: x, passes: 1000, interval: 0 } }")).verify?.passes).toBe(1_000);
  });

  test("may wait for ever, or not at all", async () => {
    expect((await action("{ shell: x, acquire: { timeout: none }, timeout: none }")).acquire.timeoutMs).toBeNull();
    expect((await action("{ shell: x, acquire: { timeout: 0, sleep_time: 1 } }")).acquire).toMatchObject({
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
    ['{ shell: " " }', ".shell: must not be empty"],
    ["{ shell: x, timout: 1 }", '.timout: is an unknown key; did you mean "timeout"?'],
    ["{ shell: x, mode: parallel }", '.mode: must be serialize, serialize_process or reboot, not "parallel"'],
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
    ["{ shell: x, acquire: { behind_failed: maybe } }", '.acquire.behind_failed: must be wait or leave, not "maybe"'],
    ["{ mode: reboot, command: [] }", ".command: must not be empty"],
    ["{ mode: reboot, timeout: 0 }", ".timeout: must be more than 0"],
    ["{ shell: x, slots: 0% }", '.slots: must be a whole percentage from 1% to 100%, or a whole number from 1, not "0%"'],
    ["{ shell: x, slots: 110% }", ".slots: must be a whole percentage from 1% to 100%"],
    ["{ shell: x, slots: 1.5% }", ".slots: must be a whole percentage from 1% to 100%"],
    ["{ shell: x, slots: -5% }", ".slots: must be a whole percentage from 1% to 100%"],
    ['{ shell: x, slots: "%" }', ".slots: must be a whole percentage from 1% to 100%"],
    ["{ shell: x, slots: 10%% }", ".slots: must be a whole percentage from 1% to 100%"],
    ["{ shell: x, before: drain }", '.before: must be a map of keys and values, not "drain"'],
    ["{ shell: x, before: [drain] }", ".before: must be a map of keys and values, not a list"],
    ["{ shell: x, before: }", ".before: needs a `command` (a list, no shell) or a `shell`"],
    ["{ shell: x, before: { timeout: 1 s } }", ".before: needs a `command` (a list, no shell) or a `shell`"],
    ["{ shell: x, before: { command: drain } }", ".before.command: must be a list, because no shell splits the text"],
    ["{ shell: x, before: { command: [x], shell: x } }", ".before.shell: both `command` and `shell` are given"],
    ["{ shell: x, before: { shell: x, timeout: 0 } }", ".before.timeout: must be more than 0"],
    ["{ shell: x, before: { shell: x, when: always } }", ".before.when: is an unknown key"],
    ["{ shell: x, after: true }", ".after: must be a map of keys and values, not true"],
    ["{ shell: x, after: { when: always } }", ".after: needs a `command`"],
    ["{ shell: x, after: { shell: x, when: never } }", '.after.when: must be success or always, not "never"'],
    ["{ shell: x, after: { shell: x, timeout: soon } }", ".after.timeout: must be a number of seconds"],
    ["{ shell: x, verify: { shell: x, passes: 0 } }", ".verify.passes: must be a whole number from 1, not 0"],
    ["{ shell: x, verify: { shell: x, passes: 1.5 } }", ".verify.passes: must be a whole number from 1, not 1.5"],
    ["{ shell: x, verify: { shell: x, passes: 31 } }", ".verify.passes: can never be reached"],
    ["{ shell: x, soak: -1 s }", ".soak: must be a number of seconds"],
    ["{ shell: x, soak: none }", ".soak: must be a number of seconds"],
    ["{ shell: x, soak: 60 days }", ".soak: must be at most 24 days"],
    ["{ shell: x, not_now: 75 }", ".not_now: must be a list, not 75; write for example [75]"],
    ["{ shell: x, not_now: { a: b } }", ".not_now: must be a list, not a map"],
    ["{ shell: x, not_now: [75, 0] }", ".not_now.1: must be a whole number from 1 to 255, not 0"],
    ["{ shell: x, not_now: [256] }", ".not_now.0: must be a whole number from 1 to 255, not 256"],
    ["{ shell: x, not_now: [later] }", '.not_now.0: must be a whole number from 1 to 255, not "later"'],
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
    ["exec backup", 'must not begin with "exec "'],
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
    ["x: { coordinator: rediss:x }", "locks.x.coordinator: "],
    ["a//b: {}", "locks.a//b: a lock's name must not begin or end with"],
    ["x: 5", "locks.x: must be a map of keys and values, not 5"],
  ])("are refused: %s", async (yaml, words) => {
    expect((await problemsOf(`locks:\n  ${yaml}\n`)).join()).toContain(words);
  });
});

// Each with another key where it cannot stand alone.
const KEY_SAMPLES: Readonly<Record<string, string>> = {
  mode: "mode: serialize",
  lock: "lock: l",
  command: "command: [x]",
  shell: "shell: x",
  timeout: "timeout: 1 s",
  kill_after: "kill_after: 1 s",
  "acquire.timeout": "acquire: { timeout: 1 s }",
  "acquire.sleep_time": "acquire: { sleep_time: 1 s }",
  "acquire.behind_failed": "acquire: { behind_failed: leave }",
  slots: "slots: 10%",
  key: "key: k",
  "process.command_string": "process: { command_string: x }",
  "process.full_cmd": "process: { full_cmd: true, user: u }",
  "process.user": "process: { user: u }",
  "process.must_restart": "process: { must_restart: false, user: u }",
  already_restarted: "already_restarted: skip",
  "needed.file": "needed: { file: /f }",
  "needed.changed": "needed: { changed: /f }, process: { user: u }",
  "needed.outdated": "needed: { outdated: true }, process: { user: u }",
  "needed.command": "needed: { command: [x] }",
  "needed.shell": "needed: { shell: x }",
  windows: 'windows: [{ start: "02:00", for: 1 h }]',
  blockers: "blockers: [{ shell: x }]",
  "before.command": "before: { command: [x] }",
  "before.shell": "before: { shell: x }",
  "before.timeout": "before: { timeout: 1 s, shell: x }",
  "after.command": "after: { command: [x] }",
  "after.shell": "after: { shell: x }",
  "after.timeout": "after: { timeout: 1 s, shell: x }",
  "after.when": "after: { when: always, shell: x }",
  "verify.command": "verify: { command: [x] }",
  "verify.shell": "verify: { shell: x }",
  "verify.interval": "verify: { interval: 1 s, shell: x }",
  "verify.timeout": "verify: { timeout: 1 s, shell: x }",
  "verify.passes": "verify: { passes: 2, shell: x }",
  soak: "soak: 1 s",
  not_now: "not_now: [75]",
  on_failure: "on_failure: hold",
  env: "env: {}",
  cwd: "cwd: /",
  data: "data: 1",
};

test("the documented keys are the ones that are read", async () => {
  expect(ACTION_KEYS.map(({ key }) => key).toSorted()).toEqual(Object.keys(KEY_SAMPLES).toSorted());
  for (const sample of Object.values(KEY_SAMPLES)) await action(`{ ${sample} }`);
  for (const { key } of LOCK_KEYS) await load(`locks: { x: { ${key}: ${key === "coordinator" ? "sqlite:///x.db" : "1"} } }`);
});
