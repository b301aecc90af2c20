import { describe, expect, test } from "vitest";
import { clear, parseClear } from "../../src/cli/commands/clear.js";
import type { Claim } from "../../src/locks/claim.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { claim, context, FAILURE, fakeStore, invocation, NOW, recordedIo, waitingClaim } from "./fakes.js";
import type { FakeStore } from "./fakes.js";

const STALE = { alive: false } as const;

async function run(store: FakeStore, options: Record<string, unknown> = {}, { lock = "restart/nginx", json = false } = {}) {
  const io = recordedIo();
  const code = await clear.run(context(store, io, { json }), invocation([lock], { reason: "fixed by hand", ...options }));
  return { code, out: io.out() };
}

const A = "00000000-0000-4000-8000-00000000000a";
const B = "00000000-0000-4000-8000-00000000000b";

async function refusal(store: FakeStore, options: Record<string, unknown> = {}): Promise<HoldlineError> {
  const error: unknown = await run(store, options).catch((reason: unknown) => reason);
  if (!(error instanceof HoldlineError)) throw new Error("a refusal was expected", { cause: error });
  expect([store.ended, store.withdrawn]).toEqual([[], []]);
  return error;
}

const storeOf = (...queue: Claim[]) => fakeStore({ "restart/nginx": queue });

describe("clear", () => {
  test.each([
    ["stale", claim(STALE)],
    ["failed", claim({ failure: FAILURE, alive: false })],
    ["failed, with its agent at other work", claim({ failure: FAILURE })],
  ])("ends the one durable claim that is there when it is %s, and says who and why", async (_, held) => {
    const store = storeOf(held, waitingClaim("web-08"));
    const { code, out } = await run(store);
    expect(code).toBe(0);
    expect(store.ended).toMatchObject([
      { id: held.id, entries: [held], ending: { event: "cleared", by: "ann@admin-01", reason: "fixed by hand" } },
    ]);
    expect(out).toMatch(/^cleared the claim on restart\/nginx: web-07: restart-nginx by deploy@example\.com, since 12 s ago, /);
    expect(out).toContain("the history says: fixed by hand");
  });

  test("ends all the entries of a claim on several locks together", async () => {
    const entries = ["host/a", "restart/nginx", "host/b"].map((lock) => claim({ ...STALE, lock, ref: lock }));
    const store = fakeStore({
      ...Object.fromEntries(entries.map((entry) => [entry.lock, [entry, waitingClaim("web-08")]])),
      other: [claim({ id: "other" })],
    });
    const { out } = await run(store, {}, { json: true });
    expect(store.ended[0]?.entries.map(({ lock }) => lock).sort()).toEqual(["host/a", "host/b", "restart/nginx"]);
    expect((JSON.parse(out) as { cleared: { lock: string }[] }).cleared).toHaveLength(3);
  });

  test("asks which, when there are several", async () => {
    const [a, b] = [claim({ ...STALE, id: A, slots: 3 }), claim({ ...STALE, id: B, slots: 3 })];
    const error = await refusal(storeOf(a, b));
    expect(error).toMatchObject({
      code: "usage",
      message: "there are 2 durable claims on restart/nginx: say which with --claim ID",
    });
    expect(error.hint).toMatch(new RegExp(`\\(claim ${A}\\)\n.*\\(claim ${B}\\)$`));
    const store = storeOf(a, b);
    await run(store, { claim: B });
    expect(store.ended[0]?.id).toBe(B);
  });

  test("refuses the claim of a running owner, unless it is forced", async () => {
    const error = await refusal(storeOf(claim()));
    expect(error).toMatchObject({ code: "not-allowed" });
    expect(error.message).toContain("the claim's owner is running (web-07: restart-nginx");
    expect(error.hint).toContain("--force");
    const store = storeOf(claim());
    expect((await run(store, { force: true })).out).toContain("its owner is still running");
    expect(store.ended).toHaveLength(1);
  });

  test("refuses a stale one whose command lives on this machine, and names its pids, unless it is forced", async () => {
    const lives = { commandPids: () => Promise.resolve([4711, 4712]) };
    const clearIn = (store: FakeStore, options: Record<string, unknown>) =>
      clear.run(context(store, recordedIo(), lives), invocation(["restart/nginx"], { reason: "x", ...options }));
    const store = storeOf(claim(STALE));
    const error: unknown = await clearIn(store, {}).catch((reason: unknown) => reason);
    expect(store.ended).toMatchObject([]);
    expect(error).toMatchObject({
      code: "not-allowed",
      message: expect.stringMatching(/^the claim's command still runs here: pid 4711, 4712 \(web-07: /) as string,
      hint: expect.stringContaining("--force") as string,
    });
    expect(await clearIn(store, { force: true })).toBe(0);
    // A failed command has ended. What it started belongs to a service now.
    expect(await clearIn(storeOf(claim({ failure: FAILURE, alive: false })), {})).toBe(0);
  });

  test("explains that an ephemeral claim ends by itself, and withdraws it only when that is forced", async () => {
    const waiting = waitingClaim("web-08");
    expect(await refusal(storeOf(waiting))).toMatchObject({ code: "nothing-there" });
    const error = await refusal(storeOf(claim(), waiting), { claim: waiting.id });
    expect(error).toMatchObject({ code: "not-allowed" });
    expect(error.message).toContain("waits, and is ephemeral: it ends with its process");
    const store = storeOf(claim(), waiting);
    const { out } = await run(store, { claim: waiting.id, force: true });
    expect([store.ended, store.withdrawn]).toMatchObject([[], [waiting]]);
    expect(out).toContain("withdrew the claim");
  });

  test("says when there is nothing to clear", async () => {
    expect(await refusal(storeOf())).toMatchObject({
      code: "nothing-there",
      message: "there is nothing to clear: nobody holds or waits for restart/nginx",
    });
    expect(await refusal(storeOf(claim()), { claim: A })).toMatchObject({
      code: "nothing-there",
      message: `there is no claim ${A} on restart/nginx`,
    });
  });

  test("an expired lease leaves nothing to clear", async () => {
    const over = claim({ lease: { type: "lease", caller: null, path: null, locks: [] }, expiresAt: NOW });
    const queue = [over];
    const store = fakeStore({ "restart/nginx": queue }, { leave: [() => (queue.pop(), "done")] });
    await expect(run(store)).rejects.toMatchObject({ code: "nothing-there" });
    expect(store.ended).toMatchObject([{ ending: { event: "expired" } }]);
  });

  test("clears another program's claim in the named queue only", async () => {
    const foreign = claim({ ...STALE, id: "lock-0000000001", ref: "lock-0000000001" });
    const store = fakeStore({ "restart/nginx": [foreign], other: [{ ...foreign, lock: "other" }] });
    await run(store);
    expect(store.ended[0]?.entries.map(({ lock }) => lock)).toEqual(["restart/nginx"]);
  });

  test("says that the claim ended by itself meanwhile", async () => {
    const queue = [claim(STALE)];
    const store = fakeStore({ "restart/nginx": queue }, { leave: [() => (queue.pop(), "gone")] });
    expect((await refusal(store)).message).toBe("the claim on restart/nginx ended by itself meanwhile; nothing was cleared");
  });

  test("looks again when one of its entries was gone", async () => {
    const store = fakeStore({ "restart/nginx": [claim(STALE)] }, { leave: [() => "gone"] });
    expect((await run(store)).code).toBe(0);
    expect(store.ended).toHaveLength(1);
  });

  test("does not touch a claim that has changed, and says what it is now", async () => {
    const queue = [claim(STALE)];
    const store = fakeStore({ "restart/nginx": queue }, { leave: [() => (queue.splice(0, 1, claim({ revision: 2 })), "changed")] });
    const error = await refusal(store);
    expect(error).toMatchObject({ code: "conflict" });
    expect(error.hint).toMatch(/^it is now: web-07: restart-nginx .* running, its agent lives/);
  });
});

test("a reason must not be empty, and a lock must have a proper name", () => {
  expect(() => parseClear(invocation(["a"], { reason: "  " }))).toThrow("--reason: must not be empty");
  expect(() => parseClear(invocation(["a//b"], { reason: "x" }))).toThrow("the lock name");
  expect(() => parseClear(invocation(["a"], { reason: "x", claim: "" }))).toThrow("--claim: must not be empty");
  expect(() => parseClear(invocation(["a"], { reason: "x", claim: "web-07" }))).toThrow("--claim: must be the id of a claim");
  // The id of another program's claim is the name of its entry.
  expect(parseClear(invocation(["a"], { reason: "x", claim: "_c_x-lock-0000000001" })).claim).toBe("_c_x-lock-0000000001");
});
