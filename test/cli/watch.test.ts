import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Context } from "../../src/cli/context.js";
import { openStopRequests } from "../../src/cli/stop.js";
import type { Claim } from "../../src/locks/claim.js";
import { watchLocks } from "../../src/cli/locks-watch.js";
import { UnreachableError } from "../../src/locks/errors.js";
import { screenOf } from "../support/screen.js";
import { claim, context, fakeStore, NOW, recordedIo, waitingClaim } from "./fakes.js";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] }));
afterEach(() => vi.useRealTimers());

/** A watch over a store that can change, fall silent and hang, on a clock that the test moves. */
async function start({ isTerminal = false, json = false, columns = 100, rows = 24, only = null as string | null } = {}) {
  const queues: Record<string, Claim[]> = {};
  const told: string[] = [];
  const began = performance.now();
  const state = { reads: 0, silent: false, answering: Promise.resolve(), listeners: new Set<() => void>() };
  const base = fakeStore(queues, { leave: [] });
  const answer = async <T>(give: () => T): Promise<T> => {
    if (state.silent) throw new UnreachableError("the store does not answer");
    await state.answering;
    return give();
  };
  const store = Object.assign(base, {
    list: () => answer(() => ((state.reads += 1), Object.keys(queues).sort())),
    queue: (lock: string, _signal?: AbortSignal, first?: number) =>
      answer(() => ((state.reads += first === 1 || only === null ? 0 : 1), [...(queues[lock] ?? [])])),
    sync: () => answer(() => ({ ms: NOW + (performance.now() - began), errorMs: 0 })),
    watch: (onChange: () => void) => {
      state.listeners.add(onChange);
      return Promise.resolve({ close: () => void state.listeners.delete(onChange) });
    },
    leave: (id: string) => {
      for (const [lock, queue] of Object.entries(queues)) queues[lock] = queue.filter((one) => one.id !== id);
      return Promise.resolve("done" as const);
    },
  });
  const io = recordedIo({ isTerminal, mayColour: false, columns, rows });
  const signals = new Map<string, (signal: NodeJS.Signals) => void>();
  const stop = openStopRequests({ on: (signal, listener) => signals.set(signal, listener), off: () => undefined });
  const say = (_details: object, message: string) => void told.push(message);
  const changes: Partial<Context> = { json, stop, log: { debug: say, info: say, warn: say, error: say } };
  const around = context(store, io, changes);
  return {
    state,
    told,
    out: io.out,
    io,
    begin: () => ({ code: watchLocks(around, only) }),
    put(lock: string, ...queue: Claim[]) {
      queues[lock] = queue;
      if (queue.length === 0) delete queues[lock];
    },
    tell: () => {
      for (const listener of state.listeners) listener();
    },
    interrupt: () => signals.get("SIGINT")?.("SIGINT"),
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

function withResolver() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

const over = (at: number) =>
  claim({
    id: "lease",
    lease: { type: "lease", caller: null, path: null, locks: ["l"] },
    expiresAt: at,
    owner: { ...claim().owner, action: null },
  });

describe("elsewhere than on a terminal", () => {
  test("with --json each change is one document on a line of its own, and nothing else is", async () => {
    const watch = await start({ json: true });
    const { code } = watch.begin();
    await watch.pass(0);
    watch.put("l", claim());
    watch.tell();
    watch.tell();
    await watch.pass(500);
    watch.tell();
    await watch.pass(20_000);
    watch.put("l");
    watch.tell();
    await watch.pass(500);
    const lines = watch.out().trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { locks: { lock: string }[] }).locks.map(({ lock }) => lock))).toEqual([
      [],
      ["l"],
      [],
    ]);
    watch.interrupt();
    expect(await code).toBe(130);
    expect(watch.out().trimEnd().split("\n")).toHaveLength(3);
    expect(watch.state.listeners.size).toBe(0);
  });

  test("a listing says of when it is", async () => {
    const watch = await start({ only: "l" });
    const { code } = watch.begin();
    await watch.pass(0);
    watch.put("l", claim());
    watch.tell();
    await watch.pass(500);
    const blocks = watch.out().split(/^--- (?=\d{4}-)/m);
    expect(blocks[1]).toMatch(/^\S+\nnobody holds or waits for l\n$/);
    expect(blocks[2]).toMatch(/^2025-11-21T09:00:00\.\d{3}Z\nLOCK +PLACE .*\nl +held +web-07/);
    watch.interrupt();
    await code;
  });

  test("an outage is survived, and told once, as is its end", async () => {
    const watch = await start({ json: true });
    const { code } = watch.begin();
    await watch.pass(0);
    watch.state.silent = true;
    await watch.pass(20_000);
    expect(watch.told, "although nothing has changed").toEqual(["the store does not answer; watching goes on"]);
    watch.put("l", claim());
    watch.state.silent = false;
    await watch.pass(2_000);
    expect(watch.told.slice(1)).toEqual(["the store answers again"]);
    expect(watch.out().trimEnd().split("\n")).toHaveLength(2);
    watch.interrupt();
    expect(await code).toBe(130);
  });

  test("nothing is read again where nothing has changed, and a storm of changes is not followed blow by blow", async () => {
    const watch = await start({ json: true });
    const { code } = watch.begin();
    await watch.pass(60_000);
    expect(watch.state.reads).toBe(1);
    for (let change = 0; change < 1_000; change += 1) {
      watch.tell();
      await watch.pass(1);
    }
    expect(watch.state.reads).toBeGreaterThan(5);
    expect(watch.state.reads).toBeLessThanOrEqual(12);
    watch.interrupt();
    await code;
  });

  test("a lease that runs out is noticed, though the store tells of nothing", async () => {
    const watch = await start({ json: true });
    watch.put("l", over(NOW + 30_000), waitingClaim("web-08", { id: "next" }));
    const { code } = watch.begin();
    await watch.pass(29_900);
    expect(watch.out().trimEnd().split("\n")).toHaveLength(1);
    await watch.pass(300);
    const lines = watch.out().trimEnd().split("\n");
    expect(JSON.parse(lines[1] as string)).toMatchObject({ locks: [{ waiting: [{ id: "next" }] }] });
    watch.interrupt();
    await code;
  });

  test("it ends with its reader", async () => {
    const watch = await start({ json: true });
    const { code } = watch.begin();
    await watch.pass(0);
    Object.assign(watch.io.stdout, { isClosed: true });
    await watch.pass(2_000);
    expect(await code).toBe(0);
  });

  test("a store that cannot be reached at the start is an error, as for every command", async () => {
    const watch = await start();
    watch.state.silent = true;
    await expect(watch.begin().code).rejects.toMatchObject({ code: "unreachable" });
  });
});

describe("on a terminal", () => {
  test("the listing stands in its place, ages grow, and the window is as it was afterwards", async () => {
    const watch = await start({ isTerminal: true });
    watch.put("l", claim());
    const { code } = watch.begin();
    await watch.pass(0);
    expect(screenOf(watch.out(), 24).slice(0, 4)).toEqual([
      "all locks, as they change; Ctrl-C ends",
      "",
      "LOCK  PLACE  NODE    WHAT           SINCE     BY                  STATE",
      "l     held   web-07  restart-nginx  12 s ago  deploy@example.com  running, its agent lives",
    ]);
    await watch.pass(3_000);
    expect(screenOf(watch.out(), 24)[3]).toContain("15 s ago");
    expect(watch.state.reads, "the ages grow by themselves").toBe(1);
    watch.put("l", claim(), waitingClaim("web-08"));
    watch.tell();
    await watch.pass(500);
    expect(screenOf(watch.out(), 24)[4]).toContain("web-08");
    watch.interrupt();
    expect(await code).toBe(130);
    expect(watch.out().startsWith("\x1b[?1049h\x1b[?25l")).toBe(true);
    expect(watch.out().endsWith("\x1b[?25h\x1b[?1049l")).toBe(true);
  });

  test.each([
    [5, 40],
    [10, 100],
    [1, 20],
  ])("what is too high for %i rows is left out, and counted", async (rows, columns) => {
    const watch = await start({ isTerminal: true, rows, columns });
    watch.put("l", claim(), ...Array.from({ length: 30 }, (_, index) => waitingClaim(`web-${index}`)));
    const { code } = watch.begin();
    await watch.pass(0);
    expect(screenOf(watch.out(), rows).at(-1)).toMatch(/^… and \d+ more/);
    for (const line of screenOf(watch.out(), rows)) expect(line.length).toBeLessThan(columns);
    watch.interrupt();
    await code;
  });

  test("silence is told, beside what was last seen: first that there is no answer yet, then why", async () => {
    const watch = await start({ isTerminal: true });
    watch.put("l", claim());
    const { code } = watch.begin();
    await watch.pass(0);
    const { promise: answering, resolve: answer } = withResolver();
    watch.state.answering = answering;
    watch.tell();
    await watch.pass(5_000);
    expect(screenOf(watch.out(), 24).slice(0, 5)).toEqual([
      "all locks, as they change; Ctrl-C ends",
      "the store does not answer",
      "below is what there was 5 s ago",
      "",
      expect.stringMatching(/^LOCK/) as string,
    ]);
    watch.state.silent = true;
    answer();
    await watch.pass(12_000);
    expect(screenOf(watch.out(), 24)[2]).toMatch(/^below is what there was 1\d s ago$/);
    watch.state.silent = false;
    await watch.pass(3_000);
    expect(screenOf(watch.out(), 24)[1]).toBe("");
    watch.interrupt();
    await code;
  });
});
