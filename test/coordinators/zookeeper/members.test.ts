// Members of an ensemble that are not like the others: with local sessions, an observer, and one that is read-only without a majority.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { until, within } from "../../support/wait.js";
import {
  canStartServers,
  type Ensemble,
  fourLetter,
  startEnsemble,
  waitUntilServing,
  type ZooKeeperServer,
} from "../../support/zookeeper-server.js";
import { draftFor, only, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const canStart = await canStartServers();
if (!canStart) console.log("skipped: members of an ensemble, because there is no local ZooKeeper to start");

describe.skipIf(!canStart)("a member", () => {
  let ensemble: Ensemble;
  let upgrading: ZooKeeperServer;
  let local: ZooKeeperServer;
  let observer: ZooKeeperServer;

  beforeAll(async () => {
    ensemble = await startEnsemble({
      config: { localSessionsEnabled: "true" },
      properties: { "readonlymode.enabled": "true" },
      members: [
        { localSessionsUpgradingEnabled: "true" },
        { localSessionsUpgradingEnabled: "false" },
        { localSessionsUpgradingEnabled: "true", peerType: "observer" },
      ],
    });
    [upgrading, local, observer] = ensemble.servers as [ZooKeeperServer, ZooKeeperServer, ZooKeeperServer];
  });

  afterAll(() => ensemble.close());

  async function open(server: ZooKeeperServer, root: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
    const coordinator = await openZooKeeper(`zookeeper://${server.address}${root}`, { ...TEST_OPTIONS, ...options });
    onTestFinished(() => coordinator.close());
    return coordinator;
  }

  /** One waits through `of` for a claim that another holds through `through`, and has its turn. */
  async function takeTurns(through: ZooKeeperServer, of: ZooKeeperServer): Promise<void> {
    const root = freshRoot();
    const [holder, waiter] = [await open(through, root), await open(of, root)];
    const { draft, settled } = await takeDurably(holder, "a");
    const waiting = await waiter.join(draftFor("a"));
    const departed = waiter.departed(waiting, "a", [(settled.entries[0] as { ref: string }).ref]);
    expect(await holder.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await within(departed, "the waiter's turn")).toHaveLength(1);
    await waiter.confirm(waiting);
    expect((await waiter.position(only(waiting))).ahead).toEqual([]);
    expect(waiting.session.lost.aborted).toBe(false);
  }

  test("with local sessions gives one that can hold a lock when it is needed", () => takeTurns(upgrading, upgrading));

  test("with local sessions and nothing else says what to set, and nothing stays in line", async () => {
    const root = freshRoot();
    const coordinator = await open(local, root);
    await expect(coordinator.join(draftFor("a"))).rejects.toMatchObject({
      code: "configuration",
      message: "ZooKeeper refuses this: the server gives local sessions only, which cannot hold a lock",
      hint: "set localSessionsUpgradingEnabled=true",
    });
    expect(await coordinator.queue("a")).toEqual([]);
  });

  test("that only observes serves those who hold and those who wait", async () => {
    expect(await fourLetter(observer, "srvr")).toContain("Mode: observer");
    await takeTurns(observer, upgrading);
    await takeTurns(upgrading, observer);
  });

  test("that is read-only without a majority serves nobody, and goes on with its sessions when there is one again", async () => {
    const root = freshRoot();
    // It is another process once it has been restarted, and this is the last test.
    onTestFinished(() => local.close());
    const patient = await open(upgrading, root, { sessionTimeoutMs: 30_000, connectTimeoutMs: 30_000 });
    const { draft, settled } = await takeDurably(patient, "a");
    await local.kill();
    await until(async () => (await fourLetter(upgrading, "srvr")).includes("Mode: read-only"), {
      what: "a member without a majority to be read-only",
      deadlineMs: 60_000,
    });
    await expect(open(upgrading, root, { connectTimeoutMs: 1_000 })).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("hung up without an answer: it serves nobody at the moment") as string,
    });
    const leaving = patient.leave(draft.id, settled.entries, RELEASED);
    await local.restart();
    await waitUntilServing(upgrading);
    expect(await within(leaving, "the release", 60_000)).toBe("done");
  });
});
