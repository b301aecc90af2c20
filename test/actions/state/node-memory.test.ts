// What a node remembers of what it has told: read back as it was saved; what cannot be read is told again.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aboutOf, type Remembered } from "../../../src/actions/fleet-context.js";
import { openNodeMemory } from "../../../src/actions/state/node-memory.js";
import { freshDirectory } from "../../support/roots.js";

const TOLD: Remembered = {
  ...{
    group: "web",
    machine: null,
    version: "0.2.0",
    lock: "l",
    outcome: "not-needed",
    message: "",
    ranMs: null,
    isPending: false,
  },
  moment: { bootId: "b", ticks: 7, wallMs: 9 },
};

test("each store, node and action has an entry of its own, which survives the process", async () => {
  const stateDir = await freshDirectory();
  const about = aboutOf({ store: "zookeeper://zk1/holdline" }, "web-01", "restart/nginx");
  expect(openNodeMemory(stateDir).latest(about)).toBeNull();
  openNodeMemory(stateDir).save(about, TOLD);
  expect(openNodeMemory(stateDir).latest(about)).toEqual(TOLD);
  for (const other of [
    aboutOf({}, "web-01", "restart/nginx"),
    aboutOf({ store: "zookeeper://zk1/holdline" }, "web-02", "restart/nginx"),
  ])
    expect(openNodeMemory(stateDir).latest(other)).toBeNull();
  openNodeMemory(stateDir).forget(about);
  expect(openNodeMemory(stateDir).latest(about)).toBeNull();
});

test("what is damaged is nothing, and is written anew", async () => {
  const stateDir = await freshDirectory();
  const memory = openNodeMemory(stateDir);
  memory.save("about", TOLD);
  const [name = ""] = readdirSync(join(stateDir, "told"));
  const damage = [
    "",
    "[]",
    "{",
    JSON.stringify({ v: 1, about: "else", ...TOLD }),
    JSON.stringify({ v: 1, about: "about", ...TOLD, group: 7 }),
  ];
  for (const text of [...damage, JSON.stringify({ v: 1, about: "about", ...TOLD, moment: null })]) {
    writeFileSync(join(stateDir, "told", name), text);
    expect(memory.latest("about"), text).toBeNull();
  }
  memory.save("about", TOLD);
  expect(memory.latest("about")).toEqual(TOLD);
});
