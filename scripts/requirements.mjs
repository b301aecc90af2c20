// What the tests need of the machine beside npm's packages: a ZooKeeper and `ps`. Which ZooKeeper the tests then take is
// test/support/zookeeper-install.ts's choice; here it is only seen to that there is one.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian's packages, and Ubuntu's: `zookeeper` alone would also do with a Java that cannot run it. */
const ZOOKEEPER_PACKAGES = ["zookeeper", "default-jre-headless"];
const PS_PACKAGE = "procps";

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
