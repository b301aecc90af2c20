// When a turn may begin, and when a lost session is replaced, over the in-memory store with time moved by hand.
import { expect, test } from "vitest";
import { draftFor, recordFor, RELEASED, settledOf, takeDurably, TEST_OPTIONS } from "../../src/conformance/drafts.js";
import { openEngine, type QueueEngine } from "../../src/queue/engine.js";
import type { Joined } from "../../src/locks/coordinator.js";
import { ReplyLostError } from "../../src/queue/store.js";
import { createMemoryStore } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import { HandTimers } from "./hand-timers.js";

const SESSION_TIMEOUT_MS = 10_000;

interface Stage {
  readonly timers: HandTimers;
  readonly server: MemoryServer;
  readonly engine: QueueEngine;
  /** What the engine has asked of the store, in order. */
  readonly asked: string[];
  /** What happens to the answers to an operation: they come after this. */
  readonly holdUp: Map<string, Promise<unknown>>;
}

async function open(): Promise<Stage> {
  const timers = new HandTimers();
  const server = new MemoryServer({ now: () => timers.uptimeMs(), after: timers.after, putsAway: true });
  const asked: string[] = [];
  const holdUp = new Map<string, Promise<unknown>>();
  const store = createMemoryStore(server, async ({ operation }, effect) => {
    asked.push(operation);
    const outcome = effect();
    await holdUp.get(operation);
    return outcome;
  });
  const engine = await openEngine(store, { ...TEST_OPTIONS, sessionTimeoutMs: SESSION_TIMEOUT_MS, timers });
  return { timers, server, engine, asked, holdUp };
}

test("a turn begins only in a session that the store has confirmed lately", async () => {
  const { timers, engine, asked, holdUp } = await open();
  const joined = await engine.join(draftFor("web", { settles: false }));
  asked.length = 0;
  await engine.confirm(joined);
  expect(asked).toEqual([]);

  // The answers to the renewals by the clock do not come for six tenths of the timeout.
  holdUp.set("renew", new Promise(() => undefined));
  await timers.pass(0.6 * SESSION_TIMEOUT_MS);
  holdUp.clear();
  asked.length = 0;
  await engine.confirm(joined);
  expect(asked).toEqual(["renew"]);
  await engine.close();
});

test("a turn does not begin in a session that the store has ended meanwhile", async () => {
  const { timers, server, engine, holdUp } = await open();
  const joined = await engine.join(draftFor("web", { settles: false }));
  holdUp.set("renew", new Promise(() => undefined));
  await timers.pass(0.6 * SESSION_TIMEOUT_MS);
  holdUp.clear();
  server.expireSession(joined.session.id);
  await expect(engine.confirm(joined)).rejects.toMatchObject({ message: "the store has ended the session" });
  await engine.close();
});

test("the first renewal is counted from when the session was asked for, however late it was given", async () => {
  const { timers, engine, holdUp } = await open();
  let answer: () => void = () => undefined;
  holdUp.set("openSession", new Promise<void>((resolve) => (answer = resolve)));
  const joining = engine.join(draftFor("web"));
  await timers.pass(SESSION_TIMEOUT_MS / 2);
  answer();
  const { session } = await joining;
  await timers.pass(SESSION_TIMEOUT_MS);
  expect(session.lost.aborted).toBe(false);
  await engine.close();
});

test("a lost session is replaced at once for a claim in hand, and not for one that has ended", async () => {
  const { timers, server, engine, asked } = await open();
  const { draft, settled } = await takeDurably(engine, "web");
  const openedAfterLoss = async (): Promise<number> => {
    // What is held in it may still be being stopped, so that a new one is not needed to end it.
    const joined = await holdEphemerally(engine);
    server.expireSession(joined.session.id);
    asked.length = 0;
    await timers.pass(SESSION_TIMEOUT_MS);
    return asked.filter((operation) => operation === "openSession").length;
  };
  expect(await openedAfterLoss()).toBe(1);
  await engine.leave(draft.id, settled.entries, RELEASED);
  expect(await openedAfterLoss()).toBe(0);
  await engine.close();
});

test("a claim that was adopted in a session which has ended is seen to live by the next one", async () => {
  const { timers, server, engine, holdUp } = await open();
  const { draft, settled } = await takeDurably(engine, "web");
  const lost = Promise.reject(new ReplyLostError("lost"));
  lost.catch(() => undefined);
  holdUp.set("adopt", lost);
  const adopting = engine.adopt(draft.id, settled.entries, recordFor(draft));
  await timers.pass(0);
  holdUp.clear();
  server.expireSession(engine.session?.id as string);
  await timers.pass(SESSION_TIMEOUT_MS);
  const adopted = settledOf(await adopting);
  expect(server.queueOf("web").map(({ session, token }) => [server.lives(session), token])).toEqual([[true, adopted.fencingToken]]);
  await engine.close();
});

async function holdEphemerally(engine: QueueEngine): Promise<Joined> {
  const joined = await engine.join(draftFor("db", { settles: false }));
  await engine.confirm(joined);
  return joined;
}
