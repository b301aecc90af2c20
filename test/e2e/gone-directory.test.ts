// Holdline in a working directory that has been removed, as by a deploy that replaces its folder. Commands that need no path work as
// they do without Holdline; those that need one say why there is none.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { openFleet, PROGRAM } from "./fleet.js";

failOnLeaks();

async function openGone() {
  const fleet = await openFleet("sqlite");
  const run = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"';
    const child = spawnSync("/bin/sh", ["-c", script, "sh", ...argv], {
      cwd: fleet.directory,
      env: { ...process.env, ...env },
      encoding: "utf8",
      timeout: 50_000,
    });
    return [child.status, child.stdout, child.stderr] as const;
  };
  const holdline = (...args: readonly string[]) => run([process.execPath, PROGRAM, ...args]);
  const { config } = fleet.node("web-01", { restart: { command: ["true"] }, there: { command: ["pwd"], cwd: "/" } });
  return { fleet, run, holdline, config };
}

test.each([[[]], [["--durable"]]])("a command that needs no path runs as it does without holdline (exec %j)", async (options) => {
  const { run, holdline, config } = await openGone();
  for (const command of [
    ["/bin/echo", "x"],
    ["sh", "-c", 'echo "$PWD"; echo y >&2'],
  ])
    expect(holdline("-q", "-c", config, "exec", ...options, "U", "--", ...command)).toEqual(run(command));
});

test("actions run, and leases are taken and shown", async () => {
  const { holdline, config } = await openGone();
  expect(holdline("-c", config, "run", "restart")[0]).toBe(0);
  expect(holdline("-c", config, "run", "there")).toMatchObject([0, expect.stringContaining("/\n"), expect.any(String)]);
  expect(holdline("-c", config, "acquire", "db")[0]).toBe(0);
  expect(holdline("-c", config, "locks")).toMatchObject([0, expect.stringContaining("db"), ""]);
  expect(holdline("-c", config, "check", "--live")).toMatchObject([0, expect.any(String), ""]);
});

test("the configuration that is looked for is found elsewhere", async () => {
  const { run, fleet } = await openGone();
  const home = { HOME: fleet.directory, XDG_CONFIG_HOME: "", HOLDLINE_COORDINATOR: fleet.url };
  expect(run([process.execPath, PROGRAM, "acquire", "db"], home)[0]).toBe(0);
  expect(run([process.execPath, PROGRAM, "locks"], home)).toMatchObject([0, expect.stringContaining("db"), ""]);
});

test.each<[readonly string[], number, string]>([
  [["-c", "holdline.yaml", "locks"], 78, '"holdline.yaml"'],
  [["exec", "U", "--", "./program"], 127, '"./program"'],
  [["acquire", "db", "--data", "@data.yaml"], 64, '"data.yaml"'],
  [["lock", "--file", "./x"], 78, '"./x"'],
  [["lock", "dc01", "--dependencies", "deps.yaml"], 78, '"deps.yaml"'],
])("a relative path is refused in words: %j", async (args, code, path) => {
  const { holdline, config } = await openGone();
  const [status, , stderr] = holdline(...(args[0] === "-c" ? [] : ["-c", config]), ...args);
  expect(stderr).toContain(`${path} is a relative path, and the working directory is gone`);
  expect(status).toBe(code);
});
