// Watches that are refused, lost, under way, or too many for one request, and entries that somebody else writes to meanwhile.
import { expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, Draft, Joined } from "../../../src/locks/coordinator.js";
import { takeTurn } from "../../../src/line/turn.js";
import { watchClaim } from "../../../src/line/claim-watch.js";
import { type FaultProxy, openFaultProxy } from "../../support/fault-proxy.js";
import { openFramePacer } from "../../support/frame-pacer.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { openTamperer } from "../../support/tamperer.js";
import { until, within } from "../../support/wait.js";
import { Opcode } from "../../support/zookeeper-frames.js";
import { draftFor, idsIn, recordFor, RELEASED, TEST_OPTIONS } from "../conformance/store.js";

failOnLeaks();

const EPHEMERAL: Partial<Draft> = { settles: false };

/** A coordinator behind a proxy that the test controls, and one with a direct connection. */
async function openBeside(address: string): Promise<{ root: string; waiting: Coordinator; other: Coordinator }> {
  const { host, port } = inject("zookeeper");
  const root = freshRoot();
  const open = async (where: string): Promise<Coordinator> => {
    const coordinator = await openZooKeeper(`zookeeper://${where}${root}`, TEST_OPTIONS);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  return { root, waiting: await open(address), other: await open(`${host}:${port}`) };
}

async function openProxy(): Promise<FaultProxy> {
  const proxy = await openFaultProxy(inject("zookeeper"));
  onTestFinished(() => proxy.close());
  return proxy;
}

const refOf = ({ positions }: Joined): string => positions[0]?.ref ?? "";
const forever = (): AbortSignal => new AbortController().signal;

async function takeOut(coordinator: Coordinator, lock: string, id: string): Promise<void> {
  const [claim] = await coordinator.find(id);
  if (claim === undefined) throw new Error("it does not stand in line");
  await coordinator.withdraw([{ lock, ref: claim.ref, revision: claim.revision }]);
}

test("a waiter whose entry was removed during a broken connection, in the middle of a look, has no turn", async () => {
  const proxy = await openProxy();
  const { waiting, other } = await openBeside(proxy.address);
  const holder = draftFor("a");
  const settling = await other.join(holder);
  const mine = draftFor("a");
  const turn = takeTurn(waiting, mine, { signal: forever() });
  turn.catch(() => undefined);
  await until(() => proxy.count(Opcode.setWatches) === 1 && proxy.count(Opcode.exists) === 1, "it to watch");
  await waiting.list();
  // The look after the settle is lost with its connection, and the next one comes late.
  const lost = proxy.dropRequest(Opcode.exists);
  const next = proxy.holdRequest(Opcode.createSession);
  const settled = await other.settle(holder, settling, recordFor(holder));
  await lost;
  await next.caught;
  await takeOut(other, "a", mine.id);
  await other.leave(holder.id, settled.entries, RELEASED);
  next.release();
  await expect(within(turn, "the turn")).rejects.toMatchObject({ code: "claim-lost" });
});

test("a waiter whose session the server ends over a live connection joins anew, and does not count as taken out", async () => {
  const pacer = await openFramePacer();
  onTestFinished(() => pacer.close());
  const { waiting, other } = await openBeside(pacer.address);
  const first = await other.join(draftFor("a", EPHEMERAL));
  let rejoined = (): void => undefined;
  const anew = new Promise<void>((resolve) => (rejoined = resolve));
  const turn = takeTurn(waiting, draftFor("a", EPHEMERAL), { signal: forever(), onRejoin: () => rejoined() });
  turn.catch(() => undefined);
  await until(async () => (await idsIn(other, "a")).length === 2, "it to wait");
  pacer.keepPings();
  await Promise.race([within(anew, "it to join anew"), turn]);
  await other.withdraw(first.positions);
  expect((await within(turn, "the turn")).outcome).toBe("granted");
});

test("a waiter does not take another waiter's question about its entry for proof that the entry exists", async () => {
  const pacer = await openFramePacer();
  onTestFinished(() => pacer.close());
  const { waiting, other } = await openBeside(pacer.address);
  const holder = await other.join(draftFor("a", EPHEMERAL));
  const mine = draftFor("a");
  const own = await waiting.join(mine);
  const between = await other.join(draftFor("a", EPHEMERAL));
  const behind = await waiting.join(draftFor("a", EPHEMERAL));
  // The waiter's own entry goes first, then the holder leaves. The server reports them in the order in which it is asked.
  await takeOut(other, "a", mine.id);
  await other.withdraw(holder.positions);
  pacer.sendApart();
  const others = waiting.departed(behind, "a", [refOf(holder), refOf(own), refOf(between)], forever());
  const told = waiting.departed(own, "a", [refOf(holder)], forever());
  await expect(within(told, "the word")).rejects.toMatchObject({ code: "claim-lost" });
  await others;
});

/** ZooKeeper's error code for a request that it has no time for. Such an answer has no body. */
const THROTTLED = -127;
function refusal(reply: Buffer) {
  const send = Buffer.from(reply);
  send.writeInt32BE(THROTTLED, 4 + 4 + 8);
  return { send, cut: false };
}

test("a watch that the server refuses does not take another waiter's watch away", async () => {
  const tamperer = await openTamperer();
  const { waiting, other } = await openBeside(tamperer.address);
  const holder = await other.join(draftFor("a", EPHEMERAL));
  const [one, two] = [await waiting.join(draftFor("a", EPHEMERAL)), await waiting.join(draftFor("a", EPHEMERAL))];
  tamperer.breakNextReply(refusal);
  const refused = waiting.departed(one, "a", [refOf(holder)], forever());
  const told = waiting.departed(two, "a", [refOf(holder)], forever());
  await expect(within(refused, "the refusal")).rejects.toMatchObject({ code: "unreachable" });
  await waiting.list();
  await other.withdraw(holder.positions);
  expect(await within(told, "the other to be told")).toEqual([refOf(holder)]);
});

test("a holder whose watch over its own claim is refused counts its claim as lost", async () => {
  const tamperer = await openTamperer();
  const { waiting } = await openBeside(tamperer.address);
  const held = await waiting.join(draftFor("a", EPHEMERAL));
  tamperer.breakNextReply(refusal);
  const watch = watchClaim(waiting, held);
  onTestFinished(() => watch.close());
  await until(() => watch.lost.aborted, "the holder to be told");
  expect(watch.lost.reason).toMatchObject({ code: "unreachable" });
});

test("entries too many for one request are watched with several", async () => {
  const proxy = await openProxy();
  const { waiting, other } = await openBeside(proxy.address);
  // Each letter takes six bytes of the path.
  const lock = "ü".repeat(127);
  const slots = 1_300;
  const ahead: Joined[] = [];
  while (ahead.length < slots)
    ahead.push(...(await Promise.all(Array.from({ length: 100 }, () => other.join(draftFor(lock, { ...EPHEMERAL, slots }))))));
  const mine = await waiting.join(draftFor(lock, { ...EPHEMERAL, slots }));
  const connections = proxy.count(Opcode.createSession);
  const told = waiting.departed(mine, lock, ahead.map(refOf), forever());
  await other.withdraw((ahead[0] as Joined).positions);
  expect(await within(told, "the departure")).toEqual([refOf(ahead[0] as Joined)]);
  expect(proxy.count(Opcode.createSession)).toBe(connections);
});

test("an entry is withdrawn even if somebody writes to it meanwhile", async () => {
  const proxy = await openProxy();
  const { root, waiting } = await openBeside(proxy.address);
  const plain = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => plain.close());
  const joined = await waiting.join(draftFor("a", EPHEMERAL));
  const path = `${root}/locks/a/${refOf(joined)}`;
  await plain.write(path, "once");
  const [first, second] = [proxy.holdRequest(Opcode.delete), proxy.holdRequest(Opcode.delete)];
  const withdrawn = waiting.withdraw(joined.positions);
  await first.caught;
  first.release();
  await second.caught;
  await plain.write(path, "twice");
  second.release();
  await withdrawn;
  expect(await idsIn(waiting, "a")).toEqual([]);
});

test("a claim that somebody writes to before its settle is known counts as settled, and as changed", async () => {
  const proxy = await openProxy();
  const { root, waiting } = await openBeside(proxy.address);
  const plain = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => plain.close());
  const draft = draftFor("a");
  const joined = await waiting.join(draft);
  const lost = proxy.dropReply(Opcode.multi);
  const next = proxy.holdRequest(Opcode.createSession);
  const settling = waiting.settle(draft, joined, recordFor(draft));
  await lost;
  await next.caught;
  await plain.write(`${root}/locks/a/${refOf(joined)}`, "not a claim of ours any more");
  next.release();
  const { entries } = await within(settling, "the claim to be settled");
  expect(await waiting.leave(draft.id, entries, RELEASED)).toBe("changed");
});
