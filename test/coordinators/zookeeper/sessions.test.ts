// When a session counts as alive, as confirmed and as lost, by a clock that the test moves, over real connections.
import { expect, inject, onTestFinished, test } from "vitest";
import { isFromLeader } from "../../../src/coordinators/zookeeper/wire/protocol.js";
import { ZkSession } from "../../../src/coordinators/zookeeper/session.js";
import { SessionLostError } from "../../../src/locks/errors.js";
import { UPTIME_ERROR_MS } from "../../../src/uptime.js";
import { openFaultProxy } from "../../support/fault-proxy.js";
import { failOnLeaks } from "../../support/leaks.js";
import { isPending, until, within } from "../../support/wait.js";
import { expireSession, Opcode, type SessionCredentials } from "../../support/zookeeper-frames.js";
import { TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const TIMEOUT_MS = 4_000;
const START = 1_000_000;
/** Longer than the pause between a leader's pings to its followers. */
const PAUSE_MS = TIMEOUT_MS / 4 + UPTIME_ERROR_MS + 1;

/** A connected session whose time passes only when the test says so. */
async function openSession(sessionTimeoutMs = TIMEOUT_MS) {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  const time = { now: START };
  const { host, port } = proxy;
  const address = { servers: [{ host, port }], root: "/", tls: null, login: null };
  const options = { ...TEST_OPTIONS, sessionTimeoutMs, clock: () => time.now };
  const session = new ZkSession(address, options, () => undefined);
  onTestFinished(() => session.close());
  await session.connected();
  const lost = new Promise<void>((resolve) => session.lost.addEventListener("abort", () => resolve(), { once: true }));
  return { proxy, session, time, confirmations: session.wire.confirmations, lost: within(lost, "the session to be lost") };
}

test("a ping keeps a session alive as of its sending, even if the answer is late", async () => {
  const { proxy, session, time, confirmations, lost } = await openSession();
  const ping = proxy.holdReply(Opcode.ping);
  await ping.caught;
  const arrivesAt = (time.now += TIMEOUT_MS * 0.6);
  ping.release();
  await until(() => session.wire.heardAt === arrivesAt, "the answer to arrive");
  expect(confirmations.answeredAt).toBe(START);
  expect(session.lost.aborted).toBe(false);
  // The server was heard lately, but only with the answer to an old request.
  time.now += TIMEOUT_MS * 0.25;
  await lost;
});

test("a session is lost by the timeout that the server has granted, even if it is shorter than requested", async () => {
  const { session, time, lost } = await openSession(600_000);
  expect(session.wire.sessionTimeoutMs).toBe(60_000);
  expect(session.heldUntil()).toBe(START + 60_000);
  time.now += 49_000;
  await lost;
});

test("reads and pings confirm nothing; a write confirms as of the last request that the leader must have heard of", async () => {
  const { session, time, confirmations } = await openSession();
  const { wire } = session;
  const readAt = (time.now += 10);
  await wire.exists("/");
  expect(confirmations).toMatchObject({ answeredAt: readAt, confirmedAt: START });
  time.now += 10;
  // The leader may not have heard of the read yet.
  await wire.confirm();
  expect(confirmations.confirmedAt).toBe(START);
  time.now += PAUSE_MS;
  await wire.exists("/");
  expect(confirmations.confirmedAt).toBe(START);
  await wire.confirm();
  expect(confirmations.confirmedAt).toBe(readAt);
  expect(session.heldUntil()).toBe(readAt + TIMEOUT_MS);
});

test("a refused write confirms as well; an error of one server, or of a session that is over, does not", () => {
  expect([0, -101, -103, -110].every(isFromLeader)).toBe(true);
  expect([-4, -6, -112, -118, -127].some(isFromLeader)).toBe(false);
});

test("a session on a new connection is not confirmed before its first write", async () => {
  const { proxy, session, time, confirmations } = await openSession();
  const cutAt = (time.now += 100);
  await proxy.cut();
  await until(() => session.connections === 2 && session.isUsable, "the session to be taken up again");
  expect(confirmations).toMatchObject({ answeredAt: cutAt, confirmedAt: START });
  await session.wire.confirm();
  expect(confirmations.confirmedAt).toBe(cutAt);
});

test("a session with a claim in hand is confirmed again and again, and at once after a gap", async () => {
  const { proxy, session, time } = await openSession();
  session.hold("a claim");
  await session.wire.exists("/");
  for (let round = 0; round < 2; round += 1) {
    const asked = proxy.seen(Opcode.multi);
    time.now += PAUSE_MS;
    await within(asked, "the ensemble to be asked");
    await session.wire.exists("/");
  }
  const asked = proxy.seen(Opcode.multi);
  time.now += TIMEOUT_MS / 8;
  await within(asked, "the ensemble to be asked after the gap");
  session.letGo("a claim");
  const unasked = proxy.seen(Opcode.multi);
  time.now += PAUSE_MS;
  await within(proxy.seen(Opcode.ping), "a ping");
  expect(await isPending(unasked)).toBe(true);
});

test("after the machine has slept for most of the timeout the session is lost, whatever the server says", async () => {
  const { session, time, lost } = await openSession();
  session.hold("a claim");
  time.now += TIMEOUT_MS * 0.8;
  await lost;
  expect(session.heldUntil()).toBeGreaterThan(time.now);
});

test("the ensemble confirms a grant after a long wait", async () => {
  const { proxy, session, time } = await openSession();
  await session.confirm();
  expect(proxy.count(Opcode.multi), "a session that is fresh").toBe(0);
  time.now += TIMEOUT_MS * 0.5;
  await session.wire.exists("/");
  time.now += PAUSE_MS;
  const asked = proxy.holdRequest(Opcode.multi);
  const confirming = session.confirm();
  await asked.caught;
  expect(await isPending(confirming)).toBe(true);
  asked.release();
  await within(confirming, "the session to be confirmed");
  expect(session.isFresh).toBe(true);
});

test("a grant in a session that has ended is refused", async () => {
  const { proxy, session, time } = await openSession();
  time.now += TIMEOUT_MS * 0.65;
  await expireSession(inject("zookeeper"), proxy.sessions.at(-1) as SessionCredentials);
  await expect(within(session.confirm(), "the end of the session")).rejects.toBeInstanceOf(SessionLostError);
});
