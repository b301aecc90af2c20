// A process in another pid namespace, as a container's is, which nobody here can look at: its session says whether it lives.
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { PROGRAM } from "../../e2e/fleet.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { until } from "../../support/wait.js";
import { openFor } from "./store.js";

failOnLeaks();

const NAMESPACE = ["--pid", "--fork", "--kill-child"];
const canUnshare = spawnSync("unshare", [...NAMESPACE, "true"]).status === 0;

describe.skipIf(!canUnshare)("a holder in another pid namespace", () => {
  test.each([
    ["ephemeral", []],
    ["durable", ["--durable"]],
  ])("counts as alive until it is killed: an %s claim", async (kind, options) => {
    const directory = await freshDirectory();
    const path = join(directory, "holdline.db");
    const coordinator = await openFor(path);
    const command = [PROGRAM, "--coordinator", `sqlite://${path}`, "exec", "a", ...options, "--", "sleep", "1000"];
    const holder = spawn("unshare", [...NAMESPACE, process.execPath, ...command], {
      cwd: directory,
      env: { PATH: process.env["PATH"], HOME: directory, HOLDLINE_STATE_DIR: join(directory, "state") },
      stdio: "ignore",
    });
    onTestFinished(() => void holder.kill("SIGKILL"));
    const isThere = async () => {
      const [claim] = await coordinator.queue("a");
      return claim?.durable === (kind === "durable") ? claim : null;
    };
    expect(await until(isThere, "the claim")).toMatchObject({ alive: true });
    // Whoever comes and looks meanwhile takes it for what it is.
    const other = await openFor(path);
    expect(await other.queue("a")).toMatchObject([{ alive: true }]);
    holder.kill("SIGKILL");
    await once(holder, "exit");
    if (kind === "ephemeral") await until(async () => (await coordinator.queue("a")).length === 0, "the claim to end");
    else await until(async () => (await coordinator.queue("a"))[0]?.alive === false, "the claim to be stale");
  });
});

test("what ended sessions have left is removed, and what is held stays", async () => {
  const directory = await freshDirectory();
  const path = join(directory, "holdline.db");
  const folder = `${path}-sessions`;
  mkdirSync(folder);
  const left = randomUUID();
  writeFileSync(join(folder, left), "");
  const one = await openFor(path);
  const held = readdirSync(folder);
  expect(held).toHaveLength(1);
  expect(held).not.toContain(left);
  const other = await openFor(path);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(held));
  await other.close();
  expect(readdirSync(folder)).toEqual(held);
  await one.close();
  expect(existsSync(folder) && readdirSync(folder)).toEqual([]);
});
