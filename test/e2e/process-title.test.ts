// Nobody can read a password from the command line while the agent runs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { titleWithoutPasswords } from "../../src/title.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshDirectory } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { startCli } from "./fleet.js";

failOnLeaks();

test.each([
  ["an argument of its own", (url: string) => ["--coordinator", url]],
  ["one with the option", (url: string) => [`--coordinator=${url}`]],
])("the title has no password: %s", async (_what, option) => {
  const directory = await freshDirectory();
  // Nobody listens there, so the agent runs until its connect timeout, or until it is stopped.
  const env = { HOLDLINE_STATE_DIR: join(directory, "state"), HOLDLINE_LOG_FORMAT: "text" };
  const agent = startCli([...option("zookeeper://u:s3cret@127.0.0.1:1/x"), "locks"], directory, env);
  await until(() => agent.stderr().includes("other users of this machine could read the password"), "the warning");
  const line = readFileSync(`/proc/${agent.pid}/cmdline`, "utf8");
  expect(line).not.toContain("s3cret");
  expect(line).toContain("u:***@127.0.0.1:1/x");
  agent.kill("SIGTERM");
  const { stderr } = await within(agent.ended, "the agent to stop");
  expect(stderr).not.toContain("s3cret");
  expect(stderr).toMatch(/HOLDLINE_COORDINATOR.*configuration file/);
});

test("where there is nothing to hide the title stays as it is", () => {
  expect(titleWithoutPasswords(["node", "holdline", "--coordinator", "zookeeper://zk1:2181/x", "exec", "a@b"])).toBeNull();
});
