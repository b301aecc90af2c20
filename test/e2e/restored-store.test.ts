// A store that goes back in time: the test copies its data, more runs follow, and the copy takes the data's place. A node that has
// seen more starts nothing, and lets nobody wait for it.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { startEnsemble, startZooKeeper, type ZooKeeperServer } from "../support/zookeeper-server.js";
import { Fleet, type Node } from "./fleet.js";

failOnLeaks();

/** A store whose data the test may copy, and put back. */
interface Restorable {
  readonly fleet: Fleet;
  readonly backUp: () => void;
  readonly restore: () => Promise<void>;
}

async function onServers(servers: readonly ZooKeeperServer[]): Promise<Restorable> {
  const directory = await freshDirectory();
  const address = servers.map((server) => server.address).join(",");
  const copyOf = (server: ZooKeeperServer): string => join(directory, `copy-${server.port}`);
  return {
    fleet: new Fleet("zookeeper", `zookeeper://${address}${freshRoot()}`, directory),
    backUp() {
      for (const server of servers) cpSync(join(server.directory, "data"), copyOf(server), { recursive: true });
    },
    async restore() {
      await Promise.all(servers.map((server) => server.kill()));
      for (const server of servers) {
        rmSync(join(server.directory, "data"), { recursive: true });
        cpSync(copyOf(server), join(server.directory, "data"), { recursive: true });
      }
      await Promise.all(servers.map((server) => server.restart()));
    },
  };
}

const STORES: Readonly<Record<string, () => Promise<Restorable>>> = {
  async sqlite() {
    const directory = await freshDirectory();
    const names = ["holdline.db", "holdline.db-wal"];
    const backup = join(directory, "backup");
    return {
      fleet: new Fleet("sqlite", `sqlite://${directory}/holdline.db`, directory),
      backUp() {
        mkdirSync(backup);
        for (const name of names) if (existsSync(join(directory, name))) cpSync(join(directory, name), join(backup, name));
      },
      restore() {
        for (const name of [...names, "holdline.db-shm"]) rmSync(join(directory, name), { force: true });
        for (const name of readdirSync(backup)) cpSync(join(backup, name), join(directory, name));
        return Promise.resolve();
      },
    };
  },
  async "one ZooKeeper"() {
    const server = await startZooKeeper();
    onTestFinished(() => server.close());
    return onServers([server]);
  },
  // They elect a leader when they are started again: its zxids are above all that were seen.
  async "three ZooKeepers"() {
    const ensemble = await startEnsemble();
    onTestFinished(() => ensemble.close());
    return onServers(ensemble.servers);
  },
};

/** What the store has, asked by a session that ends with the question: those of before the backup would be in the way. */
async function idsIn(fleet: Fleet, lock: string): Promise<readonly string[]> {
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const options = { connectTimeoutMs: 20_000, sessionTimeoutMs: 8_000, historyKeep: 100, sleepTimeMs: 20, log };
  const coordinator = await openCoordinator(fleet.url, options);
  try {
    return (await coordinator.queue(lock)).map(({ id }) => id);
  } finally {
    await coordinator.close();
  }
}

const fileIn = (stderr: string): string => /then remove (\S+\.json)/.exec(stderr)?.[1] ?? "";

async function runs(node: Node, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) expect(await node.run("run", "restart")).toMatchObject({ code: 0 });
}

describe.each(Object.keys(STORES))("on %s", (kind) => {
  test("a store that was restored from a backup is noticed: nothing starts, no claim stays, and the refusal says what to do", async () => {
    const { fleet, backUp, restore } = await (STORES[kind] as () => Promise<Restorable>)();
    const node = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'` } });
    await runs(node, 2);
    backUp();
    await runs(node, 3);
    await restore();
    for (let time = 0; time < 2; time += 1) {
      const refused = await node.run("run", "restart");
      expect(refused.stderr).toMatch(
        /has gone back in time, as after a restored backup: on 20\d\d-\S+Z this node had the fencing token \d+/,
      );
      expect(refused.code).toBe(78);
      expect(await idsIn(fleet, "restart")).toEqual([]);
      if (time === 1) rmSync(fileIn(refused.stderr));
    }
    expect(fleet.lines()).toHaveLength(5);
    // The admin has removed the file that the refusal names.
    await runs(node, 2);
    expect(fleet.lines()).toHaveLength(7);
  });
});

describe.each(["sqlite", "one ZooKeeper"])("on %s", (kind) => {
  test("a failed claim that comes back with the backup stays what it was, and its action is not begun", async () => {
    const { fleet, backUp, restore } = await (STORES[kind] as () => Promise<Restorable>)();
    const failing = { restart: { shell: `echo failed >> '${fleet.log}'; exit 3` } };
    const node = fleet.node("web-01", failing);
    expect((await node.run("run", "restart")).code).toBe(4);
    const [left] = await idsIn(fleet, "restart");
    backUp();
    const mended = fleet.node("web-01", { restart: { shell: `echo ran >> '${fleet.log}'` } });
    await runs(mended, 3);
    await restore();
    expect(await mended.run("resume")).toMatchObject({ code: 78 });
    expect(await idsIn(fleet, "restart")).toEqual([left]);
    expect((await mended.run("locks", "restart")).stdout).toContain("FAILED on web-01");
    expect(fleet.lines()).toEqual(["failed", "ran", "ran", "ran"]);
  });
});

test("what was remembered of a store may be damaged or impossible to write: the run goes on, and a warning says so", async () => {
  const { fleet } = await (STORES["sqlite"] as () => Promise<Restorable>)();
  const node = fleet.node("web-01", { restart: { command: ["true"] } });
  await runs(node, 1);
  const folder = join(node.directory, "state", "stores");
  const [file] = readdirSync(folder);
  expect(JSON.parse(readFileSync(join(folder, file as string), "utf8"))).toMatchObject({ store: fleet.url });
  writeFileSync(join(folder, file as string), "{");
  const damaged = await node.run("run", "restart");
  expect([damaged.code, damaged.stderr]).toEqual([
    0,
    expect.stringContaining("the file that says how far the store had come was damaged"),
  ]);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "");
  const unwritten = await node.run("run", "restart");
  expect([unwritten.code, unwritten.stderr]).toEqual([0, expect.stringContaining("a later one may not notice a restored backup")]);
});
