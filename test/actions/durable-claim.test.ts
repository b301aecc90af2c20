// A release that gives up at its own timeout, and not when the store's patience is over.
import { expect, inject, onTestFinished, test } from "vitest";
import { DurableClaim } from "../../src/actions/durable-claim.js";
import { createClock } from "../../src/line/clock.js";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import { mentions, openFaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshRoot } from "../support/roots.js";
import { Opcode } from "../support/zookeeper-frames.js";
import { claimIn, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../coordinators/conformance/store.js";

failOnLeaks();

test.each(["who has ended the claim", "what has become of the claim"] as const)(
  "a store that falls silent when it is asked %s does not hold up a release",
  async (question) => {
    const proxy = await openFaultProxy(inject("zookeeper"));
    onTestFinished(() => proxy.close());
    const root = freshRoot();
    const { host, port } = inject("zookeeper");
    const [own, other] = await Promise.all(
      [proxy.address, `${host}:${port}`].map(async (address) => {
        const coordinator = await openZooKeeper(`zookeeper://${address}${root}`, TEST_OPTIONS);
        onTestFinished(() => coordinator.close());
        return coordinator;
      }),
    );
    if (own === undefined || other === undefined) throw new Error("two were opened");
    const { draft, settled } = await takeDurably(own, "db");
    const isEnded = question === "who has ended the claim";
    if (isEnded) await other.leave(draft.id, [await claimIn(other, "db")], { event: "cleared", by: "admin", reason: null });
    else settledOf(await other.update(draft.id, settled, recordFor(draft, { data: 1 })));
    let timeOut = (): void => undefined;
    const clock = { ...createClock(), sleep: () => new Promise<void>((resolve) => (timeOut = resolve)) };
    const taken = { id: draft.id, lock: "db", settled, record: recordFor(draft) };
    const claim = new DurableClaim(own, taken, { clock, releaseTimeoutMs: 1 });
    const silent = proxy.holdReply({ operation: Opcode.getChildren, where: mentions(isEnded ? "/history" : "/locks/db") });
    const releasing = claim.release(RELEASED);
    await silent.caught;
    timeOut();
    expect(await releasing).toMatchObject({ outcome: "unreachable" });
    silent.release();
  },
);
