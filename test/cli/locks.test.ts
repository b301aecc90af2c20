import { describe, expect, test } from "vitest";
import { lockAsJson, renderLocks, stateOf } from "../../src/cli/claims.js";
import { locks } from "../../src/cli/commands/locks.js";
import { claim, context, FAILURE, fakeStore, invocation, NOW, recordedIo, waitingClaim } from "./fakes.js";

const plain = (_: string, text: string) => text;
const gone = (other: { alive: boolean }) => !other.alive;

async function show(queues: Parameters<typeof fakeStore>[0], args: string[] = [], json = false) {
  const io = recordedIo();
  const code = await locks.run(context(fakeStore(queues), io, { json }), invocation(args));
  return { code, out: io.out() };
}

describe("for people", () => {
  test("holders and waiters line up, with since when, by whom, doing what, and their places", () => {
    const queue = [claim(), waitingClaim("web-08", { since: NOW - 5_000 }), waitingClaim("web-109", { since: NOW - 100 })];
    expect(renderLocks([stateOf("restart/nginx", queue, gone)], NOW, plain)).toEqual([
      "LOCK           PLACE  NODE     WHAT           SINCE     BY                  STATE",
      "restart/nginx  held   web-07   restart-nginx  12 s ago  deploy@example.com  running, its agent lives",
      "               1st    web-08   restart-nginx  5 s ago   deploy@example.com  waiting",
      "               2nd    web-109  restart-nginx  just now  deploy@example.com  waiting",
    ]);
  });

  test("a failed holder stands out, with the last line of its output and the way out", () => {
    const lines = renderLocks(
      [stateOf("restart/nginx", [claim({ failure: FAILURE, alive: false, data: { ticket: "OPS-1" } })], gone)],
      NOW,
      plain,
    );
    expect(lines[1]).toMatch(/FAILED on web-07 12 min ago: exit code 1$/);
    expect(lines.slice(2, 5)).toEqual([
      "    last output: nginx: [emerg] unknown directive",
      "    claim 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      '    data: {"ticket":"OPS-1"}',
    ]);
    expect(lines.at(-1)).toContain("holdline clear LOCK --reason TEXT");
  });

  test("a stale holder stands out", () => {
    expect(renderLocks([stateOf("l", [claim({ alive: false })], gone)], NOW, plain)[1]).toMatch(/STALE: its agent is gone$/);
  });

  test("a lease says until when and why", () => {
    const lease = claim({
      expiresAt: NOW + 60_000,
      reason: "maintenance",
      owner: { ...claim().owner, action: null, process: null },
    });
    const lines = renderLocks([stateOf("l", [lease], gone)], NOW, plain);
    expect(lines[1]).toMatch(/a lease .* leased until 2025-11-21T09:01:00\.000Z$/);
    expect(lines[2]).toBe("    reason: maintenance");
  });

  test("what others wrote cannot reach the terminal", () => {
    const evil = claim({
      lock: "a\x1b[2J",
      owner: { ...claim().owner, node: "\x1b]0;x\x07" },
      reason: "\r\nheld  me",
      failure: { ...FAILURE, message: "\x1b[1A", output: "\x1b[2K" },
    });
    expect(
      renderLocks([stateOf("a\x1b[2J", [evil], gone)], NOW, plain)
        .join("\n")
        .replaceAll("\n", ""),
    ).not.toMatch(/\p{Cc}/u);
  });

  test("colours are for terminals", async () => {
    const io = recordedIo({ isTerminal: true, mayColour: true });
    await locks.run(context(fakeStore({ l: [claim({ failure: FAILURE })] }), io), invocation([]));
    expect(io.out()).toContain("\x1b[31mFAILED on web-07");
    expect((await show({ l: [claim({ failure: FAILURE })] })).out).not.toContain("\x1b");
    const noColour = recordedIo({ isTerminal: true, mayColour: false });
    await locks.run(context(fakeStore({ l: [claim()] }), noColour), invocation([]));
    expect(noColour.out()).not.toContain("\x1b");
  });
});

describe("as JSON", () => {
  test("a lock is exactly as in the contract", () => {
    const queue = [
      claim({ failure: FAILURE, alive: false, data: { ticket: "OPS-1" } }),
      waitingClaim("web-08", { id: "w", key: "k", slots: Number.POSITIVE_INFINITY }),
    ];
    expect(JSON.parse(JSON.stringify(lockAsJson(stateOf("restart/nginx", queue, gone))))).toEqual({
      lock: "restart/nginx",
      holders: [
        {
          id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
          state: "held",
          condition: "failed",
          durable: true,
          key: null,
          slots: 1,
          owner: { node: "web-07", principal: "deploy@example.com", action: "restart-nginx", pid: 42 },
          since: "2025-11-21T08:59:48.000Z",
          expiresAt: null,
          fencingToken: 7,
          reason: null,
          data: { ticket: "OPS-1" },
          failure: { exitCode: 1, signal: null, message: "exit code 1", output: FAILURE.output, at: "2025-11-21T08:48:00.000Z" },
        },
      ],
      waiting: [
        {
          id: "w",
          state: "waiting",
          condition: "waiting",
          durable: false,
          key: "k",
          slots: null,
          owner: { node: "web-08", principal: "deploy@example.com", action: "restart-nginx", pid: 42 },
          since: "2025-11-21T08:59:48.000Z",
          expiresAt: null,
          fencingToken: null,
          reason: null,
          data: null,
          failure: null,
        },
      ],
    });
  });

  test("conditions are told apart", () => {
    const conditions = (...queue: Parameters<typeof stateOf>[1]) =>
      stateOf("l", queue, gone).claims.map(({ condition }) => condition);
    expect(conditions(claim(), waitingClaim("b"))).toEqual(["running", "waiting"]);
    expect(conditions(claim({ alive: false }))).toEqual(["stale"]);
    expect(conditions(claim({ expiresAt: NOW, alive: false }))).toEqual(["leased"]);
    expect(conditions(claim({ slots: 2 }), claim({ slots: 2 }), claim({ slots: 2 }))).toEqual(["running", "running", "waiting"]);
  });

  test("all locks are one document, without those that nobody claims", async () => {
    const { code, out } = await show({ b: [claim({ lock: "b" })], a: [] }, [], true);
    expect(code).toBe(0);
    expect((JSON.parse(out) as { locks: { lock: string }[] }).locks.map(({ lock }) => lock)).toEqual(["b"]);
    expect(out.trimEnd()).not.toContain("\n");
  });
});

describe("nobody there", () => {
  test("is no error when all locks were asked for", async () => {
    expect(await show({})).toEqual({ code: 0, out: "nobody holds or waits for any lock\n" });
    expect(await show({}, [], true)).toEqual({ code: 0, out: '{"locks":[]}\n' });
  });

  test("exits 1 when one lock was asked for", async () => {
    expect(await show({}, ["x"])).toEqual({ code: 1, out: "nobody holds or waits for x\n" });
    expect(await show({}, ["x"], true)).toEqual({ code: 1, out: '{"locks":[]}\n' });
    expect((await show({ x: [claim()] }, ["x"])).code).toBe(0);
  });

  test("a name that no lock can have is refused before the store is asked", async () => {
    await expect(locks.run(context(null, recordedIo()), invocation(["a/../b"]))).rejects.toMatchObject({ code: "usage" });
  });
});
