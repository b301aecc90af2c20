// Finds what each test file needs beside node and npm's packages, in its own source and in that of every file it imports.
// Nobody keeps a list of test files, so none can be wrong. requirements.mjs installs what is needed.
import { readdirSync, readFileSync, existsSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { root } from "./packages.mjs";

/** Each need with the words by which a source file shows that it has it. */
const SIGNS = {
  // The run's ZooKeeper, or servers of a test's own.
  zookeeper: /\binject\("zookeeper"\)|\bstart(?:ZooKeeper|Ensemble)\(/,
  // The same for the other stores' servers.
  etcd: /\binject\("etcd"\)|\bstartEtcd\w*\(/,
  postgresql: /\binject\("postgresql"\)|\bstartPostgres\w*\(/,
  redis: /\binject\("redis"\)|\bstartRedis\w*\(/,
  mariadb: /\binject\("mariadb"\)|\bstartMariaDb\w*\(/,
  dynamodb: /\binject\("dynamodb"\)|\bstartDynamo\w*\(/,
  // dist/: the program, the library or the benchmark as they were built.
  build: /\/\.\.\/dist\/|scripts\/start\.mjs|\.\.\/bench\/driver/,
  // Node's own list of processes goes through `ps`.
  ps: /import\("ps-list"\)/,
  browser: /from "playwright-core"/,
  shells: /\bmissing\("fish"\)/,
  "man page readers": /program: "mandoc"/,
  "foreign clients": /curator-recipes/,
  // Nothing to install, but many seconds: processes that contend for locks, sessions that have to expire, a compiler, a build.
  time: /\bdescribeCoordinator\(|\bstartContender\(\{ kind:|\bcreateLanguageService\(|scripts\/build\.mjs/,
};

export const NEEDS = Object.keys(SIGNS);

const IMPORT = /(?:\bfrom|\bimport|\bimport\()\s*"(\.[^"]+)\.js"/g;

/** The stores with servers: each has one for the whole run, which test/support/servers/NAME-setup.ts starts for those who need it. */
export const SERVERS = ["zookeeper", "etcd", "postgresql", "redis", "mariadb", "dynamodb"];

/**
 * The project of vitest.config.ts that a test file belongs to. `unit` is what a contributor runs at each turn: it needs nothing that is
 * not there, and seconds. Those who share the same servers are one project, `zookeeper` for example, or `etcd+zookeeper`.
 */
export function projectOf(file) {
  const needs = needsOf(file);
  const servers = SERVERS.filter((server) => needs.has(server));
  if (servers.length > 0) return servers.join("+");
  return [...needs].every((need) => need === "ps") ? "unit" : "machine";
}

/** Every test file of the repository, relative to it. */
export function testFiles() {
  return readdirSync(join(root, "test"), { recursive: true })
    .map((name) => `test/${name.split(sep).join("/")}`)
    .filter((name) => name.endsWith(".test.ts"))
    .sort();
}

/** @returns a set of some of NEEDS */
export function needsOf(file) {
  const needs = new Set();
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path) || !existsSync(path)) return;
    seen.add(path);
    const { own, imports } = read(path);
    for (const need of own) needs.add(need);
    for (const imported of imports) visit(imported);
  };
  visit(join(root, file));
  return needs;
}

const known = new Map();

function read(path) {
  if (!known.has(path)) {
    const text = readFileSync(path, "utf8");
    const imports = [...text.matchAll(IMPORT)].map(([, name]) => resolve(dirname(path), `${name}.ts`));
    const own = NEEDS.filter((need) => SIGNS[need].test(text));
    known.set(path, { own, imports });
  }
  return known.get(path);
}
