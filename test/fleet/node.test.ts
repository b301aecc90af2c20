// The documents of nodes: written and read back, whatever somebody else has put there, and those of several stores as one list.
import { expect, test } from "vitest";
import {
  actionOf,
  decodeNode,
  documentOfNode,
  encodeNode,
  isFulfilled,
  mergeNodes,
  type NodeDocument,
  nodesIn,
} from "../../src/fleet/node.js";

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
  const named = [...broken, partly].map((value) => ({ name: documentOfNode(NODE.node), value }));
  expect(nodesIn(named)).toEqual([NODE]);
});

test("a document that speaks for another node is left out", () => {
  const value = encodeNode(NODE);
  expect(nodesIn(["nodes/web-08", "nodes/web-07", "nodes/web-07/x", "web-07"].map((name) => ({ name, value })))).toEqual([NODE]);
});

test("texts longer than any that a run writes are no texts", () => {
  const endless = "x".repeat(100_000);
  const { restart } = NODE.actions;
  const long = {
    ...NODE,
    actions: { restart, other: { ...restart, message: endless }, lock: { ...restart, lock: endless }, [endless]: restart },
  };
  expect(decodeNode(encodeNode({ ...long, machine: endless } as NodeDocument))).toEqual({ ...NODE, machine: null });
  for (const part of ["node", "group", "version"]) expect(decodeNode(encodeNode({ ...NODE, [part]: endless }))).toBeNull();
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
