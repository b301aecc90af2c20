// A server that is cut off from the others and goes on answering: its answers keep no held claim alive.
import { expect, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import { type LinkedEnsemble, startLinkedEnsemble } from "../../support/ensemble-links.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshRoot } from "../../support/roots.js";
import { within } from "../../support/wait.js";
import { canStartServers, type ZooKeeperServer } from "../../support/zookeeper-server.js";
import { draftFor, only, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const canStart = await canStartServers();
if (!canStart) console.log("skipped: an ensemble, because there is no local ZooKeeper to start it from");

// As with ZooKeeper's defaults, a session is some ticks long, and a server that has lost its leader goes on for longer than a session:
// here for ten seconds.
const SLOW_TO_NOTICE = { tickMs: 500, config: { syncLimit: 20 } };

async function openEnsemble(): Promise<LinkedEnsemble> {
  const ensemble = await startLinkedEnsemble(SLOW_TO_NOTICE);
  onTestFinished(() => ensemble.close());
  return ensemble;
}

async function open(server: ZooKeeperServer, root: string) {
  const coordinator = await openZooKeeper(`zookeeper://${server.address}${root}`, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

test.skipIf(!canStart)("a claim held through a follower that is cut off is lost before the next one is granted", async () => {
  const ensemble = await openEnsemble();
  const leader = ensemble.servers.indexOf(await ensemble.leader());
  const [alone, other] = [(leader + 1) % 3, (leader + 2) % 3].map((at) => ensemble.servers[at]) as [
    ZooKeeperServer,
    ZooKeeperServer,
  ];
  const root = freshRoot();
  const [holder, next] = [await open(alone, root), await open(other, root)];
  const held = await holder.join(draftFor("a", { settles: false }));
  await holder.confirm(held);
  const waiting = await next.join(draftFor("a", { settles: false }));
  const ends: string[] = [];
  held.session.lost.addEventListener("abort", () => ends.push("lost"));
  ensemble.isolate((leader + 1) % 3);
  await within(next.departed(waiting, "a", [only(held).ref]), "the cut-off session to end");
  ends.push("granted");
  expect(ends).toEqual(["lost", "granted"]);
});
