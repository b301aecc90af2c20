// Holdline under Holdline: the inner one's command belongs to the outer claim too, and goes with it.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { killGroup } from "../support/proc-programs.js";
import { isRunning, openFleet, PROGRAM, STORES } from "./fleet.js";

failOnLeaks();

describe.each(STORES)("on %s", (kind) => {
  test.each([[[]], [["--durable"]]])("when the outer agent is killed, the inner command is ended: exec %j", async (options) => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const pidFile = `${fleet.directory}/pid`;
    const inner = [process.execPath, PROGRAM, "-c", node.config, "exec", "inner", ...options, "--"];
    const command = ["sh", "-c", `echo $$ > '${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'; exec sleep 600`];
    const agent = node.start("exec", "outer", "--", ...inner, ...command);
    await until(() => existsSync(pidFile), "the inner command");
    const pid = Number(readFileSync(pidFile, "utf8"));
    onTestFinished(() => void killGroup(pid));
    agent.kill("SIGKILL");
    await agent.ended;
    await until(() => !isRunning(pid), "the inner command to be ended");
  });

  test("each claim around a command's own is told to it, the outermost first", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const own = [process.execPath, PROGRAM, "-c", node.config, "exec"];
    const say = `echo "$HOLDLINE_CLAIM ($HOLDLINE_WITHIN)" >> '${fleet.log}'`;
    const innermost = ["sh", "-c", say];
    const inner = ["sh", "-c", `${say}; exec "$@"`, "sh", ...own, "c", "--", ...innermost];
    const ended = await node.run("exec", "a", "--", "sh", "-c", `${say}; exec "$@"`, "sh", ...own, "b", "--", ...inner);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const claims = fleet.lines().map((line) => line.split(" ")[0]);
    expect(new Set(claims).size).toBe(3);
    const around = (...outer: readonly (string | undefined)[]) => outer.map((claim) => `HOLDLINE_CLAIM=${claim}`).join(" ");
    expect(fleet.lines()).toEqual([
      `${claims[0]} ()`,
      `${claims[1]} (${around(claims[0])})`,
      `${claims[2]} (${around(claims[0], claims[1])})`,
    ]);
  });
});
