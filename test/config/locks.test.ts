// The configuration of locks by name, and which hosts depend on which.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { coordinatorsInForce, settingsOfLock } from "../../src/config/locks.js";
import { load, problemsOf, temporaryFolder } from "./loading.js";

describe("what is in force for a lock", () => {
  const text = `
principal: general@example.com
coordinator: sqlite:///general.db
locks:
  default: { ttl: 2 hours, coordinator: sqlite:///default.db }
  db: { ttl: 1 day, principal: dba@example.com }
  app: { coordinator: sqlite:///app.db }
`;

  test("is its own, else that of `default`, else the general one", async () => {
    const settings = await load(text);
    expect(settingsOfLock(settings, "db")).toEqual({
      ttlMs: 86_400_000,
      principal: "dba@example.com",
      coordinator: "sqlite:///default.db",
    });
    expect(settingsOfLock(settings, "app")).toEqual({
      ttlMs: 7_200_000,
      principal: "general@example.com",
      coordinator: "sqlite:///app.db",
    });
    expect(settingsOfLock(settings, "elsewhere").coordinator).toBe("sqlite:///default.db");
    expect(settingsOfLock(await load(null), "db")).toMatchObject({ ttlMs: null, principal: "ann@web-07.example.com" });
  });

  test("is what the environment or a flag says, whatever the file says of the lock", async () => {
    const settings = await load(text, {
      env: { HOLDLINE_PRINCIPAL: "me" },
      flags: new Map([["coordinator", "sqlite:///flag.db"]]),
    });
    expect(settingsOfLock(settings, "db")).toEqual({ ttlMs: 86_400_000, principal: "me", coordinator: "sqlite:///flag.db" });
    expect(coordinatorsInForce(settings)).toEqual(["sqlite:///flag.db"]);
  });

  test("names the stores, each once, the general one first", async () => {
    const named = "locks: { a: { coordinator: sqlite:///a.db }, b: {}, c: { coordinator: sqlite:///a.db } }\n";
    expect(coordinatorsInForce(await load(`coordinator: sqlite:///general.db\n${named}`))).toEqual([
      "sqlite:///general.db",
      "sqlite:///a.db",
    ]);
    expect(coordinatorsInForce(await load(text)), "`default` is in the place of the general one").toEqual([
      "sqlite:///default.db",
      "sqlite:///app.db",
    ]);
  });
});

test("the lock of a host may be named in any case", async () => {
  const settings = await load("locks: { host/DC01.Example.com.: { ttl: 1 s }, Host/x: { ttl: 2 s } }\n");
  expect([...settings.locks.keys()]).toEqual(["host/dc01.example.com", "Host/x"]);
});

describe("dependencies", () => {
  const map = new Map([
    ["hv01", ["dc01", "vmm01"]],
    ["dc01", ["dc02"]],
  ]);

  test("are a map of hosts, in the case in which hosts are locked", async () => {
    expect((await load("dependencies: { HV01: [dc01, VMM01, dc01], dc01: dc02, empty: }\n")).dependencies).toEqual(
      new Map([...map, ["empty", []]]),
    );
  });

  test.each([
    ["yaml", "hv01: [dc01, vmm01]\ndc01: [dc02]\n"],
    ["json", '{"hv01": ["dc01", "vmm01"], "dc01": ["dc02"]}'],
  ])("may be in a file of their own, in %s", async (ending, text) => {
    const file = join(temporaryFolder(), `map.${ending}`);
    writeFileSync(file, text);
    expect((await load(`dependencies: ${file}\n`)).dependencies).toEqual(map);
  });

  test.each([
    ["{ hv01: [a b] }", "dependencies.hv01.0: a host's name must be without blanks"],
    ["{ 'a/b': [x] }", "dependencies.a/b: a host's name must be without blanks"],
    ["{ hv01: [[x]] }", "dependencies.hv01.0: must be text"],
    ["[x]", "dependencies: must be a map of keys and values"],
    ["/nowhere/map.yaml", "/nowhere/map.yaml: there is no such file (named by dependencies)"],
    ['""', "dependencies: names no file"],
    ["{ hv01: [dc01], dc01.example.com: [app1] }", 'dependencies: has "dc01" and "dc01.example.com", which are one host'],
  ])("are refused: %s", async (yaml, words) => {
    expect((await problemsOf(`dependencies: ${yaml}\n`)).join()).toContain(words);
  });

  test("in a file of their own stand beside the configuration's, wherever they are read from", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "maps"));
    writeFileSync(join(folder, "maps/map.yaml"), "hv01: [dc01, vmm01]\ndc01: [dc02]\n");
    writeFileSync(join(folder, "holdline.yaml"), "dependencies: ./maps/map.yaml\n");
    expect((await load(null, { config: join(folder, "holdline.yaml") })).dependencies).toEqual(map);
  });

  test("in a file of their own are read to their end, whatever is wrong elsewhere", async () => {
    const folder = temporaryFolder();
    const [broken, wrong] = [join(folder, "broken.yaml"), join(folder, "wrong.yaml")];
    writeFileSync(broken, "a: [\n");
    writeFileSync(wrong, "a: [b c]\n");
    const both = await problemsOf(`nod: x\ndependencies: ${wrong}\n`);
    expect(both).toHaveLength(2);
    expect(both.join()).toContain(`${wrong}:1: a.0: a host's name must be without blanks`);
    expect((await problemsOf(`nod: x\ndependencies: ${broken}\n`)).join()).toContain(`${broken}:2: is not proper YAML`);
  });
});
