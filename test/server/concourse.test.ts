// The Concourse resource as Concourse calls it: the built program, with a request on standard input, against servers on real
// stores. Its Dockerfile is looked at in image.test.ts.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { countOf, poolOf, refOf } from "../../src/concourse/pools.js";
import type { Cli, Ended } from "../e2e/fleet.js";
import { openFleet, openProxy, PROGRAM, startCli, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { freePorts } from "../support/ports.js";
import { freshDirectory } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { startServer } from "./serving.js";

failOnLeaks();

const PASSWORD = 'p"ss wörd-4711';
const CREDENTIALS = { username: "ci", password: PASSWORD };
const AUTH = { AUTH_USER: "ci", AUTH_PASS: PASSWORD };

type Part = Readonly<Record<string, unknown>>;

function start(args: readonly string[], request: object | string, cwd = "/"): Cli {
  return startCli(["concourse", ...args], cwd, {}, typeof request === "string" ? request : JSON.stringify(request));
}

/** Runs one of the resource's programs to its end. Whatever comes of it, no secret is in it. */
async function run(args: readonly string[], request: object | string): Promise<Ended> {
  const ended = await within(start(args, request).ended, `concourse ${args.join(" ")}`);
  const quoted = JSON.stringify(PASSWORD).slice(1, -1);
  for (const secret of [PASSWORD, quoted, encodeURIComponent(PASSWORD), Buffer.from(`ci:${PASSWORD}`).toString("base64")])
    expect(`${ended.stdout}${ended.stderr}`).not.toContain(secret);
  return ended;
}

/** What is printed by one that succeeds. */
async function resultOf(args: readonly string[], request: object): Promise<unknown> {
  const ended = await run(args, request);
  expect(ended).toMatchObject({ code: 0 });
  return JSON.parse(ended.stdout);
}

interface Result {
  readonly version: { readonly ref: string };
  readonly metadata: readonly { readonly name: string; readonly value: string }[];
}

/** A resource with its source, as a pipeline has it. */
function resource(source: Part) {
  return {
    check: async (ref?: string): Promise<readonly { readonly ref: string }[]> => {
      const versions = await resultOf(["check"], { source, ...(ref === undefined ? {} : { version: { ref } }) });
      return versions as readonly { readonly ref: string }[];
    },
    get: async (directory: string, ref: string): Promise<Result> =>
      (await resultOf(["in", directory], { source, version: { ref } })) as Result,
    put: async (params: Part): Promise<Result> => (await resultOf(["out", "."], { source, params })) as Result,
    start: (params: Part): Cli => start(["out", "."], { source, params }),
    fail: (params: Part): Promise<Ended> => run(["out", "."], { source, params }),
  };
}

function valuesOf({ metadata }: Result): Readonly<Record<string, string>> {
  return Object.fromEntries(metadata.map(({ name, value }) => [name, value]));
}

const lockWith = (key: string, more: Part = {}): Part => ({ lock_op: "lock", key, ...more });
const unlockWith = (key: string, more: Part = {}): Part => ({ lock_op: "unlock", key, ...more });

describe.each(STORES)("on %s", (kind) => {
  test("a lock is checked, locked, got and unlocked", async () => {
    const { url, ask } = await startServer(await openFleet(kind), "server", { env: AUTH });
    const headers = { Authorization: `Basic ${Buffer.from(`ci:${PASSWORD}`).toString("base64")}` };
    const name = 'cf/prod "ü" %2F';
    const { check, get, put } = resource({ locker_uri: `${url}/`, lock_name: name, ...CREDENTIALS });
    const [free] = await check();
    expect(free?.ref).toMatch(/^[0-9a-f]{64}$/);

    const locked = await put(lockWith("deploy", { locked_by: "pipeline 'ä'" }));
    const { status, ...values } = valuesOf(locked);
    expect(values).toEqual({ lock: name, locked: "true", key: "deploy", locked_by: "pipeline 'ä'" });
    expect(status).toContain(name);
    const listed = { [name]: { locked_by: { "pipeline 'ä'": 1 }, key: "deploy" } };
    expect((await ask("GET", "/locks", undefined, headers)).json).toEqual(listed);
    expect(await check(free?.ref)).toEqual([locked.version]);
    expect(await check(locked.version.ref)).toEqual([]);

    const directory = join(await freshDirectory(), "not/there/yet");
    const got = await get(directory, free?.ref ?? "");
    expect(got.version).toEqual(free);
    expect(valuesOf(got)).toEqual(values);
    expect(JSON.parse(readFileSync(join(directory, "lock"), "utf8"))).toEqual(listed[name]);

    const unlocked = await put(unlockWith("deploy", { locked_by: "pipeline 'ä'" }));
    expect(unlocked.version).toEqual(free);
    expect(valuesOf(unlocked)).toMatchObject({ lock: name, locked: "false" });
    expect(valuesOf(await get(directory, unlocked.version.ref))).toEqual({ lock: name, locked: "false" });
    expect(readFileSync(join(directory, "lock"), "utf8")).toBe("null\n");
  });

  test("one key shares a lock, and another waits until all who have it are gone, and is told who they are", async () => {
    const { url } = await startServer(await openFleet(kind));
    const { put, start: begin } = resource({ locker_uri: url, lock_name: "db" });
    await put(lockWith("tests", { locked_by: "a" }));
    expect(valuesOf(await put(lockWith("tests", { locked_by: "b" })))["locked_by"]).toBe("a, b");
    const waiting = begin(lockWith("deploy"));
    await until(() => waiting.stderr().includes("db is locked by a, b with the key tests"), "the holders to be named");
    await put(unlockWith("tests", { locked_by: "a" }));
    await until(() => waiting.stderr().includes("db is locked by b with the key tests"), "the one who is left to be named");
    expect(waiting.stdout()).toBe("");
    await put(unlockWith("tests", { locked_by: "b" }));
    const ended = await within(waiting.ended, "the lock to be had");
    expect(ended.code).toBe(0);
    expect(valuesOf(JSON.parse(ended.stdout) as Result)).toMatchObject({ locked_by: "deploy", key: "deploy" });
  });
});

describe("waiting", () => {
  test("ends after the timeout of the step, which wins over that of the source", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const { put, fail } = resource({ locker_uri: url, lock_name: "db", timeout: "1 day" });
    await put(lockWith("theirs"));
    const ended = await fail(lockWith("ours", { timeout: "1 s" }));
    expect(ended).toMatchObject({ code: 75, stdout: "" });
    expect(ended.stderr).toContain("gave up after 1 s: db is locked by theirs with the key theirs");
    expect(await fail(lockWith("ours", { timeout: 0 }))).toMatchObject({ code: 75, stdout: "" });
  });

  test("ends when the build is aborted, and leaves nothing behind", async () => {
    const fleet = await openFleet("sqlite");
    const { url } = await startServer(fleet);
    const { put, start: begin } = resource({ locker_uri: url, lock_name: "db" });
    await put(lockWith("theirs"));
    const waiting = begin(lockWith("ours"));
    await until(() => waiting.stderr().includes("db is locked by theirs"), "it to wait");
    waiting.kill("SIGTERM");
    expect(await within(waiting.ended, "its end")).toMatchObject({ code: 143, stdout: "" });
    expect(valuesOf(await put(unlockWith("theirs")))["locked"]).toBe("false");
    expect(await fleet.queue("db")).toEqual([]);
  });

  test("a lock that is had at the moment of the abort is unlocked again", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const { url } = await startServer(fleet, "server", {
      coordinator: fleet.urlThrough(proxy),
      settings: { session_timeout: "30 s" },
    });
    const { start: begin } = resource({ locker_uri: url, lock_name: "db" });
    proxy.freeze();
    const taking = begin(lockWith("ours"));
    await until(() => fleetAsks(url, taking), "the server to be asked");
    taking.kill("SIGTERM");
    proxy.thaw();
    expect(await within(taking.ended, "its end")).toMatchObject({ code: 143, stdout: "" });
    expect(await fleet.queue("db")).toEqual([]);
  });

  test("a store that does not answer is waited for, with a word", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const { url } = await startServer(fleet, "server", { coordinator: fleet.urlThrough(proxy) });
    const { start: begin } = resource({ locker_uri: url, lock_name: "db" });
    await proxy.welcome("refuse");
    await proxy.cut();
    const waiting = begin(lockWith("ours"));
    await until(() => waiting.stderr().includes("answered 503"), { what: "the refusal to be told", deadlineMs: 40_000 });
    await proxy.welcome("serve");
    expect(await within(waiting.ended, "the lock to be had", 50_000)).toMatchObject({ code: 0 });
    expect((await fleet.queue("db")).map(({ key }) => key)).toEqual(["ours"]);
  });

  test("a server that is not there yet is waited for, but not by check", async () => {
    const fleet = await openFleet("sqlite");
    const [port] = (await freePorts(1)) as [number];
    const source = { locker_uri: `http://127.0.0.1:${port}`, lock_name: "db" };
    const checked = await run(["check"], { source });
    expect(checked).toMatchObject({ code: 69, stdout: "" });
    const waiting = resource(source).start(lockWith("ours"));
    await until(() => waiting.stderr().includes("cannot be reached"), "it to say that nobody answers");
    await startServer(fleet, "server", {
      env: { PORT: String(port) },
      settings: { serve: { port } },
      args: ["--listen", `127.0.0.1:${port}`],
    });
    expect(await within(waiting.ended, "the lock to be had", 40_000)).toMatchObject({ code: 0 });
  });
});

/** Has the process begun to ask? Its connection is seen by the kernel. */
function fleetAsks(url: string, { pid }: Cli): boolean {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  return readFileSync(`/proc/${pid}/net/tcp`, "utf8")
    .split("\n")
    .some((line) => new RegExp(`^ *\\d+: \\S+ 0100007F:${port} 01 `).test(line));
}

describe("a server that refuses", () => {
  test("credentials that are missing or wrong end it at once", async () => {
    const { url } = await startServer(await openFleet("sqlite"), "server", { env: AUTH });
    for (const credentials of [{}, { username: "ci", password: `${PASSWORD}!` }]) {
      const source = { locker_uri: url, lock_name: "db", ...credentials };
      for (const ended of [await resource(source).fail(lockWith("k")), await run(["check"], { source })]) {
        expect(ended).toMatchObject({ code: 77, stdout: "" });
        expect(ended.stderr).toContain("does not know these credentials");
      }
    }
    const withThem = url.replace("//", `//ci:${encodeURIComponent(PASSWORD)}@`);
    expect(await resource({ locker_uri: withThem, lock_name: "db" }).check()).toHaveLength(1);
  });

  test("what another key has locked is not unlocked, and not waited for", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const { put, fail } = resource({ locker_uri: url, lock_name: "db" });
    await put(lockWith("theirs"));
    const ended = await fail(unlockWith("ours"));
    expect(ended).toMatchObject({ code: 77, stdout: "" });
    expect(ended.stderr).toContain("db is locked by theirs");
  });

  test("a server that is no Locker is named for what it is", async () => {
    const { url } = await startServer(await openFleet("sqlite"), "server", { env: AUTH });
    const source = { locker_uri: `${url}/elsewhere`, lock_name: "db", ...CREDENTIALS };
    const ended = await run(["check"], { source });
    expect(ended).toMatchObject({ code: 78, stdout: "" });
    expect(ended.stderr).toContain("is no Locker: it answered 404");
  });
});

test("what a server echoes of the credentials is not said", async () => {
  const echo = createServer((request, response) => {
    const sent = Buffer.from(request.headers.authorization?.slice("Basic ".length) ?? "", "base64").toString();
    response.writeHead(500).end(JSON.stringify({ error: `cannot serve ${request.headers.authorization} for ${sent}` }));
  }).listen(0, "127.0.0.1");
  await once(echo, "listening");
  onTestFinished(() => void echo.close());
  const source = { locker_uri: `http://127.0.0.1:${(echo.address() as AddressInfo).port}`, lock_name: "db", ...CREDENTIALS };
  const ended = await run(["check"], { source });
  expect(ended).toMatchObject({ code: 69, stdout: "" });
  expect(ended.stderr).toContain("answered 500: cannot serve Basic *** for ci:***");
});

describe("versions", () => {
  test("are those of one lock, whatever others do", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const [db, web] = [resource({ locker_uri: url, lock_name: "db" }), resource({ locker_uri: url, lock_name: "web" })];
    const { version } = await db.put(lockWith("k"));
    await web.put(lockWith("k"));
    expect(await db.check(version.ref)).toEqual([]);
    await db.put(lockWith("k"));
    expect(await db.check(version.ref)).toHaveLength(1);
  });

  test("are the same for one state, however a server writes it down", () => {
    const ofPool = (pool: unknown): string => {
      const read = poolOf({ pool }, "pool");
      if (read === null) throw new Error("no pool");
      return refOf(read);
    };
    const free = ofPool(null);
    expect(ofPool({ locked_by: { a: 0 }, key: "" })).toBe(free);
    expect(ofPool({ locked_by: {}, key: "k" })).toBe(free);
    const held = ofPool({ key: "k", locked_by: { b: 2, a: 1 } });
    expect(ofPool({ locked_by: { a: 1, gone: 0, b: 2 }, key: "k" })).toBe(held);
    const others = [{ a: 1, b: 1 }, { a: 1 }, { a: 2, b: 1 }].map((lockedBy) => ofPool({ locked_by: lockedBy, key: "k" }));
    expect(new Set([free, held, ofPool({ locked_by: { a: 1, b: 2 }, key: "l" }), ...others]).size).toBe(6);
  });

  test.each([null, [], "locks", { pool: 1 }, { pool: [] }, { pool: { locked_by: [] } }, { pool: { locked_by: { a: "1" } } }])(
    "%j lists no locks",
    (answer) => {
      expect(poolOf(answer, "pool")).toBeNull();
    },
  );

  test("a lock may have any name", () => {
    const answer = JSON.parse('{"__proto__":{"locked_by":{"__proto__":1},"key":"k"}}') as unknown;
    const pool = poolOf(answer, "__proto__");
    expect(pool?.lockedBy).toEqual([["__proto__", 1]]);
    expect(pool && countOf(pool, "__proto__")).toBe(1);
    expect(poolOf({}, "constructor")).toEqual({ key: "", lockedBy: [], listed: null });
  });
});

describe("over TLS", () => {
  test("the server's certificate is checked against ca_cert, and not at all where that is said", async () => {
    const directory = await freshDirectory();
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const subject = ["-subj", "/CN=locker", "-addext", "subjectAltName=IP:127.0.0.1"];
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await promisify(execFile)("openssl", [...request, ...subject, "-keyout", key, "-out", cert]);
    const { url } = await startServer(await openFleet("sqlite"), "server", { env: { ...AUTH, SSL_CERT: cert, SSL_KEY: key } });
    expect(url).toMatch(/^https:/);
    const source = { locker_uri: url, lock_name: "db", ...CREDENTIALS };
    const ended = await run(["out", "."], { source, params: lockWith("k") });
    expect(ended).toMatchObject({ code: 69, stdout: "" });
    expect(ended.stderr).toContain("certificate");
    const trusting = { ...source, ca_cert: readFileSync(cert, "utf8"), skip_ssl_validation: "false" };
    expect(valuesOf(await resource(trusting).put(lockWith("k")))["locked"]).toBe("true");
    expect(await resource({ ...source, ca_cert: "", skip_ssl_validation: true }).check()).toHaveLength(1);
  });
});

test("bosh_lock takes the lock that is named as the director is", async () => {
  const director = createServer(({ url: path }, response) => {
    response.writeHead(path === "/info" ? 200 : 404).end(JSON.stringify({ name: "prod bosh/1", uuid: "1" }));
  }).listen(0, "127.0.0.1");
  await once(director, "listening");
  onTestFinished(() => void director.close());
  const { url, ask } = await startServer(await openFleet("sqlite"));
  const at = `http://127.0.0.1:${(director.address() as AddressInfo).port}`;
  const { put, check } = resource({ locker_uri: url, bosh_lock: at });
  const { version } = await put(lockWith("k"));
  expect((await ask("GET", "/locks")).json).toEqual({ "prod bosh/1": { locked_by: { k: 1 }, key: "k" } });
  expect(await check(version.ref)).toEqual([]);
  const elsewhere = await run(["check"], { source: { locker_uri: url, bosh_lock: `${at}/elsewhere` } });
  expect(elsewhere).toMatchObject({ code: 78, stdout: "" });
  expect(elsewhere.stderr).toContain("the BOSH director at");
});

test("a link of a part's name is that part, as in the image", async () => {
  const { url } = await startServer(await openFleet("sqlite"));
  const directory = await freshDirectory();
  const source = { locker_uri: url, lock_name: "db" };
  const call = (name: string, request: object, ...args: readonly string[]): Promise<{ stdout: string; stderr: string }> => {
    const called = promisify(execFile)(join(directory, name), args, { cwd: directory });
    called.child.stdin?.end(JSON.stringify(request));
    return called;
  };
  for (const name of ["check", "in", "out"]) symlinkSync(PROGRAM, join(directory, name));
  const { version } = JSON.parse((await call("out", { source, params: lockWith("k") }, directory)).stdout) as Result;
  expect(JSON.parse((await call("check", { source })).stdout)).toEqual([version]);
  const got = JSON.parse((await call("in", { source, version }, join(directory, "got"))).stdout) as Result;
  expect(got.version).toEqual(version);
  expect(readFileSync(join(directory, "got/lock"), "utf8")).toBe('{"locked_by":{"k":1},"key":"k"}\n');
});

describe("a bad request", () => {
  const good = { locker_uri: "http://127.0.0.1:1", lock_name: "db" };
  const params = lockWith("k");
  const withSecret = { ...good, ...CREDENTIALS };

  test.each([
    [["out", "."], `${PASSWORD} {`, 64, "it is no JSON"],
    [["out", "."], "", 64, "it is no JSON"],
    [["out", "."], [], 78, "must be a map of keys and values, not a list"],
    [["check"], {}, 78, "source: is missing"],
    [["check"], { source: "x" }, 78, "source: must be a map"],
    [["check"], { source: { lock_name: "db" } }, 78, "source.locker_uri: is missing"],
    [["check"], { source: { ...withSecret, locker_uri: `ftp://ci:${PASSWORD}@x` } }, 78, "source.locker_uri: must be the address"],
    [
      ["check"],
      { source: { ...withSecret, locker_uri: `https://ci:${PASSWORD}%@x` } },
      78,
      "source.locker_uri: has credentials with wrong percent-encoding",
    ],
    [["check"], { source: { locker_uri: "http://x" } }, 78, "source.lock_name: is missing, and so is bosh_lock"],
    [["check"], { source: { ...good, lock_name: "a//b" } }, 78, "source.lock_name: a lock's name must not"],
    [
      ["check"],
      { source: { ...good, bosh_lock: "https://bosh:25555" } },
      78,
      "source.bosh_lock: names the lock, and so does lock_name",
    ],
    [["check"], { source: { ...good, password: PASSWORD } }, 78, "source.username: is missing, and password is set"],
    [["check"], { source: { ...good, username: "ci" } }, 78, "source.password: is missing, and username is set"],
    [["check"], { source: { ...good, username: "ci", password: [PASSWORD] } }, 78, "source.password: must be text, not a list"],
    [["check"], { source: { ...good, ca_cert: "mine" } }, 78, "source.ca_cert: must be certificates in PEM"],
    [["check"], { source: { ...good, skip_ssl_validation: "perhaps" } }, 78, "source.skip_ssl_validation: must be true or false"],
    [["check"], { source: { ...good, timeout: "soon" } }, 78, "source.timeout: must be"],
    [["check"], { source: { ...good, lock_pool: "db" } }, 78, "source.lock_pool: is an unknown key"],
    [["check"], { source: good, version: { ref: {} } }, 78, "version.ref: must be text"],
    [["in", "/nowhere"], { source: good }, 78, "version.ref is missing"],
    [["in"], { source: good, version: { ref: "x" } }, 64, "the directory for the lock is missing"],
    [["out", "."], { source: withSecret }, 78, "params: is missing"],
    [["out", "."], { source: withSecret, params: { key: "k" } }, 78, "params.lock_op: is missing"],
    [["out", "."], { source: withSecret, params: { ...params, lock_op: "release" } }, 78, 'must be lock or unlock, not "release"'],
    [["out", "."], { source: withSecret, params: { lock_op: "lock" } }, 78, "params.key: is missing"],
    [
      ["out", "."],
      { source: withSecret, params: { ...params, locked_bu: "x" } },
      78,
      'locked_bu: is an unknown key; did you mean "locked_by"?',
    ],
    [["out", "."], { source: withSecret, params: { ...params, timeout: -1 } }, 78, "params.timeout: must be"],
    [["put"], { source: good }, 64, 'a resource has no "put"'],
    [["out", ".", "x"], { source: good, params }, 64, "too many arguments"],
  ] as const)("%j %j ends with %i", async (args, request, code, words) => {
    const ended = await run(args, request);
    expect(ended).toMatchObject({ code, stdout: "" });
    expect(ended.stderr).toContain(words);
  });

  test("a directory that cannot be made is named", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const file = join(await freshDirectory(), "file");
    writeFileSync(file, "");
    const ended = await run(["in", join(file, "x")], { source: { locker_uri: url, lock_name: "db" }, version: { ref: "x" } });
    expect(ended).toMatchObject({ code: 64, stdout: "" });
    expect(ended.stderr).toContain("ENOTDIR");
  });
});
