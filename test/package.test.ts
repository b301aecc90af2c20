// The package as its users get it: packed by npm from a clone, installed into an empty folder, and run from there. Users get the
// versions that the tests ran: installing looks up nothing that could have another version on another day.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import { WHOLE_SUITE_ON_EXAMPLES } from "./support/effort.js";
import { until } from "./support/wait.js";

const ROOT = join(import.meta.dirname, "..");

interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly resolved?: string;
}

// The suite has some hundred tests for a store without faults.
const [THEMES, LEAST_JUDGED] = WHOLE_SUITE_ON_EXAMPLES
  ? [[], 90]
  : [["-t", "joining the line|settling|adopting|leaving|documents"], 20];

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const manifest = readJson(join(ROOT, "package.json")) as Manifest;
const { packages: all } = readJson(join(ROOT, "package-lock.json")) as { readonly packages: Readonly<Record<string, Locked>> };
const locked = Object.fromEntries(Object.entries(all).filter(([path]) => path !== ""));

// A user's environment, without the variables of the npm and the vitest that run this.
const ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|HOLDLINE_|VITEST|NODE_ENV)/i.test(name)));

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env: ENV, encoding: "utf8", timeout: 280_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** Installs the packed file as a user does. @returns npm's warnings */
function install(packed: string, cwd: string, ...args: readonly string[]): string {
  const flags = ["--engine-strict", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier", ...args];
  const { status, stderr } = spawnSync("npm", ["install", ...flags, packed], { cwd, env: ENV, encoding: "utf8", timeout: 280_000 });
  if (status === 0) return stderr;
  const unreachable = /\b(ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b/.exec(stderr)?.[0];
  if (unreachable === undefined) throw new Error(`npm install ended with ${status}:\n${stderr}`);
  withoutRegistry = `npm reaches no registry for SQLite's native library (${unreachable})`;
  return "";
}

/** Why this machine cannot install anything, if that is not the package's fault. */
let withoutRegistry: string | null = null;

beforeEach((context) => {
  if (withoutRegistry !== null) context.skip(withoutRegistry);
});

/** All packages below a folder: where they are, and their versions. */
function packagesBelow(folder: string, path = ""): readonly (readonly [string, string])[] {
  const modules = join(folder, path, "node_modules");
  if (!existsSync(modules)) return [];
  const entries = readdirSync(modules).filter((name) => !name.startsWith("."));
  const names = entries.flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(modules, name)).map((own) => `${name}/${own}`) : [name],
  );
  return names.flatMap((name) => {
    const at = join(path, "node_modules", name);
    return [[at, (readJson(join(folder, at, "package.json")) as Manifest).version] as const, ...packagesBelow(folder, at)];
  });
}

let temporary = "";
let packed = "";
/** A clone to pack in, so that dist/ is not rebuilt while other tests run it. On the same file system, for the build. */
const clone = join(ROOT, `.pack-${process.pid}`);

beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), "holdline-package-"));
  mkdirSync(clone);
  const sources = [
    "src",
    "scripts",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    ".npmrc",
    "README.md",
  ];
  for (const name of [...sources, ...manifest.files])
    if (!/dist|shrinkwrap/.test(name)) cpSync(join(ROOT, name), join(clone, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
  run("npm", ["run", "pack", "--", "--pack-destination", temporary], clone);
  packed = join(temporary, `holdline-${manifest.version}.tgz`);
}, 300_000);

afterAll(() => {
  for (const folder of [clone, temporary]) rmSync(folder, { recursive: true, force: true });
});

describe("installed for all", () => {
  let prefix = "";
  let said = "";
  let installed = "";
  let program = "";

  beforeAll(() => {
    prefix = join(temporary, "prefix");
    mkdirSync(prefix);
    said = install(packed, temporary, "--global", "--prefix", prefix);
    installed = join(prefix, "lib/node_modules/holdline");
    program = join(prefix, "bin/holdline");
  }, 300_000);

  test("npm warns of nothing", () => {
    expect(said).toBe("");
  });

  test("what comes with it is of the lock file's versions, and is the native store alone", () => {
    const found = packagesBelow(installed);
    expect(found.filter(([path, version]) => locked[path]?.version !== version)).toEqual([]);
    const needed = Object.entries(locked).filter(([, { dev, optional }]) => dev !== true && optional !== true);
    expect(found.map(([path]) => path)).toEqual(expect.arrayContaining(needed.map(([path]) => path)));
    expect(Object.keys(manifest.dependencies)).toEqual(["libsql"]);
    // No dependency may resolve to another version tomorrow: a caret at 0.0.x allows that version only.
    for (const [path] of found) {
      const { dependencies = {} } = readJson(join(installed, path, "package.json")) as Partial<Manifest>;
      expect(
        Object.values(dependencies).filter((range) => !/^(\d+\.\d+\.\d+|\^0\.0\.\d+)$/.test(range)),
        path,
      ).toEqual([]);
    }
  });

  test("what is bundled is of the lock file's versions, with the licence of each", () => {
    const text = readFileSync(join(installed, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    const sections = text.split(`\n${"-".repeat(78)}\n\n`);
    const versions = new Set(
      Object.entries(locked).map(([path, { version }]) => `${path.replace(/^.*node_modules\//, "")} ${version}`),
    );
    const names = sections.map((section) => section.slice(0, section.indexOf("\n")));
    expect(names.filter((name) => !versions.has(name))).toEqual([]);
    for (const name of ["fastify", "prom-client", "cookie", "commander", "pino", "node-zookeeper-client"])
      expect(
        names.some((one) => one.startsWith(`${name} `)),
        name,
      ).toBe(true);
    expect(sections.filter((section) => section.trim().split("\n").length < 3)).toEqual([]);
  });

  test("a registry's copy of it takes a shrinkwrap along, with checksums and without addresses", () => {
    const { packages } = readJson(join(installed, "npm-shrinkwrap.json")) as { packages: Readonly<Record<string, Locked>> };
    const needed = Object.entries(locked).filter(([, { dev }]) => dev !== true);
    expect(Object.entries(packages).filter(([path]) => path !== "")).toEqual(needed);
    expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
    expect(existsSync(join(clone, "npm-shrinkwrap.json"))).toBe(false);
  });

  test("it says its version, and runs a command under a lock of either store", () => {
    expect(run(program, ["--version"], temporary)).toBe(`${manifest.version}\n`);
    const { host, port } = inject("zookeeper");
    const stores = [`sqlite://${temporary}/locks.db`, `zookeeper://${host}:${port}/holdline-package-${process.pid}`];
    for (const store of stores)
      expect(run(program, ["exec", "build", "--coordinator", store, "--", "echo", "done"], temporary)).toBe("done\n");
  });

  test("it serves the page, the API's document and its metrics", async () => {
    const args = ["serve", "--json", "--listen", "127.0.0.1:0", "--coordinator", `sqlite://${temporary}/served.db`];
    const server = spawn(program, args, { cwd: temporary, env: ENV, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => server.once("exit", resolve));
    onTestFinished(async () => {
      server.kill("SIGKILL");
      await ended;
    });
    let said = "";
    server.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await until(() => said.includes("\n"), "the server to listen");
    const { url } = JSON.parse(said) as { readonly url: string };
    const get = async (path: string) => {
      const answer = await fetch(`${url}${path}`);
      expect(answer.status, path).toBe(200);
      return answer.text();
    };
    expect(await get("/")).toContain("Nobody holds or waits for any lock.");
    expect(await get("/page/app.js")).toContain("EventSource");
    expect(JSON.parse(await get("/v1/openapi.json"))).toMatchObject({ openapi: "3.0.3", info: { version: manifest.version } });
    expect(await get("/metrics")).toContain("holdline_build_info");
    server.kill("SIGTERM");
    expect(await ended).toBe(0);
  });
});

/** A store of somebody else's, in JavaScript, as small as it can be: the engine over the in-memory one, without faults. */
const STRANGERS_TEST = `
import {
  contendHere,
  createMemoryStore,
  describeCoordinator,
  MemoryServer,
  openEngine,
  TEST_OPTIONS,
  TEST_TIMERS,
} from "holdline/conformance";

describeCoordinator("a stranger's store", {
  hasFaults: false,
  goneWithinMs: 15_000,
  start: async () => ({ now: () => performance.timeOrigin + performance.now(), close: async () => undefined }),
  open: async ({ now }) => {
    const server = new MemoryServer({ now, after: TEST_TIMERS.after, putsAway: true });
    const open = async (options) => {
      let isDead = false;
      const carry = (_request, effect) => (isDead ? new Promise(() => undefined) : Promise.resolve().then(effect));
      const coordinator = await openEngine(createMemoryStore(server, carry), { ...TEST_OPTIONS, timers: TEST_TIMERS, ...options });
      return { coordinator, faults: null, die: () => (isDead = true) };
    };
    return {
      open,
      startContender: async (task) => {
        const { coordinator, die } = await open({});
        return contendHere(coordinator, task, die);
      },
      plantGarbageClaim: async (lock) => {
        const session = { id: server.openSession(1_000_000), epoch: 0 };
        server.commit([{ do: "append", lock, claim: "garbage", session, key: null, slots: 1, record: "{not json" }]);
      },
      plantGarbageHistory: async (lock) => void server.commit([{ do: "archive", lock, record: "garbage{", endedAt: null, room: 1_000 }]),
      unreachable: async () => ({}),
      close: async () => undefined,
    };
  },
});
`;

interface Judged {
  readonly status: string;
}

/** A program that contends for a lock of a module of somebody else's. */
const STRANGERS_CONTENDER = `
import { createMemoryStore, MemoryServer, openEngine, startContender, TEST_TIMERS } from "holdline/conformance";

export const open = (_url, options) => {
  const server = new MemoryServer({ now: Date.now, after: () => () => undefined, putsAway: true });
  return openEngine(createMemoryStore(server), { timers: TEST_TIMERS, ...options });
};

if (process.argv[2] === "start") {
  const contender = await startContender({ module: import.meta.url, opener: "open", url: "x://y", task: { locks: ["a"], until: "settled" } });
  console.log((await contender.event("settled")).fencingToken > 0);
  contender.tell();
  await contender.ended();
}
`;

describe("installed into a project", () => {
  let project = "";

  beforeAll(() => {
    project = join(temporary, "project");
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
    install(packed, project);
    run("npm", ["pack", "--pack-destination", temporary], join(clone, "examples/store"));
    install(join(temporary, "holdline-coordinator-files-1.0.0.tgz"), project);
  }, 300_000);

  test("the example of a store is found beside it, by the program and by the library", () => {
    const url = `files://${project}/state%20of%20it`;
    const program = join(project, "node_modules/.bin/holdline");
    const declared = {
      coordinator: url,
      node: "web-07",
      state_dir: join(project, "own"),
      actions: { greet: { command: ["echo", "hello"] } },
    };
    writeFileSync(join(project, "files.yaml"), JSON.stringify(declared));
    expect(run(program, ["exec", "build", "--coordinator", url, "--", "echo", "done"], project)).toBe("done\n");
    expect(run(program, ["run", "greet", "--config", "files.yaml"], project)).toContain("hello\n");
    expect(JSON.parse(run(program, ["history", "--config", "files.yaml", "--json"], project))).toMatchObject({
      history: [{ lock: "greet", event: "released" }],
    });
    expect(run(program, ["check", "--live", "--config", "files.yaml"], project)).toMatch(/^ {2}kind +files$/m);
    const script = `import { openHoldline } from "holdline";
      const holdline = await openHoldline("${url}");
      try { console.log(await holdline.withLock("deploy", {}, async (claim) => claim.fencingToken > 0)); } finally { await holdline.close(); }`;
    writeFileSync(join(project, "files.js"), script);
    expect(run(process.execPath, ["files.js"], project)).toBe("true\n");
  });

  test("the library is imported by its name, and holds a lock", () => {
    const script = `import { openHoldline } from "holdline";
      const holdline = await openHoldline("sqlite://${project}/locks.db");
      try { console.log(await holdline.withLock("deploy", {}, async (claim) => claim.lock)); } finally { await holdline.close(); }`;
    writeFileSync(join(project, "main.js"), script);
    expect(run(process.execPath, ["main.js"], project)).toBe("deploy\n");
  });

  test("its types stand by themselves, and are held to", () => {
    const source = `import { type HeldClaim, openHoldline, TimedOutError } from "holdline";
      import type { QueueStore, StoreUnderTest } from "holdline/conformance";
      export const faults: StoreUnderTest["hasFaults"] = false;
      export const traits = (store: QueueStore): boolean => store.traits.sessions === "renewed";
      const holdline = await openHoldline("sqlite:///tmp/locks.db", { node: "web-07" });
      const held: string = await holdline.withLock("deploy", { timeoutMs: 0 }, async (claim: HeldClaim) => claim.lock);
      // @ts-expect-error: a lock's name is a string.
      await holdline.withLock(7, {}, async () => held);
      export const isLate = (error: unknown): boolean => error instanceof TimedOutError;
      await holdline.close();`;
    writeFileSync(join(project, "main.ts"), source);
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--types", "node"];
    const types = join(ROOT, "node_modules/@types");
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    // Checks the declarations too: they must not need a package that is not installed.
    expect(run(process.execPath, [tsc, ...options, "--skipLibCheck", "false", "--typeRoots", types, "main.ts"], project)).toBe("");
  });

  describe("with vitest beside it", () => {
    beforeAll(() => {
      symlinkSync(join(ROOT, "node_modules/vitest"), join(project, "node_modules/vitest"));
      writeFileSync(join(project, "vitest.config.js"), "export default { test: { testTimeout: 60_000, hookTimeout: 60_000 } };");
    });

    /** Runs a test file of the project. @returns what has not passed, and how many tests there were */
    const judge = (file: string, themes: readonly string[] = []): readonly [failed: readonly Judged[], count: number] => {
      const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
      const report = join(project, `${file}.json`);
      const options = { cwd: project, env: ENV, encoding: "utf8", timeout: 200_000 } as const;
      spawnSync(process.execPath, [vitest, "run", file, ...themes, "--reporter=json", `--outputFile=${report}`], options);
      const { testResults } = readJson(report) as {
        readonly testResults: readonly [{ readonly assertionResults: readonly Judged[] }];
      };
      const { assertionResults } = testResults[0];
      // What the themes leave out is skipped.
      const judged = assertionResults.filter(({ status }) => status !== "skipped");
      return [judged.filter(({ status }) => status !== "passed"), judged.length];
    };

    test("somebody else's store is held to what Holdline's own ones promise", { timeout: 240_000 }, () => {
      writeFileSync(join(project, "strangers.test.js"), STRANGERS_TEST);
      const [failed, count] = judge("strangers.test.js", THEMES);
      expect(failed).toEqual([]);
      expect(count).toBeGreaterThan(LEAST_JUDGED);
    });

    test("the example of a store keeps what Holdline's own ones promise", { timeout: 240_000 }, () => {
      // vitest runs no test among installed packages.
      cpSync(join(project, "node_modules/holdline-coordinator-files"), project, {
        recursive: true,
        filter: (from) => !from.endsWith(".json"),
      });
      const [failed, count] = judge("store.test.js", THEMES);
      expect(failed).toEqual([]);
      expect(count).toBeGreaterThan(LEAST_JUDGED);
    });

    test("contenders of the suite are processes that open it by its module", () => {
      writeFileSync(join(project, "contender.js"), STRANGERS_CONTENDER);
      expect(run(process.execPath, ["contender.js", "start"], project)).toBe("true\n");
    });
  });
});
