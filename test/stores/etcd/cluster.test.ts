// A cluster of three: what a member's death, its freezing and everybody's restart do to those who hold and wait.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { claimIn, draftFor, only, RELEASED, takeDurably } from "../../../src/conformance/drafts.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { freshRoot } from "../../support/roots.js";
import { type EtcdCluster, type EtcdMember, startEtcd } from "../../support/servers/etcd.js";
import { until } from "../../support/wait.js";
import { openings } from "./opened.js";

// An election takes a second or two, and longer on a busy machine: what is tried is not how long.
const PATIENT = { sessionTimeoutMs: 15_000, connectTimeoutMs: 30_000 };

describe.skipIf(inject("etcd").missing !== null)("three members", () => {
  let cluster: EtcdCluster;
  const open = openings();

  beforeAll(async () => {
    cluster = await startEtcd({ members: 3 });
  });
  afterAll(() => cluster.close());

  /** The member that an engine is connected to, and whether it leads. */
  const memberOf = async (engine: QueueEngine): Promise<{ member: EtcdMember; leads: boolean }> => {
    const { facts } = (await engine.examine?.()) ?? { facts: {} };
    const [, port, leads] = /:(\d+)( \(leads\))?$/.exec(String(facts["member"])) ?? [];
    const member = cluster.members.find((one) => String(one.port) === port) as EtcdMember;
    return { member, leads: leads !== undefined };
  };

  const leader = async (root: string): Promise<EtcdMember> => {
    const found = await Promise.all(
      cluster.members.map(async ({ host, port }) => memberOf(await open.engine(`etcd://${host}:${port}${root}`))),
    );
    return found.find(({ leads }) => leads)?.member as EtcdMember;
  };

  test("the leader is killed: holder and waiter go on, and the hand-off comes", async () => {
    const root = freshRoot();
    const url = `etcd://${cluster.address}${root}`;
    const [holder, waiter] = [await open.engine(url, PATIENT), await open.engine(url, PATIENT)];
    const { draft, settled } = await takeDurably(holder, "a");
    const waiting = await waiter.join(draftFor("a"));
    const departed = waiter.departed(waiting, "a", [settled.entries[0]?.ref ?? ""]);
    const { process } = await leader(root);
    await process.kill();
    try {
      expect(await holder.leave(draft.id, settled.entries, RELEASED)).toBe("done");
      expect(await departed).toEqual([settled.entries[0]?.ref]);
      const next = draftFor("a");
      expect((await waiter.position(only(waiting))).ahead).toEqual([]);
      expect(only(await holder.join(next)).ahead.map(({ ref }) => ref)).toEqual([only(waiting).ref]);
    } finally {
      await process.restart();
    }
  });

  test("a member is frozen: those who are connected to it go on at another, in the same session", async () => {
    const root = freshRoot();
    const engine = await open.engine(`etcd://${cluster.address}${root}`, { sessionTimeoutMs: 8_000 });
    const joined = await engine.join(draftFor("a"));
    const { member } = await memberOf(engine);
    await member.process.freeze();
    try {
      const { id } = joined.session;
      // Two renewals later the session has been confirmed by another member.
      const before = joined.session.heldUntil();
      await until(() => joined.session.heldUntil() > before + 6_000, "the session to be confirmed at another member");
      expect(joined.session.lost.aborted).toBe(false);
      expect(engine.session?.id).toBe(id);
      expect((await memberOf(engine)).member.port).not.toBe(member.port);
      expect((await engine.queue("a")).map(({ ref }) => ref)).toEqual([only(joined).ref]);
    } finally {
      member.process.thaw();
    }
  });

  test("a watch on a frozen member's connection is opened anew elsewhere, and tells that it may have missed something", async () => {
    const root = freshRoot();
    const url = `etcd://${cluster.address}${root}`;
    const [watcher, other] = [await open.engine(url), await open.engine(url)];
    const changes: unknown[] = [];
    const watch = await watcher.watch((change) => changes.push(change));
    const { member } = await memberOf(watcher);
    await member.process.freeze();
    try {
      await watcher.sync();
      await until(() => changes.includes(null), "the watch to say that it has missed something");
      await takeDurably(other, "a");
      await watch.caughtUp();
      expect(changes.some((change) => change !== null && (change as { locks: Set<string> }).locks.has("a"))).toBe(true);
    } finally {
      member.process.thaw();
      watch.close();
    }
  });

  test("all members are killed and come back: claims are there, settled ones with their tokens, and the line moves on", async () => {
    const root = freshRoot();
    const url = `etcd://${cluster.address}${root}`;
    const [holder, waiter] = [await open.engine(url, PATIENT), await open.engine(url, PATIENT)];
    const { draft, settled } = await takeDurably(holder, "a");
    await Promise.all(cluster.members.map(({ process }) => process.kill()));
    await Promise.all(cluster.members.map(({ process }) => process.launch()));
    await Promise.all(cluster.members.map(({ process }) => process.serving()));
    expect(await claimIn(waiter, "a")).toMatchObject({ id: draft.id, durable: true, fencingToken: settled.fencingToken });
    const waiting = await waiter.join(draftFor("a"));
    expect(await holder.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await waiter.departed(waiting, "a", [settled.entries[0]?.ref ?? ""])).toHaveLength(1);
  });

  test("without a majority nothing is done, and everybody is told so in time", async () => {
    const root = freshRoot();
    const engine = await open.engine(`etcd://${cluster.address}${root}`, { connectTimeoutMs: 3_000 });
    const [first, second] = cluster.members as readonly [EtcdMember, EtcdMember];
    await Promise.all([first.process.kill(), second.process.kill()]);
    try {
      await expect(engine.queue("a")).rejects.toMatchObject({ code: "unreachable" });
    } finally {
      await Promise.all([first.process.launch(), second.process.launch()]);
      await Promise.all([first.process.serving(), second.process.serving()]);
    }
    const answers = async (): Promise<boolean> => (await engine.queue("a").catch(() => null)) !== null;
    await until(answers, { what: "the cluster to answer again", deadlineMs: 30_000 });
  });
});
