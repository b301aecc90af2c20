// A dynalite of a test's own: a process that speaks DynamoDB's protocol, keeps its data on the disk, and can be frozen and killed.
import { createRequire } from "node:module";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";

export interface DynamoServer {
  readonly host: string;
  readonly port: number;
  readonly process: ServerProcess;
  close(): Promise<void>;
}

/** Credentials that dynalite takes, as it takes all. */
export const DYNAMO_CREDENTIALS = { AWS_ACCESS_KEY_ID: "AKIAHOLDLINE", AWS_SECRET_ACCESS_KEY: "not a secret" };

export async function startDynamo(): Promise<DynamoServer> {
  const host = "127.0.0.1";
  const [port = 0] = await freePorts(1);
  const directory = await mkdtemp(join(tmpdir(), "holdline-dynalite-"));
  const cli = createRequire(import.meta.url).resolve("dynalite/cli.js");
  const options = ["--host", host, "--port", String(port), "--path", join(directory, "data"), "--createTableMs", "1"];
  const server = new ServerProcess({
    name: `dynalite at ${host}:${port}`,
    directory,
    prepare: () => Promise.resolve({ argv: [process.execPath, cli, ...options] }),
    serves: async () => (await fetch(`http://${host}:${port}/`)).ok,
  });
  await startServers([server]);
  return { host, port, process: server, close: () => server.close() };
}
