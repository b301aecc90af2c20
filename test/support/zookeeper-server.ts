// A real ZooKeeper for tests, alone or three together: where it comes from, its configuration, its processes and its
// temporary files. It ends only processes that it has started itself.
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import type { Pem } from "./certificates.js";
import { freePorts } from "./ports.js";
import { type ServerCommand, ServerProcess, startServers } from "./server-process.js";
import { findLocalInstall, type LocalInstall, missingZooKeeper } from "./zookeeper-install.js";
import { until } from "./wait.js";

/** Where a ZooKeeper answers. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** A ZooKeeper whose process is the test's own, to be treated as badly as a test likes. */
export interface ZooKeeperServer extends ServerAddress {
  /** `host:port`. */
  readonly address: string;
  /** The port for TLS; `null` where it was not asked for. */
  readonly securePort: number | null;
  readonly pid: number | null;
  /** Where its logs are, and in "data" what it has stored; they go when it is closed. */
  readonly directory: string;
  /** SIGTERM; resolves when the process is gone. Its data stay. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. Its data stay. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. Resolves when the whole process has stopped. */
  freeze(): Promise<void>;
  /** SIGCONT. */
  thaw(): void;
  /** Starts it again on the same port with the same data, after `stop` or `kill`, and waits until it serves. */
  restart(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

/** Three servers. Any two of them are enough. */
export interface Ensemble {
  readonly servers: readonly ZooKeeperServer[];
  /** `host:port,host:port,host:port`. */
  readonly address: string;
  /** The server that leads at the moment. */
  leader(): Promise<ZooKeeperServer>;
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Session timeouts from 2 to 120 ticks are granted. Small, so that tests of 1 s sessions can be had. */
  readonly tickMs?: number;
  /** Further lines of zoo.cfg. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** Further system properties of the server's Java. */
  readonly properties?: Readonly<Record<string, string>>;
  /** The address that clients find it at; by default 127.0.0.1. */
  readonly host?: string;
  /** A second port, for TLS. The files are read anew at each start. */
  readonly secure?: { readonly certificate: Pem; readonly authority: Pem; readonly clients: "need" | "want" | "none" };
  /** Users of SASL's DIGEST-MD5 with their passwords. */
  readonly users?: Readonly<Record<string, string>>;
}

const DEFAULT_TICK_MS = 500;

export interface EnsembleOptions extends ServerOptions {
  /** Lines that the zoo.cfg of each member has beside those of all; `peerType=observer` makes one an observer. */
  readonly members?: readonly Readonly<Record<string, string | number>>[];
}

/** Starts one server from the local installation. */
export async function startZooKeeper(options: ServerOptions = {}): Promise<ZooKeeperServer> {
  const install = await requireInstall();
  const ports = (await freePorts(2)) as [number, number];
  const server = new LocalServer(install, ports, await serverDirectory(), options);
  await startServers([server.process]);
  return server;
}

/** The ports at which the others reach a server of an ensemble. */
export type PeerPorts = { readonly quorum: number; readonly election: number };
/** From the servers' own ports: at which each of them sees all. */
type PeersSeen = (peers: readonly PeerPorts[]) => Promise<readonly (readonly PeerPorts[])[]>;

/**
 * Starts three servers from the local installation; resolves when all of them serve.
 * @param peersSeen puts something between the servers; by default nothing is
 */
export async function startEnsemble(
  options: EnsembleOptions = {},
  peersSeen: PeersSeen = (peers) => Promise.resolve(peers.map(() => peers)),
): Promise<Ensemble> {
  const install = await requireInstall();
  const ports = await freePorts(12);
  const peers = [3, 5, 7].map((at): PeerPorts => ({ quorum: ports[at] as number, election: ports[at + 1] as number }));
  const servers: LocalServer[] = [];
  for (const [index, seen] of (await peersSeen(peers)).entries()) {
    const addresses = seen.map(({ quorum, election }, at) => {
      const isObserver = options.members?.[at]?.["peerType"] === "observer";
      return [`server.${at + 1}`, `127.0.0.1:${quorum}:${election}${isObserver ? ":observer" : ""}`] as const;
    });
    const config = { ...options.config, ...options.members?.[index], ...Object.fromEntries(addresses) };
    const own = [ports[index] as number, ports[index + 9] as number] as const;
    servers.push(new LocalServer(install, own, await serverDirectory(), { ...options, config }, index + 1));
  }
  await startServers(servers.map((server) => server.process));
  const leader = async () => {
    const answers = await Promise.all(servers.map((server) => fourLetter(server, "srvr").catch(() => "")));
    return servers[answers.findIndex((answer) => answer.includes("Mode: leader"))];
  };
  return {
    servers,
    address: servers.map((server) => server.address).join(","),
    leader: () => until(leader, "a leader in the ensemble"),
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}

/** Can `startZooKeeper` and `startEnsemble` start anything here? */
export async function canStartServers(): Promise<boolean> {
  return (await findLocalInstall()) !== null;
}

/**
 * Asks a server one of its four-letter words, such as `srvr`, `mntr` or `ruok`. Rejects when it does not answer
 * within 2 s.
 */
export async function fourLetter(server: ServerAddress | number, word: string): Promise<string> {
  const { host, port } = typeof server === "number" ? { host: "127.0.0.1", port: server } : server;
  const socket = connect(port, host);
  socket.setTimeout(2_000, () => socket.destroy(new Error(`${host}:${port} did not answer "${word}"`)));
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  socket.write(word);
  await once(socket, "close");
  if (answer === "") throw new Error(`${host}:${port} closed the connection without an answer to "${word}"`);
  return answer;
}

/** The figures of `mntr`, by name. */
export async function monitor(server: ServerAddress | number): Promise<ReadonlyMap<string, string>> {
  const lines = (await fourLetter(server, "mntr")).trim().split("\n");
  return new Map(lines.map((line) => line.split("\t") as [string, string]));
}

/** Waits until a server answers `srvr` as one that serves. */
export async function waitUntilServing(server: ServerAddress): Promise<void> {
  await until(() => isServing(server), {
    what: `ZooKeeper at ${server.host}:${server.port} to serve`,
    deadlineMs: 60_000,
  });
}

async function isServing(server: ServerAddress): Promise<boolean> {
  return (await fourLetter(server, "srvr")).includes("Mode: ");
}

async function requireInstall(): Promise<LocalInstall> {
  const install = await findLocalInstall();
  if (install === null) throw new Error(missingZooKeeper());
  return install;
}

async function serverDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "holdline-zookeeper-"));
}

class LocalServer implements ZooKeeperServer {
  readonly host: string;
  readonly port: number;
  readonly securePort: number | null;
  readonly address: string;
  readonly process: ServerProcess;

  constructor(
    readonly install: LocalInstall,
    [port, securePort]: readonly [plain: number, secure: number],
    readonly directory: string,
    readonly options: ServerOptions,
    readonly id: number | null = null,
  ) {
    this.host = options.host ?? "127.0.0.1";
    this.port = port;
    this.securePort = options.secure === undefined ? null : securePort;
    this.address = `${this.host.includes(":") ? `[${this.host}]` : this.host}:${port}`;
    this.process = new ServerProcess({
      name: `ZooKeeper on port ${port}`,
      directory,
      logs: ["zookeeper.log"],
      prepare: () => this.#prepare(),
      serves: () => isServing(this),
    });
  }

  get pid(): number | null {
    return this.process.pid;
  }

  stop = (): Promise<void> => this.process.stop();
  kill = (): Promise<void> => this.process.kill();
  freeze = (): Promise<void> => this.process.freeze();
  thaw = (): void => this.process.thaw();
  restart = (): Promise<void> => this.process.restart();
  close = (): Promise<void> => this.process.close();

  async #prepare(): Promise<ServerCommand> {
    const { directory, install } = this;
    const data = join(directory, "data");
    const tickMs = this.options.tickMs ?? DEFAULT_TICK_MS;
    await mkdir(data, { recursive: true });
    if (this.id !== null) await writeFile(join(data, "myid"), String(this.id));
    const config: Record<string, string | number> = {
      tickTime: tickMs,
      minSessionTimeout: 2 * tickMs,
      maxSessionTimeout: 60_000,
      initLimit: 40,
      syncLimit: 20,
      dataDir: data,
      clientPort: this.port,
      clientPortAddress: this.host,
      maxClientCnxns: 0,
      "admin.enableServer": "false",
      "4lw.commands.whitelist": "*",
      ...(await this.#secureConfig()),
      ...this.options.config,
    };
    const lines = Object.entries(config).map(([name, value]) => `${name}=${value}`);
    await writeFile(join(directory, "zoo.cfg"), `${lines.join("\n")}\n`);
    const logging = [
      "log4j.rootLogger=INFO,FILE",
      "log4j.appender.FILE=org.apache.log4j.FileAppender",
      `log4j.appender.FILE.File=${join(directory, "zookeeper.log")}`,
      "log4j.appender.FILE.layout=org.apache.log4j.PatternLayout",
      "log4j.appender.FILE.layout.ConversionPattern=%d{ISO8601} %p %c{1} %m%n",
    ];
    await writeFile(join(directory, "log4j.properties"), logging.join("\n"));
    const properties = { "zookeeper.log.dir": directory, ...(await this.#loginProperties()), ...this.options.properties };
    return {
      argv: [
        install.java,
        // A test's data fit into little memory, and a quick start matters more than top speed.
        ...["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
        ...["-cp", [directory, ...install.classPath].join(":")],
        ...["org.apache.zookeeper.server.quorum.QuorumPeerMain", join(directory, "zoo.cfg")],
      ],
    };
  }

  async #secureConfig(): Promise<Readonly<Record<string, string | number>>> {
    const { options, directory, securePort, host } = this;
    const { secure } = options;
    if (secure === undefined || securePort === null) return {};
    const { certificate, authority, clients } = secure;
    const [keyStore, trustStore] = [join(directory, "key.pem"), join(directory, "trust.pem")];
    await writeFile(keyStore, Buffer.concat([await readFile(certificate.key), await readFile(certificate.cert)]));
    await writeFile(trustStore, await readFile(authority.cert));
    return {
      secureClientPort: securePort,
      secureClientPortAddress: host,
      serverCnxnFactory: "org.apache.zookeeper.server.NettyServerCnxnFactory",
      "ssl.keyStore.location": keyStore,
      "ssl.trustStore.location": trustStore,
      "ssl.clientAuth": clients,
      "authProvider.x509": "org.apache.zookeeper.server.auth.X509AuthenticationProvider",
    };
  }

  async #loginProperties(): Promise<Readonly<Record<string, string>>> {
    const { users } = this.options;
    if (users === undefined) return {};
    const file = join(this.directory, "jaas.conf");
    const lines = Object.entries(users).map(([user, password]) => `user_${user}=${JSON.stringify(password)}`);
    await writeFile(file, `Server { org.apache.zookeeper.server.auth.DigestLoginModule required ${lines.join(" ")}; };\n`);
    return {
      "java.security.auth.login.config": file,
      "zookeeper.authProvider.sasl": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    };
  }
}
