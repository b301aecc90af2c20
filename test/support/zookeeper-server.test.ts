// The harness's own servers: an ensemble that can be treated badly, and comes back.
import { onTestFinished, test, expect } from "vitest";
import { startLinkedEnsemble } from "./ensemble-links.js";
import { failOnLeaks } from "./leaks.js";
import { openPlainClient } from "./plain-client.js";
import { freshRoot } from "./roots.js";
import { until } from "./wait.js";
import { canStartServers, fourLetter, monitor, startEnsemble, type ZooKeeperServer } from "./zookeeper-server.js";

failOnLeaks();

const canStart = await canStartServers();
if (!canStart) console.log("skipped: ensembles, because there is no local ZooKeeper to start them from");

test.skipIf(!canStart)("an ensemble survives the loss of its leader, and takes it back with its data", async () => {
  const ensemble = await startEnsemble();
  onTestFinished(() => ensemble.close());
  const root = freshRoot();
  const first = await ensemble.leader();
  await write(first, `${root}/before`);

  await first.kill();
  expect(first.pid).toBe(null);
  await expect(fourLetter(first, "ruok")).rejects.toThrow();
  const second = await ensemble.leader();
  expect(second.port).not.toBe(first.port);
  await write(second, `${root}/after`);

  await first.restart();
  const client = await openPlainClient(first);
  await until(async () => (await client.children(root)).join() === "after,before", "the restarted server to know everything");
  await client.close();
});

test.skipIf(!canStart)("a frozen server keeps its connections and answers nothing until it is thawed", async () => {
  const ensemble = await startEnsemble();
  onTestFinished(() => ensemble.close());
  const [server] = ensemble.servers as readonly [ZooKeeperServer];
  await server.freeze();
  await expect(fourLetter(server, "ruok")).rejects.toThrow(/did not answer/);
  server.thaw();
  await until(async () => (await fourLetter(server, "ruok")) === "imok", "the thawed server to answer");
  expect((await monitor(server)).get("zk_server_state")).toMatch(/leader|follower/);
  await server.stop();
  expect(server.pid).toBe(null);
});

test.skipIf(!canStart)(
  "a server that is cut off from the others leaves them, and comes back when the links are mended",
  async () => {
    const ensemble = await startLinkedEnsemble({ tickMs: 200, config: { syncLimit: 5 } });
    onTestFinished(() => ensemble.close());
    const root = freshRoot();
    for (const chosen of ["a follower", "the leader"]) {
      const leader = ensemble.servers.indexOf(await ensemble.leader());
      const index = chosen === "the leader" ? leader : (leader + 1) % 3;
      const [alone, other] = [ensemble.servers[index], ensemble.servers[(index + 2) % 3]] as [ZooKeeperServer, ZooKeeperServer];
      await write(alone, `${root}/before/${index}`);
      ensemble.isolate(index);
      await until(async () => !(await isServing(alone)), `${chosen} to serve nobody any more`);
      await until(() => isServing(other), "the others to go on");
      await write(other, `${root}/after/${index}`);
      expect(await isServing(alone)).toBe(false);
      ensemble.mend();
      await until(() => isServing(alone), `${chosen} to serve again`);
      const client = await openPlainClient(alone);
      await until(async () => (await client.children(`${root}/after`)).includes(String(index)), "it to know what it missed");
      await client.close();
    }
  },
);

async function isServing(server: ZooKeeperServer): Promise<boolean> {
  return (await fourLetter(server, "srvr")).includes("Mode: ");
}

async function write(server: ZooKeeperServer, path: string): Promise<void> {
  const client = await openPlainClient(server);
  await client.create(path);
  await client.close();
}
