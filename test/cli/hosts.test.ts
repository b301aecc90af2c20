// The commands for host locks, without taking any: what their options mean, and what they print.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { deps } from "../../src/cli/commands/deps.js";
import { lock, parseLock } from "../../src/cli/commands/lock.js";
import { status } from "../../src/cli/commands/status.js";
import { test as testCommand } from "../../src/cli/commands/test.js";
import { unlock } from "../../src/cli/commands/unlock.js";
import type { Command } from "../../src/cli/command.js";
import type { Context } from "../../src/cli/context.js";
import { enumerate } from "../../src/cli/hosts.js";
import { parseDependencies } from "../../src/config/locks.js";
import { createField } from "../../src/config/field.js";
import { createProblems, plainOrigin } from "../../src/config/problems.js";
import type { LockSettings } from "../../src/config/settings.js";
import type { LeaseType } from "../../src/locks/claim.js";
import { HoldlineError, UnreachableError } from "../../src/locks/errors.js";
import { claim, context, fakeStore, invocation, NOW, recordedIo, settings } from "./fakes.js";

const DEPENDENCIES = parseDependencies(
  createField({ hv01: ["dc01", "vmm01"], dc01: ["dc02"], dc02: ["dc01"] }, [], plainOrigin("test"), createProblems()),
);

/** A lease on a lock, as a store returns it. */
function lease(id: string, lockName: string, type: LeaseType, changes: Parameters<typeof claim>[0] = {}) {
  return claim({
    id,
    ref: id,
    lock: lockName,
    key: type === "host" || type === "lease" ? null : "generic",
    slots: type === "host" || type === "lease" ? 1 : Number.POSITIVE_INFINITY,
    owner: { node: "web-07", principal: "ann@web-07", action: null, process: null },
    lease: { type, caller: null, path: null, locks: [lockName] },
    ...changes,
  });
}

type Queues = Parameters<typeof fakeStore>[0];

async function run(command: Command, args: string[], options = {}, queues: Queues = {}, changes: Partial<Context> = {}) {
  const io = recordedIo();
  const said: string[] = [];
  const log = { ...context(null, io).log, info: (_: object, message: string) => void said.push(message) };
  const store = fakeStore(queues);
  const all = { settings: settings({ dependencies: DEPENDENCIES }), log, ...changes };
  const code = await command.run(context(store, io, all), invocation(args, options));
  return { code, out: io.out(), err: io.err(), said, ended: store.ended };
}

async function refusal(attempt: () => Promise<unknown>): Promise<string> {
  const error: unknown = await attempt().catch((reason: unknown) => reason);
  if (error instanceof HoldlineError) return `${error.code}: ${error.message} | ${error.hint ?? ""}`;
  throw new Error("nothing was refused", { cause: error });
}

function own(changes: Partial<LockSettings>): LockSettings {
  return { ttlMs: null, principal: null, coordinator: null, ...changes };
}

describe("lock", () => {
  const parse = (args: string[], options = {}, changes = {}) =>
    parseLock(invocation(args, options), settings({ dependencies: DEPENDENCIES, ...changes }));

  test("locks the host and those that it depends on, for all time, as 3 attempts 10 s apart would", async () => {
    expect(await parse(["DC01"])).toEqual({
      hosts: ["dc01", "dc02", "hv01"],
      request: {
        locks: ["host/dc01", "host/dc02", "host/hv01"],
        type: "generic",
        key: "generic",
        slots: Number.POSITIVE_INFINITY,
        principal: "ann@admin-01",
        caller: null,
        path: null,
        reason: null,
        data: null,
        ttlMs: null,
        waitMs: 20_000,
        alone: false,
        despiteFreeze: false,
      },
    });
  });

  test("a lock of the type host shares nothing", async () => {
    expect((await parse(["dc01"], { type: "host" })).request).toMatchObject({ type: "host", key: null, slots: 1 });
  });

  test("a lock of the type file may leave its path to the description", async () => {
    const { hosts, request } = await parse(["fs01"], { type: "file", description: "D:\\reports" });
    expect([hosts, request]).toMatchObject([["fs01"], { type: "file", key: "generic", path: null, reason: "D:\\reports" }]);
  });

  test("takes everything that is said of it", async () => {
    const options = { caller: "OPS-1", description: "new disks", data: "{ a: [1] }", ttl: "1 day", dependencies: false };
    expect(await parse(["dc01"], options)).toMatchObject({
      hosts: ["dc01"],
      request: { caller: "OPS-1", reason: "new disks", data: { a: [1] }, ttlMs: 86_400_000 },
    });
  });

  test.each([
    [{ wait: "0" }, 0],
    [{ wait: "1 min" }, 60_000],
    [{ wait: "none" }, null],
    [{ retry: "1" }, 0],
    [{ retry: "5", sleep: "2 s" }, 8_000],
    [{ sleep: "0" }, 0],
    [{ retry: "4" }, 30_000],
    [{ ensureUnlock: true }, 0],
    [{ ensureUnlock: true, wait: "0" }, 0],
    [{ ensureUnlock: true, retry: "1" }, 0],
  ])("%j waits for %s ms", async (options, waitMs) => {
    expect((await parse(["dc01"], options)).request).toMatchObject({ waitMs, alone: "ensureUnlock" in options });
  });

  test("has the TTL and the principal that the configuration says for the host's lock", async () => {
    const locks = new Map([["host/dc01", own({ ttlMs: 5_000, principal: "dba" })]]);
    expect((await parse(["dc01"], {}, { locks })).request).toMatchObject({ ttlMs: 5_000, principal: "dba" });
    expect((await parse(["dc01"], { ttl: "none" }, { locks })).request).toMatchObject({ ttlMs: null });
  });

  test.each([
    [`${String.raw`\\FS01\share\x`}`, "fs01", String.raw`\\FS01\share\x`],
    ["smb://ann:pw@fs01/share/x", "fs01", "smb://fs01/share/x"],
    ["fs01:/export", "fs01", "fs01:/export"],
    ["/etc/passwd", "admin-01", "/etc/passwd"],
    ["./x", "admin-01", resolve("x")],
    ["../x", "admin-01", resolve("../x")],
    ["~/x", "admin-01", join(homedir(), "x")],
  ])("--file %s is on %s", async (file, host, path) => {
    expect(await parse([], { file })).toMatchObject({ hosts: [host], request: { type: "file", key: "generic", path } });
  });

  test.each([
    [[], {}, "no host given | usage: holdline lock HOST"],
    [["dc01"], { file: "/x" }, "HOST and --file exclude each other"],
    [[], { file: "/x", type: "host" }, "--file and --type host exclude each other"],
    [["dc01"], { type: "hard" }, '--type: must be generic, host or file, not "hard"'],
    [["a b"], {}, "a host's name must be without blanks"],
    [[], { file: "x" }, 'the file "x" is on no host that could be told from its path'],
    [["dc01"], { wait: "1 s", retry: "3" }, "--wait and --retry exclude each other"],
    [["dc01"], { wait: "1 s", sleep: "3" }, "--wait and --sleep exclude each other"],
    [["dc01"], { retry: "0" }, "--retry: must be a whole number from 1"],
    [["dc01"], { wait: "soon" }, "--wait: must be"],
    [["dc01"], { ttl: "0 s" }, "--ttl: must be more than 0"],
    [["dc01"], { ensureUnlock: true, wait: "1 s" }, "--ensure-unlock and --wait exclude each other"],
    [["dc01"], { ensureUnlock: true, retry: "3" }, "--ensure-unlock and --retry exclude each other"],
    [["dc01"], { description: " " }, "--description: must not be empty"],
    [["dc01"], { description: "x".repeat(5_000) }, "--description: has 5000 bytes; at most 4096 are allowed"],
    [["dc01"], { caller: "a\nb" }, "--caller: must be text without control characters"],
    [["dc01"], { data: "{" }, "--data:1: is not proper YAML"],
    [["dc01"], { data: "!!js/function x" }, "--data:1: is not proper YAML"],
    [["dc01"], { dependencies: "" }, "--dependencies names no file"],
  ])("refuses %j %j", async (args, options, words) => {
    expect(await refusal(() => parse(args, options))).toContain(`usage: ${words}`);
  });

  test("hosts on different stores cannot be locked together, and no store is touched", async () => {
    const locks = new Map([["host/hv01", own({ coordinator: "sqlite:///secret@other.db" })]]);
    const changes = { settings: settings({ dependencies: DEPENDENCIES, file: "/etc/holdline.yaml", locks }) };
    expect(await refusal(() => run(lock, ["dc01"], {}, {}, changes))).toBe(
      "configuration: /etc/holdline.yaml: locks: host/dc01 and host/hv01 are to be locked together, and are on different coordinators" +
        " | right would be the same coordinator for both; or lock dc01 without what it depends on",
    );
    // Alone, the host is on one store, and the fake store refuses to lease.
    await expect(run(lock, ["hv01"], {}, {}, changes)).rejects.toThrow("nothing is to be leased");
  });

  test("several hosts are named as people name them", () => {
    expect([["a"], ["a", "b"], ["a", "b", "c"], []].map(enumerate)).toEqual(["a", "a and b", "a, b and c", ""]);
  });
});

describe("deps", () => {
  test("prints the hosts in the order in which they are locked", async () => {
    expect(await run(deps, ["dc01"])).toMatchObject({ code: 0, out: "dc02\nhv01\n" });
    expect(await run(deps, ["hv01"])).toMatchObject({ code: 0, out: "" });
    expect((await run(deps, ["DC01"], {}, {}, { json: true })).out).toBe('{"host":"dc01","dependencies":["dc02","hv01"]}\n');
  });

  test.each([
    ["map.yaml", "power: [dc01]\n"],
    ["map.json", '{"power": ["DC01"]}'],
  ])("takes another map than the configuration's: %s", async (name, text) => {
    const folder = mkdtempSync(join(tmpdir(), "holdline-deps-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, name);
    writeFileSync(file, text);
    expect((await run(deps, ["dc01"], { dependencies: file })).out).toBe("power\n");
    writeFileSync(file, "power: [dc01, 'a b']\n");
    expect(await refusal(() => run(deps, ["dc01"], { dependencies: file }))).toBe(
      `configuration: ${file}:1: power.1: a host's name must be without blanks, "/", "\\" and "@"; write for example "dc01" | `,
    );
    expect(await refusal(() => run(deps, ["dc01"], { dependencies: `${file}.none` }))).toContain(
      `configuration: ${file}.none: there is no such file (named by --dependencies)`,
    );
  });
});

describe("test", () => {
  const queues = { "host/dc01": [lease("1", "host/dc01", "generic"), lease("2", "host/dc01", "file")] };

  test.each([
    ["dc01", undefined, 0, ["generic", "file"]],
    ["DC01", undefined, 0, ["generic", "file"]],
    ["dc01", ["host"], 1, []],
    ["dc01", ["host", "file"], 0, ["file"]],
    ["dc02", undefined, 1, []],
  ])("%s of the types %j: %i", async (host, type, code, types) => {
    const options = type === undefined ? {} : { type };
    expect(await run(testCommand, [host], options, queues)).toMatchObject({ code, out: "", err: "" });
    const { out } = await run(testCommand, [host], options, queues, { json: true });
    expect(JSON.parse(out)).toEqual({ locked: code === 0, types });
  });

  test("a host that somebody merely waits for is not locked", async () => {
    // First in this queue but not settled: the claim waits for another of its hosts.
    const waiting = lease("1", "host/dc01", "host", { durable: false, fencingToken: null });
    expect(await run(testCommand, ["dc01"], {}, { "host/dc01": [waiting] })).toMatchObject({ code: 1 });
  });

  test("one that a process has locked is locked, and of no type", async () => {
    const running = { "host/dc01": [claim({ lock: "host/dc01" })] };
    expect((await run(testCommand, ["dc01"], {}, running, { json: true })).out).toBe('{"locked":true,"types":["process"]}\n');
    expect(await run(testCommand, ["dc01"], { type: ["host"] }, running)).toMatchObject({ code: 1 });
  });

  test("an unknown type is refused", async () => {
    expect(await refusal(() => run(testCommand, ["dc01"], { type: ["host", "soft"] }, queues))).toBe(
      'usage: --type: must be generic, host or file, not "soft" | ',
    );
  });
});

describe("status", () => {
  const host = lease("1", "host/db", "file", {
    lease: { type: "file", caller: "OPS-1", path: "/x", locks: ["host/db"] },
    reason: "new disks",
    data: { stage: "copy", lock_action: "lock", lock_file_status: "unlocked" },
  });
  const named = lease("2", "db", "lease", { expiresAt: NOW + 60_000 });

  test("says for people whether it is locked, by what types and by whom", async () => {
    expect(await run(status, ["db"], {}, { "host/db": [host] })).toEqual({
      code: 0,
      out: [
        "host/db is locked: file",
        "LOCK     PLACE  NODE    WHAT  SINCE     BY          STATE",
        "host/db  held   web-07  file  12 s ago  ann@web-07  leased until it is released",
        "    claim 1",
        "    caller: OPS-1",
        "    path: /x",
        "    description: new disks",
        '    data: {"stage":"copy","lock_action":"lock","lock_file_status":"unlocked"}',
        "",
      ].join("\n"),
      err: "",
      said: [],
      ended: [],
    });
  });

  test("gives exact times where more was asked for", async () => {
    const { out } = await run(status, ["db"], {}, { "host/db": [host] }, { verbose: true });
    expect(out).toContain("2025-11-21T08:59:48.000Z");
  });

  test("shows the lock of that very name as well, where both are claimed", async () => {
    const both = { "host/db": [host], db: [named] };
    const { out } = await run(status, ["db"], {}, both);
    expect(out.split("\n").filter((line) => line.includes(" is locked: "))).toEqual([
      "host/db is locked: file",
      "db is locked: lease",
    ]);
    const json = JSON.parse((await run(status, ["db"], {}, both, { json: true })).out) as Record<string, unknown>;
    expect(json).toMatchObject({
      lock: "host/db",
      locked: true,
      types: ["file"],
      holders: [{ id: "1", reason: "new disks", lease: { type: "file", caller: "OPS-1", path: "/x" } }],
      waiting: [],
      also: [{ lock: "db", locked: true, types: ["lease"], holders: [{ id: "2" }] }],
    });
  });

  test.each([
    ["db", { db: [named] }, { lock: "db", locked: true, types: ["lease"], also: [] }],
    ["a/b", {}, { lock: "a/b", locked: false, types: [], holders: [], waiting: [], also: [] }],
    ["host/db", { "host/db": [host] }, { lock: "host/db", locked: true, also: [] }],
    ["host/DB", { "host/db": [host] }, { lock: "host/db", locked: true, also: [] }],
    ["free", {}, { lock: "host/free", locked: false, types: [], holders: [], waiting: [], also: [] }],
    ["a lock", {}, { lock: "a lock", locked: false, also: [] }],
  ])("%s names the right lock", async (name, queues, expected) => {
    const { code, out } = await run(status, [name], { format: "json" }, queues);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject(expected);
  });

  test("says of a free one just that", async () => {
    expect((await run(status, ["free"])).out).toBe("host/free is not locked\n");
  });

  test("for Pylok's users, the data stands at the top level, and wins over all but whether it is locked", async () => {
    expect((await run(status, ["db"], { format: "yaml" }, { "host/db": [host] })).out).toBe(
      "lock_file_status: locked\nlock_action: lock\nlock_file_location: host/db\nstage: copy\n",
    );
    expect((await run(status, ["free"], { format: "yaml" })).out).toBe(
      "lock_file_status: unlocked\nlock_action: status\nlock_file_location: null\n",
    );
    const list = lease("3", "db", "lease", { data: [1, 2] });
    expect((await run(status, ["db"], { format: "yaml" }, { db: [list] })).out).toBe(
      "lock_file_status: locked\nlock_action: status\nlock_file_location: db\ndata:\n  - 1\n  - 2\n",
    );
  });

  test("what others wrote cannot reach the terminal", async () => {
    const evil = lease("1", "host/db", "generic", {
      reason: "\x1b[2J",
      lease: { type: "generic", caller: "\r\n", path: null, locks: [] },
    });
    // eslint-disable-next-line no-control-regex
    expect((await run(status, ["db"], {}, { "host/db": [evil] })).out).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
  });

  test.each([
    [["db"], { format: "xml" }, {}, '--format: must be text, json or yaml, not "xml"'],
    [["db"], { format: "yaml" }, { json: true }, "--json and --format yaml exclude each other"],
    [["a//b"], {}, {}, 'the lock name "a//b" must not begin or end with "/"'],
    [[""], {}, {}, 'the lock name "" must not be empty'],
  ])("refuses %j %j", async (args, options, changes, words) => {
    expect(await refusal(() => run(status, args, options, {}, changes))).toContain(words);
  });
});

const ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3311";
const OTHER = "3f2504e0-4f89-41d3-9a0c-0305e82c3312";

const mine = (lock: string, type: Parameters<typeof lease>[2]) =>
  lease(ID, lock, type, { owner: { ...claim().owner, principal: "ann@admin-01" } });

describe("unlock", () => {
  const queues = { "host/dc01": [mine("host/dc01", "generic")], deploy: [claim({ lock: "deploy" })] };

  test("ends what is locked under the id, whatever it is", async () => {
    const { code, out, said, ended } = await run(unlock, [ID], {}, queues);
    expect([code, out, said]).toEqual([0, "", [`unlocked all that was locked under ${ID}`]]);
    expect(ended).toMatchObject([{ id: ID, ending: { event: "released", by: "ann@admin-01", reason: null } }]);
    expect((await run(unlock, [ID], {}, queues, { json: true })).out).toBe(`{"id":"${ID}","outcome":"released"}\n`);
  });

  test("is done where there is nothing, unless it was to be ensured that there was", async () => {
    expect(await run(unlock, [OTHER], {}, queues)).toMatchObject({ code: 0, out: "", err: "", ended: [] });
    expect(await run(unlock, [OTHER], { ensureLock: true }, queues)).toMatchObject({
      code: 1,
      out: "",
      err: `holdline: nothing was locked under ${OTHER}\n`,
    });
    expect((await run(unlock, [OTHER], { ensureLock: true }, queues, { json: true })).out).toBe(
      `{"id":"${OTHER}","outcome":"gone"}\n`,
    );
  });

  test("does not end the claim of a process", async () => {
    const [{ id }] = queues.deploy as [ReturnType<typeof claim>];
    expect(await refusal(() => run(unlock, [id], {}, queues))).toMatch(/^not-allowed: the claim .* is no lease/);
  });

  test("ends what another principal has locked by force alone", async () => {
    const another = { "host/dc01": [lease(ID, "host/dc01", "generic", { owner: { ...claim().owner, principal: "bob@web-07" } })] };
    expect(await refusal(() => run(unlock, [ID], {}, another))).toMatch(
      /^not-allowed: .* belongs to bob@web-07, and you are ann@admin-01/,
    );
    const { code, ended } = await run(unlock, [ID], { force: true }, another);
    expect([code, ended]).toMatchObject([0, [{ ending: { event: "released", by: "ann@admin-01", reason: "by force" } }]]);
  });

  test("asks in the name in which the configuration has the host locked", async () => {
    const locks = new Map([["host/dc01", own({ principal: "infra@example.com" })]]);
    const theirs = {
      "host/dc01": [lease(ID, "host/dc01", "generic", { owner: { ...claim().owner, principal: "infra@example.com" } })],
    };
    const { ended } = await run(unlock, [ID], {}, theirs, { settings: settings({ locks }) });
    expect(ended).toMatchObject([{ ending: { by: "infra@example.com" } }]);
  });

  test.each(["", " ", "a\nb", "dc01", "db99", ID.slice(1), `${ID}0`])("refuses %j, which no id is", async (id) => {
    expect(await refusal(() => run(unlock, [id], {}, queues))).toMatch(/^usage: .* \| give the id/);
  });

  describe("looks in every store of the configuration", () => {
    const locks = new Map([
      ["a", own({ coordinator: "sqlite:///a.db" })],
      ["b", own({ coordinator: "sqlite:///b.db" })],
      ["c", own({ coordinator: "sqlite:///a.db" })],
    ]);

    async function unlockIn(stores: Record<string, Queues | null>) {
      const opened: string[] = [];
      const coordinator = (name: string) => {
        opened.push(name);
        const store = stores[name];
        return store == null ? Promise.reject(new UnreachableError(`${name} is silent`)) : Promise.resolve(fakeStore(store));
      };
      const code = await run(unlock, [ID], {}, {}, { settings: settings({ locks }), coordinator }).then(
        (done) => done.code,
        (error: unknown) => (error as Error).message,
      );
      return { code, opened };
    }

    test("one after another, each once", async () => {
      expect(await unlockIn({ default: {}, a: {}, b: { b: [mine("b", "lease")] } })).toEqual({
        code: 0,
        opened: ["default", "a", "b"],
      });
      expect(await unlockIn({ default: {}, a: {}, b: {} })).toMatchObject({ code: 0 });
    });

    test("and one that is silent does not stand in the way; but where nothing was found, it may be there", async () => {
      expect(await unlockIn({ default: null, a: {}, b: { b: [mine("b", "lease")] } })).toMatchObject({ code: 0 });
      expect(await unlockIn({ default: {}, a: null, b: {} })).toMatchObject({ code: "a is silent" });
    });
  });
});
