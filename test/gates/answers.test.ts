// What signs and blockers say: the order in which they are looked at, and the words.
import { describe, expect, test } from "vitest";
import { type BlockerFact, type BlockerSettings, nextBlocker } from "../../src/gates/blockers.js";
import { gatesToAsk } from "../../src/gates/gate.js";
import { type NeededFact, type NeededSettings, nextSign } from "../../src/gates/needed.js";

const ALL: NeededSettings = { file: "/run/reboot-required", changed: ["/etc/nginx/**"], outdated: true, argv: ["check-it", "a b"] };

const NO: readonly NeededFact[] = [
  { sign: "file", path: "/run/reboot-required", isThere: false },
  { sign: "changed", found: "none-newer", files: 12 },
  { sign: "outdated", found: "up-to-date", processes: 3 },
  { sign: "command", argv: ["check-it", "a b"], exitCode: 1, problem: null },
];

describe("needed", () => {
  test("signs are looked at from the cheapest on, and all of them before the action is not needed", () => {
    const looks = NO.map((_, index) => nextSign(ALL, NO.slice(0, index)));
    expect(looks.map((step) => ("look" in step ? step.look.sign : step))).toEqual(["file", "changed", "outdated", "command"]);
    expect(nextSign(ALL, NO)).toEqual({
      answer: {
        answer: "not-needed",
        because:
          '/run/reboot-required is not there; none of 12 files is newer than the process; its 3 processes are up to date; check-it "a b" says no',
      },
    });
  });

  test("one that says yes is enough, whatever could not be told before it", () => {
    const facts: readonly NeededFact[] = [
      { sign: "file", path: "/run/reboot-required", problem: "EACCES" },
      { sign: "changed", found: "newer", path: "/etc/nginx/nginx.conf", pid: 1234 },
    ];
    expect(nextSign(ALL, facts)).toEqual({
      answer: { answer: "go", because: "/etc/nginx/nginx.conf is newer than process 1234" },
    });
  });

  test.each<readonly [NeededFact, string]>([
    [{ sign: "file", path: "/run/x", isThere: true }, "/run/x is there"],
    [{ sign: "changed", found: "no-process" }, "no process matches `process`: the service is down"],
    [
      { sign: "outdated", found: "outdated", pid: 7, path: "/usr/sbin/nginx", became: "replaced" },
      "process 7 runs from /usr/sbin/nginx, which has been replaced",
    ],
    [{ sign: "command", argv: ["check-it"], exitCode: 0, problem: null }, "check-it says so"],
  ])("%j says that it is needed, and why", (fact, because) => {
    expect(nextSign(ALL, [fact])).toEqual({ answer: { answer: "go", because } });
  });

  test.each<readonly [NeededFact, string]>([
    [{ sign: "file", path: "/run/reboot-required", problem: "no access" }, "/run/reboot-required cannot be looked for: no access"],
    [{ sign: "changed", found: "problem", problem: "/etc/x cannot be read" }, "/etc/x cannot be read"],
    [{ sign: "outdated", found: "problem", problem: "process 7 is another user's" }, "process 7 is another user's"],
    [{ sign: "command", argv: ["check-it"], exitCode: 2, problem: "exit code 2" }, "check-it: exit code 2"],
  ])("%j runs nothing and fails nothing", (fact, why) => {
    const others = NO.filter(({ sign }) => sign !== fact.sign);
    expect(nextSign(ALL, [fact, ...others])).toEqual({
      answer: {
        answer: "not-now",
        outcome: "blocked",
        because: `it cannot be told whether it is needed: ${why}`,
        untilMs: null,
      },
    });
  });

  test("an action that says nothing of it is always needed", () => {
    expect(nextSign(null, [])).toMatchObject({ answer: { answer: "go" } });
  });

  test("a service that is down is not outdated", () => {
    const settings = { ...ALL, file: null, changed: [], argv: null };
    expect(nextSign(settings, [{ sign: "outdated", found: "no-process" }])).toMatchObject({ answer: { answer: "not-needed" } });
  });
});

describe("blockers", () => {
  const GREEN: BlockerSettings = { type: "command", name: "cluster is green", argv: ["es-green"], timeoutMs: 30_000 };
  const ALERTS: BlockerSettings = {
    ...{ type: "prometheus", name: "no alert", url: "http://prom:9090", alerts: null, ignore: null },
    timeoutMs: 30_000,
  };
  const FREE: BlockerFact = { type: "command", name: "cluster is green", problem: null, line: "" };

  test("they are asked in their order, and none after one that blocks", () => {
    expect(nextBlocker([GREEN, ALERTS], [])).toEqual({ look: GREEN });
    expect(nextBlocker([GREEN, ALERTS], [FREE])).toEqual({ look: ALERTS });
    expect(nextBlocker([GREEN, ALERTS], [FREE, { type: "prometheus", name: "no alert", alerts: [] }])).toMatchObject({
      answer: { answer: "go" },
    });
    const red: BlockerFact = { type: "command", name: "cluster is green", problem: "exit code 1", line: "status is red" };
    expect(nextBlocker([GREEN, ALERTS], [red])).toMatchObject({ answer: { outcome: "blocked" } });
  });

  test.each<readonly [BlockerFact, string]>([
    [{ type: "command", name: "green", problem: "exit code 1", line: "" }, 'blocked by "green": exit code 1'],
    [
      { type: "command", name: "green", problem: "exit code 1", line: "red \u001b[2J" },
      'blocked by "green": exit code 1: red \\x1b[2J',
    ],
    [{ type: "prometheus", name: "p", alerts: ["NodeDown"] }, 'blocked by "p": an alert fires: NodeDown'],
    [
      { type: "prometheus", name: "p", alerts: ["A", "B", "C", "D", "E", "F", "G"] },
      'blocked by "p": 7 alerts fire: A, B, C, D, E and 2 more',
    ],
    [{ type: "prometheus", name: "p", problem: "no answer" }, 'blocked by "p": no answer'],
  ])("%j blocks in words", (fact, because) => {
    expect(nextBlocker([GREEN], [fact])).toMatchObject({ answer: { because } });
  });
});

test("a person may pass by gates, and freezes only for that reason", () => {
  expect(gatesToAsk({ force: false, despiteFreeze: false })).toEqual(["needed", "window", "freeze", "blockers"]);
  expect(gatesToAsk({ force: true, despiteFreeze: false })).toEqual(["freeze"]);
  expect(gatesToAsk({ force: false, despiteFreeze: true })).toEqual(["needed", "window", "blockers"]);
  expect(gatesToAsk({ force: true, despiteFreeze: true })).toEqual([]);
});
