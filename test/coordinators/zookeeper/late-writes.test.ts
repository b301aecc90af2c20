// A write that the servers carry out only after the coordinator has looked for it and found nothing: the next try is refused because of
// the coordinator's own work.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import { mentions, openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { claimIn, onlyEntry, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

test("a record that is written late is written, not changed by another", async () => {
  const server = inject("zookeeper");
  const proxy = await openFaultProxy(server);
  onTestFinished(() => proxy.close());
  const root = freshRoot();
  const coordinator = await openZooKeeper(`zookeeper://${proxy.address}${root}`, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  const client = await openPlainClient(server);
  onTestFinished(() => client.close());
  const { draft, settled } = await takeDurably(coordinator, "a");
  const match = { operation: Opcode.multi, where: mentions(draft.id) };
  const lost = proxy.dropRequest(match);
  const updating = coordinator.update(draft.id, settled, recordFor(draft, { reason: "mine" }));
  await lost;
  // It looks, finds nothing, and tries again. Meanwhile what was lost is carried out.
  const again = proxy.holdRequest(match);
  const { frame } = await again.caught;
  const text = frame.toString();
  await client.write(`${root}/locks/a/${onlyEntry(settled).ref}`, text.slice(text.indexOf('{"v":'), text.lastIndexOf("}") + 1));
  again.release();
  const updated = settledOf(await updating);
  expect(await claimIn(coordinator, "a")).toMatchObject({ reason: "mine", revision: onlyEntry(updated).revision });
  expect(await coordinator.leave(draft.id, updated.entries, RELEASED)).toBe("done");
});
