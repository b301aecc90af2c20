// A session counts from when it was asked for, never from when the answer came: the store may have counted from then.
import { expect, test } from "vitest";
import { EngineSession } from "../../src/queue/session.js";
import { HandTimers } from "./hand-timers.js";

const TIMEOUT_MS = 10_000;

async function openedLate(): Promise<{ readonly timers: HandTimers; readonly session: EngineSession }> {
  const timers = new HandTimers();
  const askedAt = timers.uptimeMs();
  await timers.pass(2_000);
  return { timers, session: new EngineSession("s1", TIMEOUT_MS, askedAt, timers) };
}

test("a session is held for its timeout from when it was asked for", async () => {
  const { session } = await openedLate();
  expect(session.heldUntil()).toBe(TIMEOUT_MS);
});

test("a session of which nothing is heard is lost a fifth of its timeout before the store may end it", async () => {
  const { timers, session } = await openedLate();
  await timers.pass(5_999);
  expect(session.lost.aborted).toBe(false);
  await timers.pass(1);
  expect(session.lost.reason).toMatchObject({ message: "the store has not answered for 8000 ms" });
});

test("a confirmed session is watched over from then on", async () => {
  const { timers, session } = await openedLate();
  session.confirmed(2_000);
  expect(session.heldUntil()).toBe(2_000 + TIMEOUT_MS);
  await timers.pass(7_999);
  expect(session.lost.aborted).toBe(false);
  await timers.pass(1);
  expect(session.lost.aborted).toBe(true);
});

test("an answer that was overtaken by a later one takes nothing back", async () => {
  const { session } = await openedLate();
  session.confirmed(2_000);
  session.confirmed(1_000);
  expect(session.heldUntil()).toBe(2_000 + TIMEOUT_MS);
});

test("a session can be begun with for six tenths of its timeout", async () => {
  const { timers, session } = await openedLate();
  await timers.pass(3_999);
  expect(session.isFresh).toBe(true);
  await timers.pass(1);
  expect(session.isFresh).toBe(false);
});

test("while something is held, the loss is noticed within a fortieth of the timeout after the machine has slept", async () => {
  const { timers, session } = await openedLate();
  session.hold("entry");
  timers.sleep(7_000);
  expect(session.lost.aborted).toBe(false);
  await timers.pass(TIMEOUT_MS / 40);
  expect(session.lost.aborted).toBe(true);
});

test("what is sent in a new epoch is told from all before", async () => {
  const { session } = await openedLate();
  const before = session.ref;
  expect(session.nextEpoch()).toEqual({ id: "s1", epoch: before.epoch + 1 });
  expect(session.ref.epoch).toBe(before.epoch + 1);
});

test("a session that lives as long as its process is never lost by silence", async () => {
  const timers = new HandTimers();
  const session = new EngineSession("s1", Number.POSITIVE_INFINITY, 0, timers);
  await timers.pass(1e9);
  expect([session.lost.aborted, session.isFresh, session.heldUntil()]).toEqual([false, true, Number.POSITIVE_INFINITY]);
});
