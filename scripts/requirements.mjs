// Installs what tests need of the machine beside npm's packages: a ZooKeeper and `ps`; and what some of them use where it
// can be had: the servers of other stores, foreign clients of ZooKeeper's locks, shells, a browser, and readers of man pages. Which ZooKeeper the tests
// then take is test/support/zookeeper-install.ts's choice; this file only sees to it that there is one.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { root } from "./packages.mjs";

/** Debian's packages, and Ubuntu's: `zookeeper` alone would also do with a Java that cannot run it. */
const ZOOKEEPER_PACKAGES = ["zookeeper", "default-jre-headless"];
const PS_PACKAGE = "procps";

/** Without these the tests that need them are skipped and say so: that is no reason to fail. By the need that they are for. */
const EXTRAS = {
  "foreign clients": missingForeignClients,
  shells: () => missingPrograms(["bash", "fish", "zsh"]),
  browser: () => missingPrograms(["chromium"]),
  "man page readers": () => missingPrograms(["man", "mandoc"]),
  etcd: () => [...missingServers("etcd-server", "/usr/bin/etcd"), ...missingServers("etcd-client", "/usr/bin/etcdctl")],
  postgresql: () => [
    ...missingServers("postgresql", ...serverFolders("/usr/lib/postgresql", "bin/initdb")),
    ...missingServers("pgbouncer", "/usr/sbin/pgbouncer"),
  ],
  redis: () => [
    ...missingServers("redis-server", "/usr/bin/redis-server"),
    ...missingServers("redis-sentinel", "/usr/bin/redis-sentinel"),
  ],
  mariadb: () => missingServers("mariadb-server", "/usr/sbin/mariadbd"),
};
/** Debian's package of a program, where it has another name. */
const PACKAGES = { man: "man-db" };
const KAZOO_PACKAGE = "python3-kazoo";
/** Curator, what it logs with, and the compiler that its program in source form needs. */
const CURATOR_PACKAGES = ["libcurator-recipes-java", "libslf4j-java", "default-jdk-headless"];
/** Names the packages that could not be had, so that not every run waits for apt-get to fail again; `npm ci` removes it. */
const NOT_TO_BE_HAD = join(root, "node_modules/.cache/holdline-test/not-to-be-had");

/**
 * Installs what is missing of these needs (of needs.mjs's) where apt-get can. Installs nothing where
 * HOLDLINE_TEST_ZOOKEEPER names a server. Throws, with what to do, where ZooKeeper or `ps` is needed and still missing.
 */
export function ensureRequirements(needs) {
  const missing = [];
  if (needs.has("zookeeper") && !hasZooKeeper()) missing.push(...ZOOKEEPER_PACKAGES);
  // The built program asks `ps` for processes as well.
  const needsPs = needs.has("ps") || needs.has("build");
  if (needsPs && !hasProgram("ps")) missing.push(PS_PACKAGE);
  if (missing.length > 0 && mayInstall()) install(missing);

  if (needsPs && !hasProgram("ps"))
    throw new Error(`"ps" is needed and not there; on Debian and Ubuntu: apt-get install ${PS_PACKAGE}`);
  if (needs.has("zookeeper") && !hasZooKeeper() && !hasDocker()) throw new Error(WITHOUT_ZOOKEEPER);
  installExtras(needs);
}

/** By themselves, so that a package which this system does not have is no harm to those that are needed. */
function installExtras(needs) {
  const missingNow = () => Object.entries(EXTRAS).flatMap(([need, missing]) => (needs.has(need) ? missing() : []));
  const given = existsSync(NOT_TO_BE_HAD) ? readFileSync(NOT_TO_BE_HAD, "utf8").split("\n") : [];
  const wanted = missingNow().filter((name) => !given.includes(name));
  if (wanted.length === 0 || !mayInstall()) return;
  install(wanted);
  const failed = missingNow();
  if (failed.length === 0) return;
  mkdirSync(dirname(NOT_TO_BE_HAD), { recursive: true });
  writeFileSync(NOT_TO_BE_HAD, [...new Set([...given, ...failed])].join("\n"));
}

function missingForeignClients() {
  const missing = [];
  if (!existsSync("/usr/lib/python3/dist-packages/kazoo")) missing.push(KAZOO_PACKAGE);
  if (!existsSync("/usr/share/java/curator-recipes.jar") || !hasProgram("javac")) missing.push(...CURATOR_PACKAGES);
  return missing;
}

/** Debian's package of a server, unless one of the paths is there. */
function missingServers(name, ...paths) {
  return paths.some((path) => existsSync(path)) ? [] : [name];
}

/** Where a program is in the folders of its versions. */
function serverFolders(folder, program) {
  return existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version, program)) : [];
}

function missingPrograms(programs) {
  return programs.filter((program) => !hasProgram(program)).map((program) => PACKAGES[program] ?? program);
}

const WITHOUT_ZOOKEEPER = `the tests need a real ZooKeeper, and there is none. Do one of these and start them again:
  - on Debian and Ubuntu, as root: apt-get install --no-install-recommends ${ZOOKEEPER_PACKAGES.join(" ")}
  - unpack a ZooKeeper 3.8 release, install a Java, and set ZOOKEEPER_HOME to its folder
  - start Docker: the tests then run ZooKeeper in a container
  - set HOLDLINE_TEST_ZOOKEEPER=host:port to a ZooKeeper whose data do not matter`;

function hasZooKeeper() {
  if (process.env.HOLDLINE_TEST_ZOOKEEPER) return true;
  const java = process.env.JAVA_HOME && existsSync(join(process.env.JAVA_HOME, "bin/java"));
  if (!java && !hasProgram("java")) return false;
  if (existsSync("/usr/share/java/zookeeper.jar")) return true;
  return Boolean(process.env.ZOOKEEPER_HOME) && existsSync(join(process.env.ZOOKEEPER_HOME, "lib"));
}

function mayInstall() {
  return !process.env.HOLDLINE_TEST_ZOOKEEPER && process.getuid?.() === 0 && hasProgram("apt-get");
}

function install(packages) {
  process.stderr.write(`holdline: installing with apt-get: ${packages.join(" ")} …\n`);
  const apt = (...args) => {
    const { status, stdout, stderr } = spawnSync("apt-get", ["-q", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    // apt-get prints very much, which helps only when it fails.
    if (status !== 0) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
    return status === 0;
  };
  const wanted = ["install", "-y", "--no-install-recommends", ...packages];
  // A fresh machine has no package lists, or old ones, which name versions that are gone.
  if (apt("update")) apt(...wanted);
  else if (!apt(...wanted)) process.stderr.write("holdline: apt-get failed; its own words stand above\n");
}

function hasDocker() {
  return spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], { stdio: "ignore", timeout: 10_000 }).status === 0;
}

function hasProgram(name) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, name)));
}
