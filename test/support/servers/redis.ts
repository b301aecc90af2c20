// Redis servers of a test's own, Sentinels, and Valkey where it is installed: how they are configured and when they serve.
import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";
import { until } from "../wait.js";

/** A program that speaks Redis's protocol. */
export type RedisProgram = "redis-server" | "valkey-server";

export interface RedisServerOptions {
  readonly program?: RedisProgram;
  /** Lines of its configuration. */
  readonly settings?: readonly string[];
  /** Words before each command that asks whether it serves, such as a password's. */
  readonly login?: readonly string[];
  /** A port without TLS is always there, so that tests reach it. */
  readonly tls?: { readonly port: number };
  readonly isSentinel?: boolean;
}

/** Where a program is; `null` where it is not installed. */
export function findRedis(program: string): string | null {
  return ["/usr/bin", "/usr/local/bin"].map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null;
}

export class RedisServer extends ServerProcess {
  readonly host = "127.0.0.1";

  constructor(
    plan: ServerProcess["plan"],
    readonly port: number,
    readonly login: readonly string[],
  ) {
    super(plan);
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** What a command replies, as text, over a connection of its own. */
  ask(...words: readonly string[]): Promise<string> {
    return askRedis(this.port, this.login, words);
  }
}

/** Starts one server; resolves when it serves. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await planRedisServer(options);
  await startServers([server]);
  return server;
}

/** A primary with two replicas, and three Sentinels that put one of them in its place. */
export interface RedisGroup {
  readonly name: string;
  /** The first one is the primary at the beginning. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  close(): Promise<void>;
}

/** @param downAfterMs after so long the Sentinels take the primary for dead */
export async function startRedisGroup(downAfterMs: number): Promise<RedisGroup> {
  // What a server has heard of is there again after it was killed.
  const kept = ["appendonly yes"];
  const primary = await planRedisServer({ settings: kept });
  const settings = [...kept, `replicaof 127.0.0.1 ${primary.port}`];
  const replicas = await Promise.all([1, 2].map(() => planRedisServer({ settings })));
  const watched = [
    `sentinel monitor group 127.0.0.1 ${primary.port} 2`,
    `sentinel down-after-milliseconds group ${downAfterMs}`,
    // Twice that has to pass between two failovers.
    "sentinel failover-timeout group 1000",
  ];
  const sentinels = await Promise.all([1, 2, 3].map(() => planRedisServer({ settings: watched, isSentinel: true })));
  const all = [primary, ...replicas, ...sentinels];
  await startServers(all);
  const knows = async (sentinel: RedisServer): Promise<boolean> => {
    const said = (await sentinel.ask("SENTINEL", "MASTER", "group")).replaceAll(/\$\d+\r\n/g, "").split("\r\n");
    const valueOf = (field: string): string | undefined => said[said.indexOf(field) + 1];
    return valueOf("num-slaves") === "2" && valueOf("num-other-sentinels") === "2";
  };
  await until(async () => (await Promise.all(sentinels.map(knows))).every(Boolean), {
    what: "the Sentinels to know the replicas and each other",
    deadlineMs: 30_000,
  });
  return {
    name: "group",
    servers: [primary, ...replicas],
    sentinels,
    close: async () => {
      await Promise.all(all.map((server) => server.close()));
    },
  };
}

async function planRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const { program = "redis-server", settings = [], login = [], tls, isSentinel = false } = options;
  const path = findRedis(program);
  if (path === null) throw new Error(`${program} is not installed`);
  const [port] = (await freePorts(1)) as [number];
  const directory = await mkdtemp(join(tmpdir(), "holdline-redis-"));
  const config = join(directory, "server.conf");
  const lines = [
    "bind 127.0.0.1",
    `port ${port}`,
    `dir ${directory}`,
    ...(isSentinel ? [] : ['save ""', "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"]),
    ...(tls === undefined ? [] : [`tls-port ${tls.port}`]),
    ...settings,
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const plan = {
    name: `${isSentinel ? "redis-sentinel" : program} at 127.0.0.1:${port}`,
    directory,
    // A Sentinel writes into its configuration what it has found out.
    prepare: () => Promise.resolve({ argv: [path, config, ...(isSentinel ? ["--sentinel"] : [])] }),
    serves: async () => (await askRedis(port, login, ["PING"])).includes("PONG"),
  };
  return new RedisServer(plan, port, login);
}

/** Sends a command and gives what comes back, as it comes, until the server has hung up. */
export function askRedis(port: number, login: readonly string[], words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let said = "";
    socket.setEncoding("utf8").on("data", (text: string) => (said += text));
    socket.once("error", reject);
    socket.once("close", () => resolve(said));
    const commands = [...(login.length === 0 ? [] : [["AUTH", ...login]]), words, ["QUIT"]];
    socket.end(commands.map(toWire).join(""));
  });
}

function toWire(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
