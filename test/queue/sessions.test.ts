// What the queue engine does about requests that arrive late, and about sessions that others depend on: over an in-memory store whose
// messages the test holds back or loses.
import { expect, onTestFinished, test } from "vitest";
import { ClosedError, SessionLostError } from "../../src/locks/errors.js";
import { openEngine, type QueueEngine } from "../../src/queue/engine.js";
import { ReplyLostError } from "../../src/queue/store.js";
import { createMemoryStore, type Request } from "../../src/stores/memory/index.js";
import { MemoryServer } from "../../src/stores/memory/server.js";
import {
  draftFor,
  RELEASED,
  recordFor,
  settledOf,
  takeDurably,
  TEST_OPTIONS,
  TEST_TIMERS,
} from "../coordinators/conformance/store.js";
import { until } from "../support/wait.js";

/** A request that the store has not had yet. */
interface Caught {
  /** Has it arrive. Nobody hears of that where its sender was told that it was lost. */
  arrive(): void;
  lose(): void;
}

interface Trap {
  readonly operation: string;
  readonly claim: string | null;
  spring(caught: Caught): void;
}

class Stage {
  readonly server = new MemoryServer({ now: Date.now, after: (ms, run) => TEST_TIMERS.after(ms, run), putsAway: true });
  readonly #traps: Trap[] = [];
  /** How much more time has passed than has. */
  passedMs = 0;

  async open(): Promise<QueueEngine> {
    const carry = <T>(request: Request, effect: () => T): Promise<T> => this.#carry(request, effect);
    const after = (ms: number, run: () => void): (() => void) => (ms <= SHORT_MS ? soon(run) : TEST_TIMERS.after(ms, run));
    const timers = { uptimeMs: () => TEST_TIMERS.uptimeMs() + this.passedMs, after };
    const engine = await openEngine(createMemoryStore(this.server, carry), { ...TEST_OPTIONS, timers });
    onTestFinished(() => engine.close());
    return engine;
  }

  /** Catches the next request of this kind. */
  catch(operation: string, claim: string | null = null): Promise<Caught> {
    return new Promise((spring) => void this.#traps.push({ operation, claim, spring }));
  }

  async #carry<T>({ operation, claim }: Request, effect: () => T): Promise<T> {
    await Promise.resolve();
    const trap = this.#traps.find((one) => one.operation === operation && (one.claim ?? claim) === claim);
    if (trap === undefined) return effect();
    this.#traps.splice(this.#traps.indexOf(trap), 1);
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        try {
          resolve(effect());
        } catch (error) {
          reject(error);
        }
      };
      trap.spring({ arrive, lose: () => reject(new ReplyLostError("the connection was lost")) });
    });
  }
}

// The engine's first pause after a lost reply is no longer than this.
const SHORT_MS = 10;

function soon(run: () => void): () => void {
  const immediate = setImmediate(run);
  return () => clearImmediate(immediate);
}

/** Everything that is under way and waits for no timer goes on. */
function turn(): Promise<null> {
  return new Promise((resolve) => setImmediate(resolve, null));
}

test("a join that arrives late leaves nothing in line, although others of its session were called off while it was asked for", async () => {
  const stage = new Stage();
  const engine = await stage.open();
  const [first, second] = [draftFor("a"), draftFor("b")];
  const firstRequest = stage.catch("join", first.id);
  const firstJoin = engine.join(first);
  const renewal = stage.catch("renew");
  (await firstRequest).lose();
  const fence = await renewal;

  // While the first one's requests are being called off.
  const secondRequest = stage.catch("join", second.id);
  const secondJoin = engine.join(second);
  const tooEarly = await Promise.race([secondRequest, turn()]);
  tooEarly?.lose();
  for (let turns = 0; turns < 3; turns += 1) await turn();
  fence.arrive();
  if (tooEarly === null) (await secondRequest).arrive();
  await firstJoin;
  await engine.withdraw((await secondJoin).positions);

  tooEarly?.arrive();
  expect(stage.server.queueOf("b")).toEqual([]);
});

test("a claim that could not be settled because its session was lost is not settled later", async () => {
  const stage = new Stage();
  const engine = await stage.open();
  const draft = draftFor("a", { settles: true });
  const joined = await engine.join(draft);
  const request = stage.catch("settle", draft.id);
  const settling = engine.settle(draft, joined, recordFor(draft));
  const late = await request;
  const opening = stage.catch("openSession");
  engine.session?.lose("the store was silent");
  late.lose();
  await expect(settling).rejects.toThrow(SessionLostError);
  late.arrive();
  expect(stage.server.queueOf("a").map(({ durable }) => durable)).not.toContain(true);
  (await opening).arrive();
});

test("liveness comes back although the store was away when the next session was to be told of it", async () => {
  const stage = new Stage();
  const engine = await stage.open();
  const { draft } = await takeDurably(engine, "a");
  const former = engine.session?.id ?? "";
  // Others may still be stopping what it is about: no step ends the former session, which would be tried again.
  await engine.confirm(await engine.join(draftFor("b")));
  const owning = stage.catch("own");
  stage.server.expireSession(former);
  engine.session?.lose("the store has ended it");
  const lost = await owning;
  stage.passedMs = TEST_OPTIONS.connectTimeoutMs;
  lost.lose();
  await turn();
  stage.passedMs = 0;
  await until(async () => (await engine.find(draft.id))[0]?.alive === true);
});

test("a claim that somebody else has ended is in no hand any more: no session is opened for it", async () => {
  const stage = new Stage();
  const [engine, other] = [await stage.open(), await stage.open()];
  const { draft, settled } = await takeDurably(other, "a");
  const adopted = settledOf(await engine.adopt(draft.id, settled.entries, recordFor(draft)));
  await other.leave(draft.id, adopted.entries, { ...RELEASED, event: "cleared" });
  expect(await engine.leave(draft.id, adopted.entries, RELEASED)).toBe("gone");
  await engine.confirm(await engine.join(draftFor("b")));
  const former = engine.session;
  former?.lose("the store was silent");
  await turn();
  expect(engine.session).toBe(former);
});

test("closing ends a lost session as well that could not be ended before", async () => {
  const stage = new Stage();
  const engine = await stage.open();
  const { session } = await engine.join(draftFor("a"));
  const ending = stage.catch("end");
  engine.session?.lose("a claim could not be withdrawn");
  await ending;
  await engine.close();
  expect(stage.server.lives(session.id)).toBe(false);
  expect(stage.server.queueOf("a")).toEqual([]);
});

test("a watch that is closed is not begun again by those who still ask it", async () => {
  const stage = new Stage();
  const engine = await stage.open();
  const watch = await engine.watch(() => undefined);
  watch.close();
  await expect(watch.caughtUp()).rejects.toThrow(ClosedError);
});
