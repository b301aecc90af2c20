// The commands for leases, over a store in memory whose clock a test moves: output and exit codes.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { acquire, parseAcquire } from "../../src/cli/commands/acquire.js";
import { current, renderHolders } from "../../src/cli/commands/current.js";
import { data } from "../../src/cli/commands/data.js";
import { isHeld } from "../../src/cli/commands/is-held.js";
import { release } from "../../src/cli/commands/release.js";
import { renew } from "../../src/cli/commands/renew.js";
import { readLock } from "../../src/cli/leases.js";
import type { LockSettings } from "../../src/config/settings.js";
import { START } from "../leases/stage.js";
import { freshDirectory } from "../support/roots.js";
import { claim, invocation, settings } from "./fakes.js";
import { documentIn, openShell, type Options, refusal, shellOn } from "./lease-shell.js";

const SINCE = new Date(START).toISOString();
const at = (ms: number) => new Date(START + ms).toISOString();

describe("acquire", () => {
  test("prints the lease's id alone", async () => {
    const { coordinator, run } = await openShell();
    const { code, out, err } = await run(acquire, ["db"], { ttl: "4 seconds", reason: "schema 42", data: "{ a: 1 }" });
    const [lease] = await coordinator.queue("db");
    expect([code, out, err]).toEqual([0, `${lease?.id}\n`, ""]);
    expect(lease).toMatchObject({ expiresAt: START + 4_000, reason: "schema 42", data: { a: 1 }, key: null, slots: 1 });
  });

  test("as JSON gives the claim as it stands in the queue", async () => {
    const { coordinator, run } = await openShell();
    const ran = await run(acquire, ["db"], { key: "rack-12" }, true);
    const [lease] = await coordinator.queue("db");
    expect(documentIn(ran)).toMatchObject({
      claim: {
        id: lease?.id,
        lock: "db",
        state: "held",
        condition: "leased",
        key: "rack-12",
        slots: null,
        since: SINCE,
        expiresAt: at(1_800_000),
      },
    });
    expect(ran.err).toBe("");
  });

  test("of a held lock prints the holders' ids, and says who, since when and why", async () => {
    const { stage, run } = await openShell();
    const { out: id } = await run(acquire, ["db"], { reason: "schema 42\u202e" });
    stage.now = START + 12_000;
    const held = await run(acquire, ["db"]);
    expect([held.code, held.out]).toEqual([2, id]);
    expect(held.err).toMatch(/^holdline: Lock held\n {2}admin-01: lease by ann@admin-01, since 12 s ago, .*: schema 42\\u202e\n$/);
    const waited = await run(acquire, ["db"], { wait: "20 ms" });
    expect([waited.code, waited.out]).toEqual([2, id]);
    expect(waited.err).toMatch(/^holdline: Lock held \(waited 0\.02 s for it\)\n/);
  });

  test("of a lock with several holders names all of them", async () => {
    const { coordinator, run } = await openShell();
    await run(acquire, ["db"], { key: "smoke" });
    await run(acquire, ["db"], { key: "smoke" });
    const ids = (await coordinator.queue("db")).map(({ id }) => id);
    const held = await run(acquire, ["db"], { key: "deploy" });
    expect([held.code, held.out]).toEqual([2, `${ids.join("\n")}\n`]);
    expect(held.err.trimEnd().split("\n")).toHaveLength(3);
    const ran = await run(acquire, ["db"], { key: "deploy" }, true);
    expect(ran.code).toBe(2);
    expect(documentIn(ran)).toMatchObject({
      error: { code: "held", message: expect.stringContaining("Lock held") as string, hint: "--wait waits for it" },
      holders: ids.map((id) => ({ id, state: "held", condition: "leased" })),
    });
  });

  test("without a word follows the configuration of the lock, and with one that", async () => {
    const { coordinator } = await openShell();
    const nothing: LockSettings = { ttlMs: null, principal: null, coordinator: null };
    const locks = new Map([
      ["default", { ...nothing, ttlMs: 60_000 }],
      ["db", { ...nothing, ttlMs: 86_400_000, principal: "dba@example.com" }],
    ]);
    const run = shellOn(coordinator, { settings: settings({ locks }) });
    await run(acquire, ["db"]);
    await run(acquire, ["web"]);
    await run(acquire, ["app"], { ttl: "1 s" });
    await shellOn(coordinator)(acquire, ["general"]);
    const one = async (lock: string) => (await coordinator.queue(lock))[0];
    expect(await one("db")).toMatchObject({ expiresAt: START + 86_400_000, owner: { principal: "dba@example.com" } });
    expect(await one("web")).toMatchObject({ expiresAt: START + 60_000, owner: { principal: "ann@admin-01" } });
    expect(await one("app")).toMatchObject({ expiresAt: START + 1_000 });
    expect(await one("general")).toMatchObject({ expiresAt: START + 1_800_000 });
  });

  test.each<[Options, string]>([
    [{ ttl: "0 s" }, "usage: --ttl: must be more than 0"],
    [{ ttl: "soon" }, "usage: --ttl: must be a number of seconds"],
    [{ ttl: "-1 s" }, "usage: --ttl: must be a number of seconds"],
    [{ wait: "long" }, "usage: --wait: must be a number of seconds"],
    [{ slots: "0" }, "usage: --slots: must be a whole number from 1"],
    [{ key: "" }, "usage: --key: must not be empty"],
    [{ reason: "two\nlines" }, "usage: --reason: must be text without control characters"],
    [{ data: "{ a: 1" }, "usage: --data:1: is not proper YAML"],
    [{ data: "!!js/function x" }, "usage: --data:1: is not proper YAML: Unresolved tag"],
    [{ data: "{ a: { __proto__: 1 } }" }, 'usage: --data: must not have a key "__proto__"'],
    [{ data: "[{ constructor: 1 }]" }, 'usage: --data: must not have a key "constructor"'],
    [{ data: "{ a: [.inf] }" }, "usage: --data: must not have Infinity: JSON cannot carry it"],
    [{ data: "x".repeat(70_000) }, "usage: --data: has more than 65536 bytes as JSON, which is the most"],
    [{ data: "@" }, "usage: --data: names no file"],
    [{ data: "@/nowhere/data.yaml" }, "usage: /nowhere/data.yaml: there is no such file (named by --data)"],
  ])("refuses %j", async (options, words) => {
    const { coordinator, run } = await openShell();
    expect(await refusal(run(acquire, ["db"], options))).toContain(words);
    expect(await coordinator.queue("db")).toEqual([]);
  });

  test("takes its data from a file", async () => {
    const file = join(await freshDirectory(), "data.yaml");
    const named = readLock({ settings: settings() }, { args: ["db"] });
    writeFileSync(file, "status: READY\nhosts: [a, b]\n");
    expect(await parseAcquire(invocation(["db"], { data: `@${file}` }), named)).toMatchObject({
      data: { status: "READY", hosts: ["a", "b"] },
    });
    writeFileSync(file, "status: &a [*a]\n");
    expect(await refusal(parseAcquire(invocation(["db"], { data: `@${file}` }), named))).toContain(file);
  });

  test("waits as long as it is told to, and by default not at all", async () => {
    const named = readLock({ settings: settings() }, { args: ["db"] });
    const waitMs = async (options: Options) => (await parseAcquire(invocation(["db"], options), named)).waitMs;
    expect([
      await waitMs({}),
      await waitMs({ wait: "0" }),
      await waitMs({ wait: "2 min" }),
      await waitMs({ wait: "none" }),
    ]).toEqual([0, 0, 120_000, null]);
  });
});

describe("release and renew", () => {
  test("of a lease succeed without a word", async () => {
    const { stage, coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"], { ttl: "4 s" })).out.trim();
    stage.now = START + 2_000;
    expect(await run(renew, ["db", id], { ttl: "4 s" })).toEqual({ code: 0, out: "", err: "" });
    expect(await coordinator.queue("db")).toMatchObject([{ expiresAt: START + 6_000, since: START }]);
    expect(documentIn(await run(renew, ["db", id], {}, true))).toMatchObject({
      claim: { id, lock: "db", since: SINCE, expiresAt: at(1_802_000) },
    });
    expect(await run(release, ["db", id])).toEqual({ code: 0, out: "", err: "" });
    expect(await coordinator.queue("db")).toEqual([]);
  });

  test("of a lease that is gone: one is content, the other says 3", async () => {
    const { stage, run } = await openShell();
    const id = (await run(acquire, ["db"], { ttl: "4 s" })).out.trim();
    stage.now = START + 4_000;
    const renewed = await run(renew, ["db", id]);
    expect([renewed.code, renewed.out]).toEqual([3, ""]);
    expect(renewed.err).toBe(
      `holdline: the lease ${id} on db has expired or was released\n  take a new one with: holdline acquire db\n`,
    );
    const ran = await run(renew, ["db", id], {}, true);
    expect(ran.code).toBe(3);
    expect(documentIn(ran)).toMatchObject({ error: { code: "expired", message: expect.stringContaining(id) as string } });
    expect(await run(release, ["db", id])).toMatchObject({ code: 0, out: "" });
    expect(documentIn(await run(release, ["db", id], {}, true))).toEqual({ released: false });
    const again = (await run(acquire, ["db"])).out.trim();
    expect(documentIn(await run(release, ["db", again], {}, true))).toEqual({ released: true });
  });

  test.each([
    ["", "usage: the id is empty"],
    [" ", "usage: the id is empty"],
    ["a\nb", 'usage: "a\\nb" is no id of a claim: an id is a UUID'],
    ["nonsense", 'usage: "nonsense" is no id of a claim: an id is a UUID'],
    ["3f2504e0-4f89-41d3-9a0c-0305e82c330", "is no id of a claim"],
  ])("refuse the id %j", async (id, words) => {
    const { run } = await openShell();
    for (const command of [release, renew, isHeld, data]) expect(await refusal(run(command, ["db", id]))).toContain(words);
  });
});

test("arguments in the wrong order are recognised", async () => {
  const { coordinator, run } = await openShell();
  const id = (await run(acquire, ["db"])).out.trim();
  for (const command of [release, renew, isHeld, data])
    expect(await refusal(run(command, [id, "db"]))).toBe(
      `usage: the arguments are in the wrong order: "${id}" is an id, and must follow the lock's name`,
    );
  expect(await coordinator.queue("db")).toHaveLength(1);
});

test("an id may be written in capitals", async () => {
  const { run } = await openShell();
  const id = (await run(acquire, ["db"])).out.trim().toUpperCase();
  expect(await run(isHeld, ["db", id])).toMatchObject({ code: 0 });
  expect(await run(renew, ["db", id])).toMatchObject({ code: 0 });
  expect(documentIn(await run(release, ["db", id], {}, true))).toEqual({ released: true });
});

describe("another principal's lease", () => {
  test("is renewed and released by force alone, and the history says by whom", async () => {
    const { coordinator, run } = await openShell();
    const locks = new Map([["db", { ttlMs: null, principal: "dba@example.com", coordinator: null }]]);
    const theirs = shellOn(coordinator, { settings: settings({ locks }) });
    const id = (await theirs(acquire, ["db"], { ttl: "1 h" })).out.trim();
    const [before] = await coordinator.queue("db");
    const words = `not-allowed: the lease ${id} on db belongs to dba@example.com, and you are ann@admin-01`;
    for (const command of [release, renew]) expect(await refusal(run(command, ["db", id]))).toBe(words);
    // The output that a script gets if its own acquire has failed.
    const held = await run(acquire, ["db"]);
    expect([held.code, held.out.trim()]).toEqual([2, id]);
    expect(await refusal(run(release, ["db", held.out.trim()]))).toBe(words);
    expect(await coordinator.queue("db")).toEqual([before]);

    expect(await run(renew, ["db", id], { force: true, ttl: "2 h" })).toMatchObject({ code: 0 });
    expect(await coordinator.queue("db")).toMatchObject([
      { id, expiresAt: START + 7_200_000, owner: { principal: "dba@example.com" } },
    ]);
    expect(await run(release, ["db", id], { force: true })).toMatchObject({ code: 0 });
    expect(await coordinator.history("db", 10)).toMatchObject([
      { claim: id, event: "released", by: "ann@admin-01", reason: "by force", owner: { principal: "dba@example.com" } },
    ]);
  });

  test("is not forced where it is one's own", async () => {
    const { coordinator, run } = await openShell();
    const id = (await run(acquire, ["db"])).out.trim();
    await run(release, ["db", id], { force: true });
    expect(await coordinator.history("db", 1)).toMatchObject([{ by: "ann@admin-01", reason: null }]);
  });
});

describe("is-held", () => {
  test("says yes or no with its exit code alone", async () => {
    const { stage, run } = await openShell();
    const id = (await run(acquire, ["db"], { ttl: "4 s" })).out.trim();
    expect(await run(isHeld, ["db", id])).toEqual({ code: 0, out: "", err: "" });
    expect(documentIn(await run(isHeld, ["db", id], {}, true))).toEqual({ held: true });
    expect(await run(isHeld, ["web", id])).toEqual({ code: 1, out: "", err: "" });
    stage.now = START + 4_000;
    expect(await run(isHeld, ["db", id])).toEqual({ code: 1, out: "", err: "" });
    expect(documentIn(await run(isHeld, ["db", id], {}, true))).toEqual({ held: false });
  });
});

describe("current", () => {
  const one = [claim({ id: "id-1", since: START, owner: { ...claim().owner, principal: "ann@example.com" } })];
  const two = [...one, claim({ id: "id-2", since: START + 1_000, owner: { ...claim().owner, principal: "bo\tb" } })];

  test.each([
    ["id", ["id-1"], ["id-1", "id-2"]],
    ["oneline", [`ann@example.com\t${SINCE}\tid-1`], [`ann@example.com\t${SINCE}\tid-1`, `bo\\tb\t${at(1_000)}\tid-2`]],
    ["lines", ["ann@example.com", SINCE, "id-1"], ["ann@example.com", SINCE, "id-1", "bo\\tb", at(1_000), "id-2"]],
    [
      "json",
      [`{"id":"id-1","created":"${SINCE}","principal":"ann@example.com"}`],
      [
        `{"id":"id-1","created":"${SINCE}","principal":"ann@example.com"}`,
        `{"id":"id-2","created":"${at(1_000)}","principal":"bo\\tb"}`,
      ],
    ],
    [
      "cols",
      ["PRINCIPAL        CREATED                   ID", `ann@example.com  ${SINCE}  id-1`],
      ["PRINCIPAL        CREATED                   ID", `ann@example.com  ${SINCE}  id-1`, `bo\\tb            ${at(1_000)}  id-2`],
    ],
    [
      "rows",
      ["Principal:  ann@example.com", `Created:    ${SINCE}`, "Id:         id-1"],
      [
        ...["Principal:  ann@example.com", `Created:    ${SINCE}`, "Id:         id-1", ""],
        ...["Principal:  bo\\tb", `Created:    ${at(1_000)}`, "Id:         id-2"],
      ],
    ],
  ] as const)("shows holders as %s", (format, alone, both) => {
    expect(renderHolders(one, format)).toEqual(alone);
    expect(renderHolders(two, format)).toEqual(both);
    expect(renderHolders([], format)).toEqual([]);
  });

  test("shows rows where nothing else is asked for", async () => {
    const { run } = await openShell();
    const id = (await run(acquire, ["db"])).out.trim();
    const rows = `Principal:  ann@admin-01\nCreated:    ${SINCE}\nId:         ${id}\n`;
    expect(await run(current, ["db"])).toEqual({ code: 0, out: rows, err: "" });
    expect(await run(current, ["db"], { format: "rows" })).toMatchObject({ out: rows });
    for (const options of [{ format: "id" }, { idOnly: true }, { idOnly: true, format: "id" }])
      expect(await run(current, ["db"], options)).toEqual({ code: 0, out: `${id}\n`, err: "" });
    expect(documentIn(await run(current, ["db"], {}, true))).toMatchObject({
      holders: [{ id, condition: "leased", since: SINCE }],
    });
  });

  test("says 1 of a lock that is free, and of one whose lease is over, which is removed", async () => {
    const { stage, coordinator, run } = await openShell();
    expect(await run(current, ["db"], { format: "json" })).toEqual({ code: 1, out: "", err: "no lock held\n" });
    await run(acquire, ["db"], { ttl: "4 s" });
    stage.now = START + 4_000;
    const ran = await run(current, ["db"], {}, true);
    expect([ran.code, documentIn(ran), ran.err]).toEqual([1, { holders: [] }, "no lock held\n"]);
    expect(await coordinator.queue("db")).toEqual([]);
  });

  test.each<[Options, boolean, string]>([
    [{ format: "yaml" }, false, 'usage: --format: must be id, json, lines, oneline, cols or rows, not "yaml"'],
    [{ format: "json", idOnly: true }, false, "usage: --id-only and --format exclude each other"],
    [{ format: "id" }, true, "usage: --json and --format exclude each other"],
    [{ idOnly: true }, true, "usage: --json and --id-only exclude each other"],
  ])("refuses %j", async (options, json, words) => {
    const { run } = await openShell();
    expect(await refusal(run(current, ["db"], options, json))).toBe(words);
  });
});
