// Commands that only look at a SQLite database, or only end something: they make no database, and can read one that is read-only.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory, freshId } from "../support/roots.js";
import { reasonNotToMount, SmallDisk } from "../support/small-disk.js";
import { Fleet, PROGRAM } from "./fleet.js";

failOnLeaks();

const cannotMount = reasonNotToMount();

async function fleetOn(name: string) {
  const directory = await freshDirectory();
  const path = join(directory, "store", name);
  return { path, directory, node: new Fleet("sqlite", `sqlite://${path}`, directory).node("web-01", {}) };
}

describe("a database that is not there", () => {
  const id = freshId();
  test.each([
    [["locks"], 0],
    [["locks", "db"], 1],
    [["history"], 0],
    [["current", "db"], 1],
    [["is-held", "db", id], 1],
    [["status", "dc01"], 0],
    [["test", "dc01"], 1],
    [["data", "db", id], 1],
    [["release", "db", id], 0],
    [["renew", "db", id], 3],
    [["unlock", id], 0],
    [["clear", "db", "--reason", "x"], 1],
  ])("is not made by %j, which says so", async (args, expected) => {
    const { node, path } = await fleetOn("holdlime.db");
    const { code, stderr } = await node.run(...args);
    expect(code, stderr).toBe(expected);
    expect(stderr).toContain(`there is no database ${path} yet: is its path right?`);
    expect(existsSync(join(path, ".."))).toBe(false);
  });

  test("is made by the first that locks something", async () => {
    const { node, path } = await fleetOn("holdline.db");
    const { code, stderr } = await node.run("acquire", "db");
    expect(code, stderr).toBe(0);
    expect(existsSync(path)).toBe(true);
  });
});

test.skipIf(cannotMount !== null)("a database that may only be read is read, and what would change it is refused", async () => {
  const { node, path } = await fleetOn("holdline.db");
  const disk = new SmallDisk(join(path, ".."));
  onTestFinished(() => disk.close());
  const { stdout } = await node.run("acquire", "db", "--reason", "schema 42");
  const id = stdout.trim();
  const former = (await node.run("acquire", "other")).stdout.trim();
  expect((await node.run("release", "other", former)).code).toBe(0);
  const before = await node.run("locks", "--json");
  disk.protect();
  expect(await node.run("locks", "--json")).toEqual(before);
  expect((await node.run("history")).stdout).toMatch(/other +released/);
  expect((await node.run("current", "db")).stdout).toContain(id);
  expect((await node.run("is-held", "db", id)).code).toBe(0);
  const refused = await node.run("release", "db", id);
  expect(refused).toMatchObject({
    code: 77,
    stderr: expect.stringContaining(`this user may only read the database ${path}`) as string,
  });
  expect((await node.run("acquire", "db")).code).toBe(69);
});

test("without any configuration, what locks says once that it locks on this machine only", async () => {
  const home = await freshDirectory();
  const around = { PATH: process.env["PATH"], HOME: home, XDG_CONFIG_HOME: home, HOLDLINE_STATE_DIR: join(home, "state") };
  const said = (args: readonly string[], env: NodeJS.ProcessEnv = {}): number => {
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
      cwd: home,
      env: { ...around, ...env },
      encoding: "utf8",
    });
    expect(status, stderr).toBe(0);
    return stderr.split("this is a lock of this machine only").length - 1;
  };
  expect(said(["locks"]), "it locks nothing").toBe(0);
  expect(said(["exec", "job", "--", "true"], { HOLDLINE_COORDINATOR: `sqlite://${home}/chosen.db` }), "it was chosen").toBe(0);
  expect(said(["exec", "job", "-q", "--", "true"]), "nobody heard it").toBe(0);
  expect(said(["exec", "job", "--", "true"])).toBe(1);
  expect(said(["exec", "job", "--", "true"])).toBe(0);
  expect(said(["acquire", "lease"])).toBe(1);
  expect(said(["acquire", "another"])).toBe(0);
});

test("a folder that is made for a database is named, where somebody has named the database", async () => {
  const home = await freshDirectory();
  const run = (path: string) =>
    spawnSync(process.execPath, [PROGRAM, "--coordinator", `sqlite://${path}`, "exec", "job", "--", "true"], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home, HOLDLINE_STATE_DIR: join(home, "state") },
      encoding: "utf8",
    });
  expect(run(join(home, "there.db"))).toMatchObject({ status: 0, stderr: "" });
  const mistyped = run(join(home, "nowhere/db"));
  expect(mistyped).toMatchObject({
    status: 0,
    stderr: expect.stringContaining(`the database's folder ${join(home, "nowhere")} was missing and has been created`) as string,
  });
  expect(run(join(home, "nowhere/db"))).toMatchObject({ status: 0, stderr: "" });
});

test("a file with a secret that everybody may read is warned of", async () => {
  const home = await freshDirectory();
  const file = join(home, "holdline.yaml");
  const check = (): string => spawnSync(process.execPath, [PROGRAM, "-c", file, "check"], { cwd: home, encoding: "utf8" }).stdout;
  writeFileSync(file, "coordinator: zookeeper://ops:s3cret@127.0.0.1:2181/x\n", { mode: 0o644 });
  expect(check()).toContain(`everybody on this machine may read ${file}`);
  chmodSync(file, 0o640);
  expect(check()).not.toContain("may read");
  chmodSync(file, 0o644);
  writeFileSync(file, "notify: [{ url: https://chat.example.com/hooks/x }]\n");
  expect(check()).toContain("may read");
  writeFileSync(file, "actions: { a: { shell: x, blockers: [{ prometheus: 'https://ops:s3cret@prom' }] } }\n");
  expect(check()).toContain("may read");
  writeFileSync(file, "coordinator: zookeeper://127.0.0.1:2181/x\n");
  chmodSync(file, 0o644);
  expect(check()).not.toContain("may read");
});
