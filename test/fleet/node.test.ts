// The documents of nodes: written and read back, whatever somebody else has put there, and those of several stores as one list.
import { expect, test } from "vitest";
import { actionOf, decodeNode, encodeNode, isFulfilled, mergeNodes, type NodeDocument, nodesIn } from "../../src/fleet/node.js";

const NODE: NodeDocument = {
  node: "web-07",
  group: "web",
  machine: "m",
  seenAt: 2_000,
  version: "0.2.0",
  actions: {
    restart: { lock: "l", outcome: "ran", at: 2_000, ranMs: 30, message: "", wishedAt: 1_000, pendingSince: null },
  },
};

test("a document is read back as it was written, also for an action of an awkward name", () => {
  const { restart } = NODE.actions;
  const awkward = {
    ...NODE,
    actions: Object.fromEntries([
      ["__proto__", restart as never],
      ["constructor", restart as never],
    ]),
  };
  expect(decodeNode(encodeNode(NODE))).toEqual(NODE);
  expect(Object.keys(decodeNode(encodeNode(awkward))?.actions ?? {})).toEqual(["__proto__", "constructor"]);
  expect(actionOf(awkward, "constructor")).toEqual(restart);
  expect(actionOf(NODE, "constructor")).toBeUndefined();
});

test("what is no node's document is left out of a list, and so is what is no action of a node", () => {
  const broken = ["", "null", "{}", JSON.stringify({ v: 2, ...NODE }), JSON.stringify({ v: 1, ...NODE, seenAt: "now" })];
  const partly = JSON.stringify({ v: 1, ...NODE, actions: { ...NODE.actions, other: { outcome: "ran" } } });
  expect(nodesIn([...broken, partly].map((value) => ({ value })))).toEqual([NODE]);
});

test("of several stores, a node is what the newest says of it, with the actions of all", () => {
  const restart = NODE.actions["restart"] as NonNullable<(typeof NODE.actions)[string]>;
  const elsewhere = { ...NODE, seenAt: 3_000, group: "db", actions: { deploy: { ...restart, lock: "deploy" } } };
  const both = { ...elsewhere, actions: { deploy: { ...restart, lock: "deploy" }, restart } };
  expect(mergeNodes([[NODE], [elsewhere]])).toEqual([both]);
  expect(mergeNodes([[elsewhere], [NODE]])).toEqual([both]);
  expect(mergeNodes([[{ ...NODE, node: "b" }], [{ ...NODE, node: "a" }]]).map(({ node }) => node)).toEqual(["a", "b"]);
});

test("a wish is fulfilled by what ran, and by what did not have to run", () => {
  const outcomes = ["ran", "already-restarted", "already-done", "not-needed", "failed", "timed-out", "begun", "rebooting"];
  expect(outcomes.filter((outcome) => isFulfilled({ outcome }))).toEqual(outcomes.slice(0, 4));
});
