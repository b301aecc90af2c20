import { describe, expect, test } from "vitest";
import type { ExecEnd } from "../../src/actions/exec.js";
import type { Result } from "../../src/actions/result.js";
import { check } from "../../src/cli/commands/check.js";
import { exec, parseExec } from "../../src/cli/commands/exec.js";
import { resume } from "../../src/cli/commands/resume.js";
import { run, selectActions, selectToRun } from "../../src/cli/commands/run.js";
import type { Agent } from "../../src/cli/context.js";
import type { ActionSettings } from "../../src/config/settings.js";
import { load } from "../config/loading.js";
import { context, invocation, recordedIo, settings } from "./fakes.js";

const RESULT: Result = {
  action: "a",
  lock: "l",
  outcome: "ran",
  claim: "c",
  fencingToken: 7,
  coordinated: true,
  waitedMs: 12_000,
  ranMs: 2_100,
  exitCode: 0,
  signal: null,
  message: "",
};

function agent(parts: Partial<Agent>): { agent: () => Promise<Agent> } {
  const refuse = () => Promise.reject(new Error("not this one"));
  return {
    agent: () =>
      Promise.resolve({
        run: refuse,
        begin: refuse,
        end: refuse,
        dryRun: refuse,
        resume: refuse,
        exec: refuse,
        tryOut: refuse,
        pending: refuse,
        drop: refuse,
        ...parts,
      }),
  };
}

const actions = ["restart-nginx", "deploy"].map((name) => ({ name, argv: ["true"] as readonly string[] }) as ActionSettings);

describe("run", () => {
  test("runs those that are named, or all in the file's order where that is said", () => {
    expect(selectActions({ actions, file: "f" }, [], true)).toEqual(["restart-nginx", "deploy"]);
    expect(selectActions({ actions: [], file: "f" }, [], true)).toEqual([]);
    const callers = { actions: actions.map((action) => (action.name === "deploy" ? { ...action, argv: [] } : action)), file: "f" };
    expect(selectToRun(callers, [], true), "what has no command is no run's work").toEqual(["restart-nginx"]);
    expect(() => selectToRun(callers, ["restart-nginx", "deploy"], false)).toThrow(
      /deploy has no command: .* holdline begin deploy/,
    );
    expect(selectActions({ actions, file: "f" }, ["deploy"], false)).toEqual(["deploy"]);
  });

  test.each([
    [actions, [], false, "no action was named", "declared are restart-nginx, deploy; --all runs all of them"],
    [[], [], false, "no action was named", "nothing to run: f declares no action"],
    [actions, ["deploy"], true, "--all runs every action: name actions or give --all, not both", null],
  ])("does not guess which are meant: %j, %j, --all: %s", (declared, named, all, message, hint) => {
    expect(() => selectActions({ actions: declared, file: "f" }, named, all)).toThrow(
      expect.objectContaining({ code: "usage", message, hint }) as Error,
    );
  });

  test.each([
    [
      { actions, file: "f" },
      "restart-ngnix",
      'unknown action "restart-ngnix": f declares no such action',
      'did you mean "restart-nginx"?',
    ],
    [{ actions, file: "f" }, "xyzzy", 'unknown action "xyzzy": f declares no such action', "there is restart-nginx, deploy"],
    [
      { actions: [], file: null },
      "x",
      'unknown action "x": there is no configuration file',
      "actions are declared under `actions:` in the configuration",
    ],
  ])("refuses an action that is not declared, before anything is touched", (declared, name, message, hint) => {
    expect(() => selectActions(declared, ["deploy", name].slice(declared.actions.length === 0 ? 1 : 0), false)).toThrow(
      expect.objectContaining({ code: "usage", message, hint }) as Error,
    );
  });

  test("prints results for people and for programs, and exits with the first code that is not 0", async () => {
    const results: Result[] = [
      RESULT,
      { ...RESULT, action: "b", outcome: "failed", exitCode: 1, message: "exit code 1; the lock l is kept" },
      { ...RESULT, action: "c", outcome: "timed-out", ranMs: null, message: "gave up" },
    ];
    const declared = ["a", "b", "c"].map((name) => ({ name, argv: ["true"] as readonly string[] }) as ActionSettings);
    const runOne = ({ name }: ActionSettings) => Promise.resolve(results.find(({ action }) => action === name) as Result);
    const changes = { settings: settings({ actions: declared }), ...agent({ run: runOne }) };
    const io = recordedIo();
    expect(await run.run(context(null, io, changes), invocation([], { all: true }))).toBe(4);
    expect(io.out()).toBe(
      "a: ran in 2.1 s, after 12 s in line for l\nb: FAILED after 2.1 s: exit code 1; the lock l is kept\nc: not run, timed out waiting: gave up\n",
    );
    const json = recordedIo();
    await run.run(context(null, json, { ...changes, json: true }), invocation([], { all: true }));
    expect(JSON.parse(json.out())).toEqual({ results });
  });

  test("with nothing declared says so", async () => {
    const io = recordedIo();
    expect(await run.run(context(null, io), invocation([], { all: true }))).toBe(0);
    expect(io.out()).toContain("nothing to run");
  });
});

test("resume with nothing left says so", async () => {
  const io = recordedIo();
  const nothing = () => Promise.resolve({ results: [], undeclared: [], execs: [] });
  expect(await resume.run(context(null, io, agent({ resume: nothing })), invocation([]))).toBe(0);
  expect(io.out()).toBe("nothing was left to finish on this node\n");
});

describe("exec", () => {
  const parse = (options: Record<string, unknown>, lock = "l") => parseExec(invocation([lock], options, ["ls", "-l"]), settings());

  test("reads its options", async () => {
    expect(await parse({})).toEqual({
      lock: "l",
      key: null,
      slots: 1,
      acquire: { sleepTimeMs: 250, timeoutMs: 30_000 },
      durable: false,
      despiteFreeze: null,
      data: null,
      argv: ["ls", "-l"],
    });
    expect(await parse({ slots: "3", key: "k", timeout: "none", durable: true, data: "{ ticket: [1, a] }" })).toMatchObject({
      slots: 3,
      key: "k",
      acquire: { timeoutMs: null },
      durable: true,
      data: { ticket: [1, "a"] },
    });
    expect(await parse({ wait: "0" })).toMatchObject({ acquire: { timeoutMs: 0 } });
    expect(await parse({ despiteFreeze: true, reason: "OPS-1" })).toMatchObject({ despiteFreeze: "OPS-1" });
    expect(await parse({ key: "k", timeout: "0" })).toMatchObject({ slots: Number.POSITIVE_INFINITY, acquire: { timeoutMs: 0 } });
  });

  test.each([
    [{ slots: "0" }, '--slots: must be a whole number from 1, not "0"'],
    [{ despiteFreeze: true }, "--despite-freeze and --reason belong together"],
    [{ reason: "OPS-1" }, "--despite-freeze and --reason belong together"],
    [{ despiteFreeze: true, reason: "OPS-1", durable: true }, "--despite-freeze and --durable exclude each other"],
    [{ slots: "many" }, "--slots: must be a whole number"],
    [{ key: "" }, "--key: must not be empty"],
    [{ timeout: "-5" }, "--timeout: must be a number of seconds"],
    [{ wait: "-5" }, "--wait: must be a number of seconds"],
    [{ wait: "5", timeout: "5" }, "two names of one option"],
    [{ data: "{ a: [" }, "--data:1: is not proper YAML"],
  ])("refuses %j", async (options, message) => {
    await expect(parse(options)).rejects.toMatchObject({ code: "usage", message: expect.stringContaining(message) as string });
  });

  test("refuses a lock that cannot be", async () => {
    await expect(parse({}, "x".repeat(300))).rejects.toMatchObject({ code: "usage" });
  });

  const end = async (ended: ExecEnd, json = false) => {
    const io = recordedIo();
    const code = await exec.run(
      context(null, io, { json, ...agent({ exec: () => Promise.resolve(ended) }) }),
      invocation(["l"], {}, ["ls"]),
    );
    return [code, io.out(), io.err()];
  };

  test("leaves standard output to the command and exits with its code", async () => {
    expect(await end({ outcome: "ended", exitCode: 3, signal: null, message: "" }, true)).toEqual([3, "", ""]);
    expect(await end({ outcome: "ended", exitCode: null, signal: "SIGTERM", message: "" })).toEqual([143, "", ""]);
  });

  test("says why the command did not run to its end", async () => {
    expect(await end({ outcome: "timed-out", message: "gave up" })).toEqual([75, "", "holdline: gave up\n"]);
    const [code, out] = await end({ outcome: "claim-lost", message: "lost" }, true);
    expect([code, JSON.parse(out as string)]).toEqual([74, { error: { code: "claim-lost", message: "lost", hint: null } }]);
  });
});

describe("check", () => {
  const text =
    "coordinator: zookeeper://bob:s3cret@zk1/x\nactions:\n  a: { shell: 'true', env: { TOKEN: s3cret, A: b } }\nlocks: { l: { ttl: 1 day } }\n";

  test("prints what is in force and who said so, without secrets and without the store", async () => {
    const io = recordedIo();
    const loaded = await load(text, { env: { HOLDLINE_NODE: "n" } });
    expect(await check.run(context(null, io, { settings: loaded }), invocation([]))).toBe(0);
    expect(io.out()).toContain(`${String(loaded.file)} is valid\n`);
    expect(io.out()).toMatch(/^node +n +environment$/m);
    expect(io.out()).toMatch(/^coordinator +zookeeper:\/\/bob:\*\*\*@zk1\/x +file$/m);
    expect(io.out()).toMatch(/^history\.keep +100 +default$/m);
    expect(io.out()).toMatch(/^action a\n {2}mode +serialize$/m);
    expect(io.out()).toMatch(/^lock l\n {2}ttl {2}1 d$/m);
    expect(io.out()).not.toContain("s3cret");
  });

  test("as JSON", async () => {
    const io = recordedIo();
    await check.run(context(null, io, { json: true, settings: await load(text) }), invocation([]));
    expect(JSON.parse(io.out())).toMatchObject({
      settings: { coordinator: "zookeeper://bob:***@zk1/x", actions: { a: { env: { TOKEN: "***", A: "b" } } } },
      origins: { coordinator: "file" },
    });
  });
});
