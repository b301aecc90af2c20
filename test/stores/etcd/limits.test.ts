// What etcd itself bounds and does: transactions, sizes, leases, compaction, space; and prefixes that are somebody else's.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { claimIn, draftFor, recordFor, settledOf, takeDurably, TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { StoreChange } from "../../../src/queue/store.js";
import { createEndpoint } from "../../../src/stores/etcd/wire/endpoint.js";
import { Links } from "../../../src/stores/etcd/wire/links.js";
import type { Transaction, TransactionResponse } from "../../../src/stores/etcd/wire/messages.js";
import { MessageWriter } from "../../../src/stores/etcd/wire/protobuf.js";
import { Wire } from "../../../src/stores/etcd/wire/wire.js";
import { mentions, openFramedProxy } from "../../support/framed-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshId, freshRoot } from "../../support/roots.js";
import { type EtcdCluster, startEtcd } from "../../support/servers/etcd.js";
import { ETCD_PROTOCOL } from "./framer.js";
import { until } from "../../support/wait.js";
import { openings } from "./opened.js";
import { freshUrl, runServer } from "./place.js";

/** Does something to a server as any other program might. */
async function asAnother<T>(server: { readonly host: string; readonly port: number }, act: (wire: Wire) => Promise<T>): Promise<T> {
  const endpoints = [createEndpoint(server, null)];
  const links = new Links({ ...TEST_OPTIONS, endpoints, credentials: null });
  try {
    return await act(new Wire(links));
  } finally {
    links.close();
  }
}

const put = (key: string, value: string): Transaction => ({ compares: [], success: [{ put: { key, value } }] });
const commit = (transaction: Transaction) => asAnother(runServer(), (wire) => wire.transact(transaction));

describe.skipIf(inject("etcd").missing !== null)("etcd", () => {
  failOnLeaks();
  const open = openings();

  describe("a transaction", () => {
    test("takes a claim on as many locks as is said, with names and a record at their limits", async () => {
      const engine = await open.engine(freshUrl());
      const locks = Array.from(
        { length: engine.traits.maxLocks },
        (_, index) => `${String(index).padStart(3, "0")}${"ä%".repeat(84)}`,
      );
      const draft = draftFor(locks, { data: "x".repeat(20_000) });
      const joined = await engine.join(draft);
      const settled = await engine.settle(draft, joined, recordFor(draft));
      expect(settled.entries).toHaveLength(locks.length);
      const adopted = settledOf(await engine.adopt(draft.id, settled.entries, recordFor(draft)));
      const updated = settledOf(await engine.update(draft.id, adopted, recordFor(draft, { reason: "noted" })));
      const ending = { event: "released", by: "ann", reason: null } as const;
      const documents = [{ name: "nodes/web-01", value: "{}", revision: 0 }];
      expect(await engine.leave(draft.id, updated.entries, ending, undefined, documents)).toBe("done");
      expect(await engine.list()).toEqual([]);
      expect(await engine.history(null, 100)).toHaveLength(locks.length);
    });

    test("with more locks than that is refused in words, and leaves nothing", async () => {
      const engine = await open.engine(freshUrl());
      const locks = Array.from({ length: 44 }, (_, index) => `lock ${index}`);
      const joining = engine.join(draftFor(locks));
      await expect(joining).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("more steps") as string });
      expect(await engine.list()).toEqual([]);
    });

    test("that is larger than etcd takes is refused in words, and leaves nothing", async () => {
      const engine = await open.engine(freshUrl());
      const joining = engine.join(draftFor("a", { data: "x".repeat(1_600_000) }));
      await expect(joining).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("larger than") as string });
      expect(await engine.list()).toEqual([]);
    });
  });

  describe("a session", () => {
    test("of an earlier epoch commits nothing, however late it arrives", async () => {
      const url = freshUrl();
      const [store, other] = [await open.store(url), await open.store(url)];
      const id = await store.openSession(10_000);
      const append = (epoch: number) =>
        ({ do: "append", lock: "a", claim: freshId(), session: { id, epoch }, key: null, slots: 1, record: "{}" }) as const;
      expect(await other.renew({ id, epoch: 2 })).toBe(true);
      expect(await store.commit([append(1)])).toEqual({ isDone: false, step: 0, why: "no-session" });
      // An epoch is never lowered.
      expect(await other.renew({ id, epoch: 1 })).toBe(true);
      expect(await store.commit([append(1)])).toEqual({ isDone: false, step: 0, why: "no-session" });
      expect(await store.commit([append(2)])).toMatchObject({ isDone: true });
    });

    test("that has ended is renewed by nobody, and what it settled shows that its process is gone", async () => {
      const url = freshUrl();
      const [engine, other] = [await open.engine(url), await open.store(url)];
      const { settled } = await takeDurably(engine, "a");
      const [place] = (await other.line("a")).places;
      const id = place?.session ?? "";
      expect(place).toMatchObject({ durable: true, isSessionAlive: true });
      await other.commit([{ do: "end", session: id, isEnded: false }]);
      expect(await other.renew({ id, epoch: 9 })).toBe(false);
      // The engine puts a new session in its place, which is no change of the entry.
      await until(async () => ((await other.line("a")).places[0]?.session ?? id) !== id, "another session to own the claim");
      expect((await other.line("a")).places[0]).toMatchObject({ isSessionAlive: true, revision: settled.entries[0]?.revision });
    });

    test("that has ended is replaced for more claims than one transaction takes", async () => {
      const url = freshUrl();
      const [engine, other] = [await open.engine(url), await open.store(url)];
      const locks = Array.from({ length: 140 }, (_, index) => `lock ${index}`);
      await Promise.all(locks.map((lock) => takeDurably(engine, lock)));
      const former = engine.session?.id as string;
      await other.commit([{ do: "end", session: former, isEnded: false }]);
      const areOwned = async (): Promise<boolean> => {
        const lines = await Promise.all(locks.map((lock) => other.line(lock)));
        return lines.every(({ places: [place] }) => place?.isSessionAlive === true && place.session !== former);
      };
      await until(areOwned, "another session to own all of them");
    });

    test("ends by itself when it is not renewed, and what waited in it leaves the line", async () => {
      const store = await open.store(freshUrl());
      const session = { id: await store.openSession(store.traits.minSessionMs), epoch: 0 };
      const changes: StoreChange[] = [];
      const append = { do: "append", lock: "a", claim: freshId(), session, key: null, slots: 1, record: "{}" } as const;
      expect(await store.commit([append])).toMatchObject({ isDone: true });
      const feed = await store.watch("a", (change) => changes.push(change));
      await until(() => changes.length > 0, { what: "the line to move", deadlineMs: 20_000 });
      expect(changes).toMatchObject([{ lock: "a" }]);
      expect((await store.line("a")).places).toEqual([]);
      expect(await store.renew(session)).toBe(false);
      feed.close();
    });
  });

  test("what is compacted away between the two requests of a read is read anew", async () => {
    const server = runServer();
    const proxy = await openFramedProxy(ETCD_PROTOCOL, server);
    try {
      const root = freshRoot();
      const engine = await open.engine(`etcd://${proxy.address}${root}`);
      const other = await open.engine(`etcd://${server.host}:${server.port}${root}`);
      const { draft } = await takeDurably(other, "a");
      const second = proxy.holdRequest({ operation: "other", where: mentions("/claims/") });
      const reading = engine.queue("a");
      await second.caught;
      const { settled } = await takeDurably(other, "b");
      await asAnother(server, async ({ links }) => {
        const compaction = new MessageWriter().integer(1, settled.fencingToken).finish();
        await (await links.current()).call("KV/Compact", compaction);
      });
      second.release();
      expect((await reading).map(({ id }) => id)).toEqual([draft.id]);
    } finally {
      await proxy.close();
    }
  });

  describe("a prefix", () => {
    const opened = async (root: string): Promise<unknown> => {
      const { host, port } = runServer();
      return open.engine(`etcd://${host}:${port}${root}`);
    };

    test("that another program uses is refused, and is left as it is", async () => {
      const root = freshRoot();
      await commit(put(`${root}/registry/pods`, "x"));
      const message = expect.stringContaining(
        `${root} of the etcd cluster is used by another program: it has the key ${root}/registry`,
      ) as string;
      await expect(opened(root)).rejects.toMatchObject({ code: "configuration", message });
      const all: TransactionResponse = await commit({ compares: [], success: [{ range: { key: `${root}/`, end: `${root}0` } }] });
      expect(all.responses[0]?.pairs.map(({ key }) => key)).toEqual([`${root}/registry/pods`]);
    });

    test.each([
      ["that has a root of another program", "their own words", "its key"],
      ["that has a root of another kind", JSON.stringify({ kind: "zookeeper", layout: 1, id: "x" }), "is not Holdline's"],
      ["in another layout", JSON.stringify({ kind: "holdline", layout: 2, id: "x" }), "has the layout 2 of another version"],
    ])("%s is refused in words", async (_, value, words) => {
      const root = freshRoot();
      await commit(put(`${root}/root`, value));
      await expect(opened(root)).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining(words) as string,
      });
    });

    test("has a name of its own, by whichever URL it is reached; two prefixes are two roots", async () => {
      const { host, port } = runServer();
      const root = freshRoot();
      const [one, same] = [
        await open.engine(`etcd://${host}:${port}${root}`),
        await open.engine(`etcd://localhost:${port}${root}/`),
      ];
      const inner = await open.engine(`etcd://${host}:${port}${root}-b`);
      expect(same.store).toBe(one.store);
      expect(inner.store).not.toBe(one.store);
      await takeDurably(one, "a");
      expect(await inner.list()).toEqual([]);
      expect(await same.list()).toEqual(["a"]);
    });

    test("that is taken as it is found is not made", async () => {
      const root = freshRoot();
      const { host, port } = runServer();
      const engine = await open.engine(`etcd://${host}:${port}${root}`, { isAsFound: true });
      expect(await engine.list()).toEqual([]);
      const all = await commit({ compares: [], success: [{ range: { key: `${root}/`, end: `${root}0` } }] });
      expect(all.responses[0]?.pairs).toEqual([]);
    });
  });

  describe("a cluster that is out of space", () => {
    let cluster: EtcdCluster;

    beforeAll(async () => {
      cluster = await startEtcd({ options: ["--quota-backend-bytes", "1000000"] });
    });
    afterAll(() => cluster.close());

    test("says so; a release needs none, and reads go on", async () => {
      const url = `etcd://${cluster.address}${freshRoot()}`;
      const engine = await open.engine(url);
      const { draft, settled } = await takeDurably(engine, "a");
      const [member] = cluster.members;
      const filling = asAnother(member as { host: string; port: number }, async (wire) => {
        for (let index = 0; ; index += 1) await wire.transact(put(`/filling/${index}`, "x".repeat(200_000)));
      });
      await expect(filling).rejects.toThrow("out of space");
      const refused = { code: "not-allowed", message: expect.stringContaining("out of space") as string };
      await expect(engine.join(draftFor("b"))).rejects.toMatchObject({
        ...refused,
        hint: expect.stringContaining("alarm disarm") as string,
      });
      expect((await engine.examine?.())?.findings).toContainEqual(expect.objectContaining({ severity: "error", ...refused }));
      expect(await claimIn(engine, "a")).toMatchObject({ id: draft.id });
      expect(await engine.leave(draft.id, settled.entries, { event: "released", by: "ann", reason: null })).toBe("done");
      expect(await engine.list()).toEqual([]);
    });
  });
});
