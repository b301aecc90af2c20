// Output that cannot be written: the exit code is never 0, and no lease stays whose id was lost.
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory } from "../support/roots.js";
import { PROGRAM } from "./fleet.js";

failOnLeaks();

describe.skipIf(!existsSync("/dev/full"))("on a full disk", () => {
  test.each([
    ["--version"],
    ["--help"],
    ["help", "acquire"],
    ["completion", "bash"],
    ["locks"],
    ["-q", "locks", "--json"],
    ["locks", "--watch"],
    ["history"],
    ["history", "--json"],
    ["check"],
    ["status", "dc01"],
  ])("what is shown ends with 74: holdline %s %s %s", async (...args) => {
    const { status, stderr } = (await openPlace()).toFullDisk(...args.filter((arg) => arg !== undefined));
    expect([status, stderr]).toEqual([
      74,
      expect.stringMatching(/^holdline: the output could not be written to standard output: ENOSPC/),
    ]);
  });

  test.each([
    ["acquire", "db"],
    ["acquire", "db", "--json"],
    ["lock", "dc01"],
    ["lock", "dc01", "--json"],
  ])("what was taken is given back: holdline %s %s %s", async (...args) => {
    const place = await openPlace();
    const { status, stderr } = place.toFullDisk(...args.filter((arg) => arg !== undefined));
    expect([status, stderr]).toEqual([
      74,
      expect.stringMatching(/^holdline: the lease on (?:host\/dc01|db) was given back, because its id/m),
    ]);
    expect(JSON.parse(place.run("locks", "--json").stdout)).toEqual({ locks: [], freezes: [] });
    expect(JSON.parse(place.run("history", "--json").stdout)).toMatchObject({
      history: [{ event: "released", reason: "its id could not be written" }],
    });
  });

  test("a code that says more stays", async () => {
    const place = await openPlace();
    expect(place.run("acquire", "db").status).toBe(0);
    expect(place.toFullDisk("acquire", "db").status).toBe(2);
  });
});

describe("of a reader that has gone", () => {
  test("a listing takes no notice", async () => {
    expect((await openPlace()).toNobody("check")).toMatchObject({ code: 0, stderr: "" });
  });

  test("an acquire gives back what it took", async () => {
    const place = await openPlace();
    const { code, stderr } = place.toNobody("acquire", "db");
    expect([code, stderr]).toEqual([74, expect.stringMatching(/was given back, because its id could not be written.*EPIPE/)]);
    expect(place.run("locks", "db").status, "nobody holds it").toBe(1);
  });
});

async function openPlace() {
  const cwd = await freshDirectory();
  const env = { PATH: process.env["PATH"], HOME: cwd, HOLDLINE_STATE_DIR: join(cwd, "state"), HOLDLINE_LOG_LEVEL: "warn" };
  const run = (args: readonly string[], stdout: "pipe" | number) =>
    spawnSync(process.execPath, [PROGRAM, ...args], {
      cwd,
      env,
      encoding: "utf8",
      stdio: ["ignore", stdout, "pipe"],
      timeout: 60_000,
    });
  // With a store: a missing one would add a message.
  expect(run(["-q", "exec", "made", "--", "true"], "pipe").status).toBe(0);
  return {
    run: (...args: readonly string[]) => run(args, "pipe"),
    toFullDisk(...args: readonly string[]) {
      const full = openSync("/dev/full", "w");
      try {
        return run(args, full);
      } finally {
        closeSync(full);
      }
    },
    /** Starts only when nobody holds the other end of its pipe. */
    toNobody(...args: readonly string[]) {
      const script =
        '{ until [ -e gone ]; do :; done; "$@" 2> errors; echo $? > code; } | { exec 0<&-; : > gone; }; cat errors >&2; cat code';
      const ran = spawnSync("/bin/sh", ["-c", script, "sh", process.execPath, PROGRAM, ...args], { cwd, env, encoding: "utf8" });
      return { code: Number(ran.stdout), stderr: ran.stderr };
    },
  };
}
