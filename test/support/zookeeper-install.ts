// Where tests get a ZooKeeper from, in this order: $HOLDLINE_TEST_ZOOKEEPER, a local installation (Debian's package, or
// $ZOOKEEPER_HOME), Docker. Owns the choice and the words for when there is none; the processes are zookeeper-server.ts's.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** A ZooKeeper on this machine that can be started as often as one likes. */
export interface LocalInstall {
  readonly java: string;
  readonly classPath: readonly string[];
  /** For people. */
  readonly origin: string;
}

const DEBIAN_JAR = "/usr/share/java/zookeeper.jar";
/** Debian's jar names its other needs in its manifest; only the logging back end is left to the user. */
const DEBIAN_LOGGING = ["/usr/share/java/slf4j-log4j12.jar", "/usr/share/java/log4j-1.2.jar"];
/** What its manifest forgets of Netty, which servers with TLS run on. */
const DEBIAN_NETTY = ["netty-codec", "netty-resolver", "netty-transport-native-unix-common"].map(
  (name) => `/usr/share/java/${name}.jar`,
);

/** Debian's package or what $ZOOKEEPER_HOME names, with a Java to run it; `null` when there is none. */
export async function findLocalInstall(): Promise<LocalInstall | null> {
  const java = findJava();
  if (java === null) return null;
  if (existsSync(DEBIAN_JAR)) {
    const beside = [...DEBIAN_LOGGING, ...DEBIAN_NETTY].filter((jar) => existsSync(jar));
    return { java, classPath: [DEBIAN_JAR, ...beside], origin: DEBIAN_JAR };
  }
  const home = process.env["ZOOKEEPER_HOME"];
  if (home === undefined || home === "") return null;
  const library = join(home, "lib");
  const files = existsSync(library) ? await readdir(library) : [];
  const jars = files.filter((file) => file.endsWith(".jar")).map((file) => join(library, file));
  return jars.some((jar) => /zookeeper-\d/.test(jar)) ? { java, classPath: jars, origin: home } : null;
}

/** What to do when there is no ZooKeeper for the tests. */
export function missingZooKeeper(): string {
  return [
    "The tests need a real ZooKeeper and found none. Do one of these:",
    "  - on Debian or Ubuntu: apt-get install --no-install-recommends zookeeper default-jre-headless",
    "  - unpack a ZooKeeper 3.8 release, install a Java, and set ZOOKEEPER_HOME to its directory",
    "  - start Docker: the tests then run zookeeper:3.8 in a container",
    "  - set HOLDLINE_TEST_ZOOKEEPER=host:port to a server whose data do not matter",
  ].join("\n");
}

/** Makes the system end the command when this process ends for any reason, where the system can do that. */
export function withoutOrphans(command: readonly string[]): readonly string[] {
  const setpriv = findProgram("setpriv");
  return setpriv !== null && process.platform === "linux" ? [setpriv, "--pdeathsig", "KILL", "--", ...command] : command;
}

/** Whether a Docker answers. */
export function hasDocker(): boolean {
  return spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], { timeout: 10_000 }).status === 0;
}

function findJava(): string | null {
  const home = process.env["JAVA_HOME"];
  const own = home === undefined || home === "" ? null : join(home, "bin", "java");
  return own !== null && existsSync(own) ? own : findProgram("java");
}

function findProgram(name: string): string | null {
  const directories = (process.env["PATH"] ?? "").split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path)) ?? null;
}
