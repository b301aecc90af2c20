// The library as other programs meet it: its example, by the package's own name, and what `withLock` promises.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { HeldClaim, Holdline, HoldlineOptions } from "../../src/index.js";
import { HoldlineError, openHoldline, SessionLostError, TimedOutError, UnreachableError } from "../../src/index.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { openFleet, openProxy, STORES } from "./fleet.js";

failOnLeaks();

const BUILT = pathToFileURL(join(import.meta.dirname, "../../dist/index.js")).href;
const EXAMPLE = join(import.meta.dirname, "../../examples/library.mjs");

describe.each(STORES)("on %s", (kind) => {
  test("the example runs", async () => {
    const { url } = await openFleet(kind);
    const { status, stdout, stderr } = spawnSync(process.execPath, [EXAMPLE, url], { encoding: "utf8", timeout: 50_000 });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toEqual([
      "holding nightly/report",
      "nightly/report: 1 holding, 0 waiting",
      "the report has 42 rows",
      "",
    ]);
  });

  test("node and person are called there as on the command line", async () => {
    const fleet = await openFleet(kind);
    vi.stubEnv("SUDO_USER", "ann");
    onTestFinished(() => void vi.unstubAllEnvs());
    const holdline = await open(fleet.url);
    const node = fleet.node("a", {}, { env: { SUDO_USER: "ann" } });
    const { stdout } = await node.run("check", "--json", "-c", "/dev/null");
    const { settings } = JSON.parse(stdout) as { readonly settings: { readonly node: string; readonly principal: string } };
    await holdline.withLock("deploy", {}, async () => {
      const [lock] = await holdline.locks();
      expect(lock?.holders[0]?.owner).toMatchObject({ node: settings.node, principal: settings.principal });
    });
  });

  test("withLock gives what the work gives, and lets go", async () => {
    const holdline = await open((await openFleet(kind)).url);
    const value = await holdline.withLock("deploy", {}, (claim) => {
      expect(claim).toMatchObject({ lock: "deploy", id: expect.any(String) as string, fencingToken: expect.any(Number) as number });
      expect(claim.lost.aborted).toBe(false);
      return Promise.resolve({ answer: 42 });
    });
    expect(value).toEqual({ answer: 42 });
    expect(await holdline.locks()).toEqual([]);
  });

  test("what the work throws comes through, and the lock is free", async () => {
    const holdline = await open((await openFleet(kind)).url);
    const broken = new Error("broken");
    await expect(holdline.withLock("deploy", {}, () => Promise.reject(broken))).rejects.toBe(broken);
    expect(await holdline.locks()).toEqual([]);
    expect(await holdline.withLock("deploy", { timeoutMs: 0 }, () => Promise.resolve("free"))).toBe("free");
  });

  test("two in one process exclude each other, and so do two calls on one", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url, { node: "one" }), await open(url, { node: "other" })];
    let holders = 0;
    const order: number[] = [];
    const work = (call: number) => async () => {
      holders += 1;
      order.push(call);
      expect(holders, "holders at once").toBe(1);
      // Others get every chance to come in.
      await one.locks();
      holders -= 1;
      return call;
    };
    const calls = Array.from({ length: 12 }, (_, call) => (call % 2 === 0 ? one : other).withLock("deploy", {}, work(call)));
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 12 }, (_, call) => call));
    expect(order.sort((a, b) => a - b)).toHaveLength(12);
    expect(await one.locks()).toEqual([]);
  });

  test("claims with one key overlap, as far as slots allow; locks() tells who holds and who waits", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url, { node: "one", principal: "ann@one" }), await open(url, { node: "other" })];
    const options = { key: "rack-1", slots: 2 };
    const first = await hold(one, "deploy", { ...options, reason: "new release", data: { ticket: 1 } });
    const second = await hold(other, "deploy", options);
    const third = other.withLock("deploy", options, () => Promise.resolve("third"));
    const [lock] = await until(async () => {
      const locks = await one.locks();
      return locks[0]?.waiting.length === 1 ? locks : null;
    }, "the third to wait");
    expect(lock).toMatchObject({
      lock: "deploy",
      holders: [
        {
          id: first.claim.id,
          state: "held",
          condition: "running",
          durable: false,
          key: "rack-1",
          slots: 2,
          reason: "new release",
          data: { ticket: 1 },
          owner: { node: "one", principal: "ann@one", action: null, process: { pid: process.pid } },
        },
        { id: second.claim.id, state: "held", owner: { node: "other" } },
      ],
      waiting: [{ state: "waiting", condition: "waiting", owner: { node: "other" } }],
    });
    await second.letGo();
    expect(await third).toBe("third");
    await first.letGo();
  });

  test("fencing tokens grow with every change of holder", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url)];
    const tokens: number[] = [];
    for (const holdline of [one, other, one, one, other]) {
      await holdline.withLock("deploy", {}, ({ fencingToken }) => Promise.resolve(void tokens.push(fencingToken)));
    }
    expect(tokens.every(Number.isSafeInteger)).toBe(true);
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
  });

  test.each([0, 100])("timeoutMs: %i ends the wait with a TimedOutError, and leaves nothing behind", async (timeoutMs) => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url)];
    const held = await hold(one, "deploy");
    const never = () => Promise.reject(new Error("the work ran"));
    const error: unknown = await within(
      other.withLock("deploy", { timeoutMs }, never).catch((reason: unknown) => reason),
      "the wait to end",
    );
    expect(error).toBeInstanceOf(TimedOutError);
    expect(error).toMatchObject({ message: `the lock deploy was not free within ${timeoutMs} ms` });
    expect((await one.locks())[0]).toMatchObject({ holders: [{ id: held.claim.id }], waiting: [] });
    await held.letGo();
    expect(await other.withLock("deploy", { timeoutMs: 20_000 }, () => Promise.resolve("free"))).toBe("free");
  });

  test("a signal ends the wait with its reason, and leaves nothing behind", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url)];
    const held = await hold(one, "deploy");
    const enough = new AbortController();
    const waiting = other.withLock("deploy", { signal: enough.signal }, () => Promise.reject(new Error("the work ran")));
    waiting.catch(() => undefined);
    await until(async () => (await one.locks())[0]?.waiting.length === 1, "the other to wait");
    const reason = new Error("enough");
    enough.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(other.withLock("deploy", { signal: enough.signal }, () => Promise.resolve())).rejects.toBe(reason);
    expect((await one.locks())[0]).toMatchObject({ holders: [{ id: held.claim.id }], waiting: [] });
    await held.letGo();
    expect(await one.locks()).toEqual([]);
  });

  test("close() ends what is still held: its claim is lost, and the next one has its turn", async () => {
    const { url } = await openFleet(kind);
    const [one, other] = [await open(url), await open(url)];
    const held = await hold(one, "deploy");
    const next = other.withLock("deploy", {}, () => Promise.resolve(held.claim.lost.aborted));
    await until(async () => (await other.locks())[0]?.waiting.length === 1, "the other to wait");
    await one.close();
    expect(await within(next, "the next one's turn"), "lost before the next one's turn").toBe(true);
    await expect(held.letGo()).rejects.toBeInstanceOf(SessionLostError);
  });

  test("what cannot be is refused by a rejection, before anything is touched", async () => {
    const holdline = await open((await openFleet(kind)).url);
    const never = () => Promise.reject(new Error("the work ran"));
    for (const attempt of [
      () => holdline.withLock("a/../b", {}, never),
      () => holdline.withLock("", {}, never),
      () => holdline.withLock("x".repeat(300), {}, never),
      () => holdline.withLock("deploy", { slots: 0 }, never),
      () => holdline.withLock("deploy", { slots: 1.5 }, never),
    ]) {
      const promise = attempt();
      await expect(promise).rejects.toBeInstanceOf(HoldlineError);
      await expect(promise).rejects.toMatchObject({ code: "usage" });
    }
    expect(await holdline.locks()).toEqual([]);
  });
});

test("on zookeeper, claim.lost is aborted before another can hold the lock, and withLock rejects", async () => {
  const fleet = await openFleet("zookeeper");
  const proxy = await openProxy();
  const one = await open(fleet.urlThrough(proxy), { sessionTimeoutMs: 6_000 });
  const other = await open(fleet.url);
  const held = await hold(one, "deploy");
  const next = other.withLock("deploy", {}, ({ fencingToken }) =>
    Promise.resolve({ lostBefore: held.claim.lost.aborted, fencingToken }),
  );
  await until(async () => (await other.locks())[0]?.waiting.length === 1, "the other to wait");
  expect(held.claim.lost.aborted).toBe(false);
  proxy.freeze();
  const { lostBefore, fencingToken } = await within(next, "the next one's turn", 30_000);
  expect(lostBefore).toBe(true);
  expect(fencingToken).toBeGreaterThan(held.claim.fencingToken);
  expect(held.claim.lost.reason).toBeInstanceOf(SessionLostError);
  await expect(held.letGo()).rejects.toBeInstanceOf(SessionLostError);
  // It goes on in a new session.
  proxy.thaw();
  expect(
    await within(
      one.withLock("deploy", {}, () => Promise.resolve("again")),
      "a new turn",
    ),
  ).toBe("again");
});

test.each([
  ["zk1:2181", "configuration", HoldlineError],
  ["zookeper://zk1:2181/x", "configuration", HoldlineError],
  ["zookeeper://127.0.0.1:1/x", "unreachable", UnreachableError],
  ["sqlite:///dev/null/x.db", "unreachable", UnreachableError],
])("openHoldline(%j) rejects: %s", async (url, code, kind) => {
  const error: unknown = await openHoldline(url, { connectTimeoutMs: 300 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(kind);
  expect(error).toMatchObject({ code });
});

async function open(url: string, options: HoldlineOptions = {}): Promise<Holdline> {
  const holdline = await openHoldline(url, { sleepTimeMs: 20, ...options });
  onTestFinished(() => holdline.close());
  return holdline;
}

/** A lock that is held until it is let go of; that gives how `withLock` ended. */
async function hold(holdline: Holdline, name: string, options: Parameters<Holdline["withLock"]>[1] = {}) {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let take: (claim: HeldClaim) => void = () => undefined;
  const taken = new Promise<HeldClaim>((resolve) => (take = resolve));
  const done = holdline.withLock(name, options, (claim) => {
    take(claim);
    return released;
  });
  // `letGo` reports a failure.
  done.catch(() => undefined);
  const claim = await within(Promise.race([taken, done]), `the lock ${name}`);
  if (claim === undefined) throw new Error("the lock was let go of at once");
  return {
    claim,
    letGo: async () => {
      release();
      await done;
    },
  };
}

test.each([
  "zookeeper://127.0.0.1:1",
  "etcd://127.0.0.1:1",
  "postgresql://a@127.0.0.1:1/b",
  "redis://127.0.0.1:1",
  "mariadb://a@127.0.0.1:1/b",
  "dynamodb://table?region=here&endpoint=http://127.0.0.1:1",
])("the built library has the client of %s", async (url) => {
  const built = (await import(BUILT)) as { readonly openHoldline: typeof openHoldline };
  vi.stubEnv("AWS_ACCESS_KEY_ID", "a");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "b");
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(built.openHoldline(url, { connectTimeoutMs: 5_000 })).rejects.toThrow(/ECONNREFUSED|refused/);
});
