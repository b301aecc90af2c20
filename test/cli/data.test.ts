// `holdline data`: shows a claim's data and changes it.
import { describe, expect, test } from "vitest";
import { acquire } from "../../src/cli/commands/acquire.js";
import { data } from "../../src/cli/commands/data.js";
import { takeDurably } from "../coordinators/conformance/store.js";
import { context, invocation, recordedIo } from "./fakes.js";
import { documentIn, openShell, type Options, refusal } from "./lease-shell.js";

/** A few lines of YAML that expand to a thousand million values. */
const BOMB = Array.from({ length: 9 }, (_, level) => {
  const items = Array.from({ length: 10 }, () => (level === 0 ? "x" : `*a${level - 1}`));
  return `a${level}: &a${level} [${items.join(", ")}]\n`;
}).join("");

const NOBODY = "00000000-0000-4000-8000-000000000000";

describe("data", () => {
  test("shows the data of a claim as YAML", async () => {
    const { run } = await openShell();
    const value = "{ status: READY, hosts: [a, b], version: '1.10', answer: 'yes', note: 'a\\b: c', none: null }";
    const id = (await run(acquire, ["db"], { data: value })).out.trim();
    const text = 'status: READY\nhosts:\n  - a\n  - b\nversion: "1.10"\nanswer: "yes"\nnote: "a\\\\b: c"\nnone: null\n';
    expect(await run(data, ["db", id])).toEqual({ code: 0, out: text, err: "" });
    expect(documentIn(await run(data, ["db", id], {}, true))).toEqual({
      data: { status: "READY", hosts: ["a", "b"], version: "1.10", answer: "yes", note: "a\\b: c", none: null },
    });
    const bare = (await run(acquire, ["web"])).out.trim();
    expect(await run(data, ["web", bare])).toMatchObject({ out: "null\n" });
  });

  test("moves no cursor of a terminal", async () => {
    const { coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"], { data: '{ a: "\\u202e\\e[2J" }' })).out.trim();
    const io = recordedIo({ isTerminal: true });
    await data.run(context(coordinator, io), invocation(["db", id]));
    expect(io.out()).toMatch(/^a: [ -~]+\n$/);
  });

  test("is changed from the whole to its parts", async () => {
    const { coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"], { data: "{ old: 1 }" })).out.trim();
    const options = {
      set: ["n=3", "deploy.by=ann", "n=4"],
      merge: "{ deploy: { to: b }, n: 0 }",
      replace: "{ deploy: { at: a } }",
    };
    const ran = await run(data, ["db", id], options, true);
    expect(documentIn(ran)).toEqual({ data: { deploy: { at: "a", to: "b", by: "ann" }, n: 4 } });
    expect(await coordinator.queue("db")).toMatchObject([{ id, data: { deploy: { at: "a", to: "b", by: "ann" }, n: 4 } }]);
  });

  test.each([
    ["a=3", 3],
    ["a=READY", "READY"],
    ["a='3'", "3"],
    ["a=true", true],
    ["a=", null],
    ["a=~", null],
    ["a=[1, two]", [1, "two"]],
    ["a={ b: 1 }", { b: 1 }],
    ["a=x=y", "x=y"],
    ["a=hello, world", "hello, world"],
    ["a=2025-11-21", "2025-11-21"],
  ])("--set %s", async (text, value) => {
    const { coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"])).out.trim();
    expect((await run(data, ["db", id], { set: [text] })).code).toBe(0);
    expect((await coordinator.queue("db"))[0]?.data).toEqual({ a: value });
  });

  test.each<[Options, string]>([
    [{ set: ["status"] }, 'usage: --set "status": has no value'],
    [{ set: ["=1"] }, 'usage: "" names no key of the data'],
    [{ set: ["a..b=1"] }, 'usage: "a..b" names no key of the data'],
    [{ set: ["__proto__.a=1"] }, 'usage: "__proto__.a" names no key of the data'],
    [{ set: ["a=#fff"] }, 'usage: --set a: is empty in YAML, where a comment begins with "#"'],
    [{ set: ["a=b: c"] }, "usage: --set a: is a block of YAML"],
    [{ set: ["a=- b"] }, "usage: --set a: is a block of YAML"],
    [{ set: ["a=@/etc/hostname"] }, "usage: --set a:1: is not proper YAML"],
    [{ set: ["a={ __proto__: 1 }"] }, 'usage: --set a: must not have a key "__proto__"'],
    [{ set: ["a=[1"] }, "usage: --set a:1: is not proper YAML"],
    [{ set: ["old.a=1"] }, "usage: old.a cannot be set: old is no map"],
    [{ merge: "[1]" }, "usage: --merge: must be a map of keys and values"],
    [{ merge: "" }, "usage: --merge: must be a map of keys and values"],
    [{ replace: "{ a: &x [*x] }" }, "usage: --replace"],
    [{ replace: BOMB }, "usage: --replace: cannot be read: Excessive alias count"],
  ])("refuses %j", async (options, words) => {
    const { coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"], { data: "{ old: 1 }" })).out.trim();
    expect(await refusal(run(data, ["db", id], options))).toContain(words);
    expect(await coordinator.queue("db")).toMatchObject([{ data: { old: 1 } }]);
  });

  test("changes the data of a process's durable claim, and refuses a claim that is not there", async () => {
    const { stage, coordinator, run } = await openShell();
    expect(await refusal(run(data, ["db", NOBODY]))).toBe(
      `nothing-there: no claim ${NOBODY} holds db: it has ended, or still waits`,
    );
    const { draft } = await takeDurably(await stage.open(), "db", { data: { a: 1 } });
    expect((await run(data, ["db", draft.id], { set: ["b=2"] })).code).toBe(0);
    expect(await coordinator.queue("db")).toMatchObject([{ data: { a: 1, b: 2 }, owner: draft.owner }]);
  });
});
