// Nodes and rollouts for people: the bar, who says the same in one row, and what changes in a log.
import fc from "fast-check";
import { expect, test } from "vitest";
import { progressWords, renderNodes, renderRollout, renderRolloutChange } from "../../src/cli/fleet-listing.js";
import type { View } from "../../src/cli/table.js";
import { ROLLOUT_STATES, type Rollout, type RolloutNode } from "../../src/fleet/rollout.js";
import { NOW } from "./fakes.js";
import { BY_STORE } from "../support/perspectives.js";

const VIEW: View = { paint: (_, text) => text, columns: Number.POSITIVE_INFINITY, isExact: false, perspective: BY_STORE };

function rollout(each: readonly RolloutNode[], etaMs: number | null = null): Rollout {
  const counts = Object.fromEntries(ROLLOUT_STATES.map((state) => [state, each.filter((one) => one.state === state).length]));
  return { action: "restart", group: "web", since: NOW - 720_000, counts: counts as Rollout["counts"], etaMs, each };
}

const one = (node: string, state: RolloutNode["state"], message = ""): RolloutNode => ({ node, state, at: NOW - 60_000, message });

test("who says the same shares a row, what failed comes first, and who is done has no row", () => {
  const waiting = Array.from({ length: 30 }, (_, index) => one(`web-${index + 10}`, "waiting"));
  const each = [one("a", "done"), one("b", "failed", "exit code 1"), one("c", "running", "soaking"), ...waiting];
  expect(renderRollout(rollout(each, 840_000), NOW, VIEW)).toEqual(
    [
      "restart in group web, since 12 min ago",
      "[=!>>....................................] 3 %",
      "1 of 33 nodes are done, 1 failed, 1 running, 30 waiting; about 14 min left",
      "",
      "STATE    NODES                                                       SINCE      WHY",
      "failed   b                                                           1 min ago  exit code 1",
      "running  c                                                           1 min ago  soaking",
      "waiting  web-10, web-11, web-12, web-13, web-14, web-15, and 24 more  1 min ago",
    ]
      .map((line) => line.replace(/ {2,}/g, "  "))
      .map((line) => expect.stringMatching(new RegExp(`^${escaped(line)}$`)) as string),
  );
  const exact = renderRollout(rollout(each), NOW, { ...VIEW, isExact: true });
  expect(exact).toHaveLength(4 + 1 + 33);
});

test("places in line and times that have passed are no reasons of their own; exit codes and times of day are", () => {
  const pending = (node: string, waited: string, place: string, ago: string) =>
    one(
      node,
      "pending",
      `timed out: gave up after ${waited}, ${place} in line for restart; FAILED on web-02 ${ago} ago: exit code 1`,
    );
  const rows = renderRollout(
    rollout([
      pending("a", "0.22 s", "1st", "3 min"),
      pending("b", "30 s", "22nd", "1 h 4 min"),
      one("c", "pending", "exit code 2"),
      one("d", "pending", "exit code 3"),
      one("e", "pending", "opens at 02:00"),
      one("f", "pending", "opens at 03:00"),
    ]),
    NOW,
    VIEW,
  ).filter((line) => line.startsWith("pending"));
  expect(rows.map((line) => /^pending +(.*?) {2}/.exec(line)?.[1])).toEqual(["a, b", "c", "d", "e", "f"]);
});

test("nodes that were last seen at different times share a row, and one by itself says when", () => {
  const idle = Array.from({ length: 2_000 }, (_, index) =>
    one(`idle-${index}`, "notYet", `last seen ${new Date(index).toISOString()}`),
  );
  const rows = renderRollout(rollout(idle), NOW, VIEW).slice(5);
  expect(rows).toEqual([expect.stringMatching(/^not yet +idle-0, .* more .* last seen before it began$/)]);
  expect(renderRollout(rollout(idle.slice(0, 1)), NOW, VIEW).at(-1)).toMatch(/ last seen 1970-01-01T00:00:00.000Z$/);
});

function escaped(line: string): string {
  return line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ {2}/g, " +");
}

test("the bar is as wide as it says, whatever the counts and the window", () => {
  const someNodes = fc.array(fc.constantFrom(...ROLLOUT_STATES), { maxLength: 300 });
  fc.assert(
    fc.property(someNodes, fc.integer({ min: 1, max: 200 }), (states, columns) => {
      const each = states.map((state, index) => one(`n${index}`, state));
      const bar = renderRollout(rollout(each), NOW, { ...VIEW, columns }).find((line) => /^\[[=!>. ]+\] \d+ %$/.test(line)) ?? "";
      expect(bar.indexOf("]") - 1).toBe(Math.max(1, Math.min(40, columns - 8)));
      const share = Number(/(\d+) %/.exec(bar)?.[1]);
      expect(share === 100).toBe(states.length > 0 && states.every((state) => state === "done"));
    }),
  );
});

test("it is over when nothing is to come", () => {
  expect(progressWords(rollout([one("a", "done")], 0))).toBe("1 of 1 node is done; over");
  expect(progressWords(rollout([one("a", "done"), one("b", "notYet")]))).toBe("1 of 2 nodes are done, 1 not yet");
});

test("a log has a line for each node that has changed, and others' words cannot write to the terminal", () => {
  const before = rollout([one("a", "running"), one("b", "waiting"), one("c", "done")]);
  const after = rollout([one("a", "done"), one("b", "running", "soaking"), one("c", "done"), one("d\u001b[2J", "failed", "x\ny")]);
  const [, ...lines] = renderRolloutChange(after, before);
  expect(lines.slice(0, 2)).toEqual(["a: done", "b: running, soaking"]);
  expect(lines).toHaveLength(3);
  expect(lines[2]).toMatch(/^d[^\p{Cc}]*: failed, x[^\p{Cc}]*y$/u);
});

test("a node without actions has a row, one with several has one for each; details only where they were asked for", () => {
  const action = { lock: "l", outcome: "ran", at: NOW - 5_000, ranMs: 1, message: "", wishedAt: NOW, pendingSince: null };
  const pending = { ...action, outcome: "outside-window", message: "opens on Sat", pendingSince: NOW - 60_000 };
  const about = { group: "web", machine: "m1", seenAt: NOW - 5_000, version: "0.2.0" };
  const nodes = [
    { ...about, node: "a", actions: {} },
    { ...about, node: "b", actions: { restart: action, deploy: pending } },
  ];
  const lines = renderNodes(nodes, NOW, VIEW);
  expect(lines.map((line) => line.split(/ {2,}/).filter(Boolean))).toEqual([
    ["NODE", "GROUP", "SEEN", "ACTION", "LAST", "WHEN", "WHY"],
    ["a", "web", "5 s ago"],
    ["b", "web", "5 s ago", "restart", "ran", "5 s ago"],
    ["deploy", "outside window", "5 s ago", "pending since 1 min ago: opens on Sat"],
  ]);
  expect(renderNodes(nodes, NOW, { ...VIEW, isExact: true }).join("\n")).toContain("version 0.2.0, machine m1");
});
