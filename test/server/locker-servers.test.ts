// Locker's API on several servers at once: they agree at every moment, and a killed one loses nothing.
import { describe, expect, onTestFinished, test } from "vitest";
import { Fleet, openFleet, STORES } from "../e2e/fleet.js";
import { openFaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { until } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";
import { canStartServers, startEnsemble, type ZooKeeperServer } from "../support/zookeeper-server.js";
import { type Answer, type Serving, startServer } from "./serving.js";

failOnLeaks();

async function startTwo(fleet: Fleet): Promise<readonly [Serving, Serving]> {
  return Promise.all([startServer(fleet, "one"), startServer(fleet, "two")]);
}

/** Whatever is done through one is seen through the other, by the very next request. */
async function expectAgreement(one: Serving, two: Serving, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const [here, there] = round % 2 === 0 ? [one, two] : [two, one];
    const key = `k${round}`;
    expect((await here.ask("PUT", "/lock/pool", { key })).status).toBe(200);
    expect((await there.ask("GET", "/locks")).text).toBe(`{"pool":{"locked_by":{"${key}":1},"key":"${key}"}}\n`);
    expect((await there.ask("PUT", "/lock/pool", { key, requestor: "r" })).status).toBe(200);
    expect((await here.ask("GET", "/locks")).text).toBe(`{"pool":{"locked_by":{"${key}":1,"r":1},"key":"${key}"}}\n`);
    expect((await there.ask("DELETE", "/lock/pool", { key: "other" })).status).toBe(423);
    expect((await there.ask("DELETE", "/lock/pool", { key })).status).toBe(200);
    expect((await here.ask("GET", "/locks")).text).toBe(`{"pool":{"locked_by":{"r":1},"key":"${key}"}}\n`);
    expect((await here.ask("DELETE", "/lock/pool", { key, requestor: "r" })).status).toBe(200);
    expect((await there.ask("GET", "/locks")).text).toBe("{}\n");
  }
}

describe.each(STORES)("on %s", (kind) => {
  test("two servers agree at every moment", async () => {
    const [one, two] = await startTwo(await openFleet(kind));
    await expectAgreement(one, two, 100);
  });

  test("of the keys that are tried at the same time on two servers one wins, and all who have it", async () => {
    const [one, two] = await startTwo(await openFleet(kind));
    for (let round = 0; round < 30; round += 1) {
      const keys = ["a", "b", "a", "c", "b", "a", "c", "b"];
      const answers = await Promise.all(
        keys.map(async (key, index) => {
          const server = (index + round) % 2 === 0 ? one : two;
          return { key, ...(await server.ask("PUT", "/lock/pool", { key })) };
        }),
      );
      const won = new Set(answers.flatMap(({ key, status }) => (status === 200 ? [key] : [])));
      expect(won.size).toBe(1);
      const [winner = ""] = won;
      for (const { key, status } of answers) expect(status).toBe(key === winner ? 200 : 423);
      const count = keys.filter((key) => key === winner).length;
      for (const server of [one, two])
        expect((await server.ask("GET", "/locks")).text).toBe(`{"pool":{"locked_by":{"${winner}":${count}},"key":"${winner}"}}\n`);
      expect((await two.ask("DELETE", "/lock/pool", { key: winner })).status).toBe(200);
    }
  });

  test("a server that is killed loses nothing that it has answered, and leaves nothing that it has not", async () => {
    const fleet = await openFleet(kind);
    const [one, two] = await startTwo(fleet);
    const pools = ["p0", "p1", "p2", "p3"];
    const done = new Map(pools.map((pool) => [pool, 0]));
    // Each asks until its server is gone; what was not answered by then has happened or has not.
    const clients = pools.map(async (pool) => {
      for (;;) {
        const answer: Answer | null = await one.ask("PUT", `/lock/${pool}`, { key: "k" }).catch(() => null);
        if (answer === null) return;
        expect(answer.status).toBe(200);
        done.set(pool, (done.get(pool) ?? 0) + 1);
      }
    });
    await until(() => Math.min(...done.values()) >= 5, "each client to have locked its pool some times");
    one.cli.kill("SIGKILL");
    await Promise.all(clients);
    const seen = (await two.ask("GET", "/locks")).json as Record<string, { locked_by: { k: number } }>;
    for (const [pool, count] of done) expect(seen[pool]?.locked_by.k, pool).toBeOneOf([count, count + 1]);
    for (const pool of pools) {
      expect((await two.ask("PUT", `/lock/${pool}`, { key: "other" })).status).toBe(423);
      expect((await two.ask("DELETE", `/lock/${pool}`, { key: "k" })).status).toBe(200);
      // What it had begun ends with its session.
      await until(async () => (await two.ask("PUT", `/lock/${pool}`, { key: "other" })).status === 200, `${pool} to be free`);
    }
    const again = await startServer(fleet, "one");
    expect((await again.ask("GET", "/locks")).text).toBe((await two.ask("GET", "/locks")).text);
  });
});

test("two servers that each ask another member of an ensemble agree at every moment", async ({ skip }) => {
  if (!(await canStartServers())) skip("an ensemble needs a local installation");
  const ensemble = await startEnsemble();
  onTestFinished(() => ensemble.close());
  const fleet = new Fleet("zookeeper", `zookeeper://${ensemble.address}${freshRoot()}`, await freshDirectory());
  const leader = await ensemble.leader();
  const follower = ensemble.servers.find((member) => member !== leader) as ZooKeeperServer;
  const proxy = await openFaultProxy(follower);
  onTestFinished(() => proxy.close());
  const [one, two] = await Promise.all(
    [leader, proxy].map(({ host, port }, index) =>
      startServer(fleet, `server-${index}`, { coordinator: fleet.url.replace(ensemble.address, `${host}:${port}`) }),
    ),
  );
  await expectAgreement(one as Serving, two as Serving, 30);

  // A member that was held up is asked before it has been told of what the others have done meanwhile.
  const asks = Object.values(Opcode).filter((opcode) => opcode !== Opcode.ping);
  for (let round = 0; round < 20; round += 1) {
    await follower.freeze();
    expect((await one?.ask("PUT", "/lock/pool", { key: "k" }))?.status).toBe(200);
    const asked = proxy.seen({ operation: asks });
    const unlocking = two?.ask("DELETE", "/lock/pool", { key: "k" });
    await asked;
    follower.thaw();
    expect((await unlocking)?.status).toBe(200);
    expect((await one?.ask("GET", "/locks"))?.text).toBe("{}\n");
  }
}, 120_000);
