// Before the first test: one ZooKeeper for the whole run, which tests get with `inject("zookeeper")`. After the last: its end.
import type { TestProject } from "vitest/node";
import { findLocalInstall, hasDocker, missingZooKeeper } from "../zookeeper-install.js";
import { type ServerAddress, startZooKeeper, waitUntilServing } from "../zookeeper-server.js";

declare module "vitest" {
  export interface ProvidedContext {
    readonly zookeeper: ServerAddress;
  }
}

interface Obtained extends ServerAddress {
  readonly origin: string;
  close(): Promise<void>;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await obtainZooKeeper();
  console.log(`tests run against ZooKeeper at ${server.host}:${server.port} (${server.origin})`);
  project.provide("zookeeper", { host: server.host, port: server.port });
  return () => server.close();
}

async function obtainZooKeeper(): Promise<Obtained> {
  const given = process.env["HOLDLINE_TEST_ZOOKEEPER"];
  if (given !== undefined && given !== "") return givenServer(given);
  const install = await findLocalInstall();
  if (install !== null) {
    const server = await startZooKeeper();
    return { host: server.host, port: server.port, origin: install.origin, close: () => server.close() };
  }
  if (hasDocker()) return containerServer();
  throw new Error(missingZooKeeper());
}

async function givenServer(text: string): Promise<Obtained> {
  const parts = /^(?<host>[^:/]+|\[[^\]]+\]):(?<port>\d+)$/.exec(text)?.groups;
  if (parts === undefined) throw new Error(`HOLDLINE_TEST_ZOOKEEPER must be host:port, and is ${JSON.stringify(text)}`);
  const server = { host: parts["host"] as string, port: Number(parts["port"]) };
  await waitUntilServing(server);
  return { ...server, origin: "HOLDLINE_TEST_ZOOKEEPER", close: async () => undefined };
}

/** Loaded only here: testcontainers takes a second to load, and where ZooKeeper is installed nobody needs it. */
async function containerServer(): Promise<Obtained> {
  const { GenericContainer } = await import("testcontainers");
  const image = "zookeeper:3.8";
  const container = await new GenericContainer(image)
    .withExposedPorts(2181)
    .withEnvironment({
      ZOO_TICK_TIME: "500",
      ZOO_MAX_CLIENT_CNXNS: "0",
      ZOO_ADMINSERVER_ENABLED: "false",
      ZOO_4LW_COMMANDS_WHITELIST: "*",
      ZOO_CFG_EXTRA: "maxSessionTimeout=60000",
    })
    .start();
  const server = { host: container.getHost(), port: container.getMappedPort(2181) };
  await waitUntilServing(server);
  return { ...server, origin: `Docker, ${image}`, close: async () => void (await container.stop()) };
}
