// What the tests need of the machine beside npm's packages: a ZooKeeper and `ps`; and what some of them use where it can
// be had: foreign clients of ZooKeeper's locks, shells, a browser, and readers of man pages. Which ZooKeeper the tests then take is test/support/zookeeper-install.ts's
// choice; here it is only seen to that there is one.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { root } from "./packages.mjs";

/** Debian's packages, and Ubuntu's: `zookeeper` alone would also do with a Java that cannot run it. */
const ZOOKEEPER_PACKAGES = ["zookeeper", "default-jre-headless"];
const PS_PACKAGE = "procps";

/** Without these and those below the tests with them are skipped, with a word: they are no reason to fail. */
const KAZOO_PACKAGE = "python3-kazoo";
/** Curator, what it logs with, and the compiler that its program in source form needs. */
const CURATOR_PACKAGES = ["libcurator-recipes-java", "libslf4j-java", "default-jdk-headless"];
/** Shells whose completion is tested, a browser, and two readers of man pages; each by the program that it is there for. */
const PROGRAM_PACKAGES = { bash: "bash", chromium: "chromium", fish: "fish", man: "man-db", mandoc: "mandoc", zsh: "zsh" };
/** There after they could not be had, so that not every run waits for apt-get to fail again; `npm ci` removes it. */
const WITHOUT_EXTRAS = join(root, "node_modules/.cache/holdline-test/without-extras");

/**
 * Sees to it that there are a ZooKeeper and `ps`; whoever names a ZooKeeper of their own gets nothing installed. Throws with
 * what to do where that cannot be had.
 */
export function ensureRequirements() {
  const missing = [];
  if (!hasZooKeeper()) missing.push(...ZOOKEEPER_PACKAGES);
  if (!hasProgram("ps")) missing.push(PS_PACKAGE);
  if (missing.length > 0 && !process.env.HOLDLINE_TEST_ZOOKEEPER && canUseApt()) install(missing);

  if (!hasProgram("ps")) throw new Error(`"ps" is needed and not there; on Debian and Ubuntu: apt-get install ${PS_PACKAGE}`);
  if (!hasZooKeeper() && !hasDocker()) throw new Error(WITHOUT_ZOOKEEPER);
  installExtras();
}

/** By themselves, so that a package which this system does not have is no harm to those that are needed. */
function installExtras() {
  const missing = missingExtras();
  if (missing.length === 0 || process.env.HOLDLINE_TEST_ZOOKEEPER || !canUseApt() || existsSync(WITHOUT_EXTRAS)) return;
  install(missing);
  if (missingExtras().length === 0) return;
  mkdirSync(dirname(WITHOUT_EXTRAS), { recursive: true });
  writeFileSync(WITHOUT_EXTRAS, "");
}

function missingExtras() {
  const missing = [];
  if (!existsSync("/usr/lib/python3/dist-packages/kazoo")) missing.push(KAZOO_PACKAGE);
  if (!existsSync("/usr/share/java/curator-recipes.jar") || !hasProgram("javac")) missing.push(...CURATOR_PACKAGES);
  for (const [program, name] of Object.entries(PROGRAM_PACKAGES)) if (!hasProgram(program)) missing.push(name);
  return missing;
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

function canUseApt() {
  return process.getuid?.() === 0 && hasProgram("apt-get");
}

function install(packages) {
  process.stderr.write(`holdline: installing with apt-get: ${packages.join(" ")} …\n`);
  const apt = (...args) => {
    const { status, stdout, stderr } = spawnSync("apt-get", ["-q", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    // It says very much, which is of use only when it fails.
    if (status !== 0) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
    return status === 0;
  };
  const wanted = ["install", "-y", "--no-install-recommends", ...packages];
  // A fresh machine has no package lists, or old ones, which name versions that are gone.
  if (apt("update")) apt(...wanted);
  else if (!apt(...wanted)) process.stderr.write("holdline: apt-get could not; what it said stands above\n");
}

function hasDocker() {
  return spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], { stdio: "ignore", timeout: 10_000 }).status === 0;
}

function hasProgram(name) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, name)));
}
