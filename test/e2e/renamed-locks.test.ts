// An action whose configuration names another lock than the one that an earlier run has left a claim on: what is owed is done, under
// either lock, and nothing is done twice.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, openFleet, STORE_OPTIONS, STORES } from "./fleet.js";

failOnLeaks();

function saying(fleet: Fleet) {
  return (text: string) => ({ shell: `echo "${text}" >> '${fleet.log}'` });
}

async function isFree(fleet: Fleet, lock: string): Promise<boolean> {
  const store = await openCoordinator(fleet.url, STORE_OPTIONS);
  try {
    return (await store.queue(lock)).length === 0;
  } finally {
    await store.close();
  }
}

describe.each(STORES)("on %s", (kind) => {
  test("a machine that was asked to reboot is not asked again, and is put back when it has booted", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const hooks = { before: say("before"), after: say("after $HOLDLINE_OUTCOME"), verify: say("check") };
    const asks = { shell: `echo asked >> '${fleet.log}'; kill -TERM $PPID; sleep 20` };
    const nodeOf = (boot: string, lock: string) =>
      fleet.node("web-01", { reboot: { mode: "reboot", lock, ...asks, ...hooks } }, { boot });
    expect((await nodeOf("one", "old").runAction("reboot")).result).toMatchObject({ outcome: "rebooting" });
    expect((await nodeOf("one", "new").run("resume")).stdout).toContain("rebooting");
    expect(fleet.lines()).toEqual(["before", "asked"]);
    const { code, stderr } = await nodeOf("two", "new").run("resume");
    expect(code, stderr).toBe(0);
    expect(fleet.lines()).toEqual(["before", "asked", "check", "after ran"]);
    expect([await isFree(fleet, "old"), await isFree(fleet, "new")]).toEqual([true, true]);
    expect((await nodeOf("two", "new").run("resume")).stdout).toContain("nothing was left");
  });

  test("a run that soaks soaks on under its lock, and does not run again", async () => {
    const fleet = await openFleet(kind);
    const deploy = { ...saying(fleet)("deploy"), soak: "1 h" };
    const agent = fleet.node("web-01", { deploy: { ...deploy, lock: "old" } }).start("run", "deploy");
    await until(async () => (await fleet.queue("old"))[0]?.stage?.name === "soaking", "the soak");
    agent.kill("SIGTERM");
    await agent.ended;
    const node = fleet.node("web-01", { deploy: { ...deploy, lock: "new", soak: 0 } });
    expect((await node.run("resume")).code).toBe(0);
    expect(fleet.lines()).toEqual(["deploy"]);
    expect(await isFree(fleet, "old")).toBe(true);
    expect((await node.run("resume")).stdout).toContain("nothing was left");
  });

  test("a drained node whose process has restarted meanwhile is put back", async () => {
    const fleet = await openFleet(kind);
    const say = saying(fleet);
    const marker = `service-of-${fleet.directory.replaceAll("/", "-")}`;
    const action = {
      ...{ mode: "serialize_process", process: { command_string: marker, full_cmd: true, must_restart: false } },
      ...{ before: say("before"), after: say("after $HOLDLINE_OUTCOME") },
    };
    const killed = fleet.node("web-01", { deploy: { ...action, lock: "old", shell: "kill -KILL $PPID" } });
    expect((await killed.start("run", "deploy").ended).signal).toBe("SIGKILL");
    const service = spawn("sleep", ["1000"], { argv0: marker, stdio: "ignore" });
    onTestFinished(() => void service.kill("SIGKILL"));
    await once(service, "spawn");
    const { code, stderr } = await fleet.node("web-01", { deploy: { ...action, lock: "new", ...say("deploy") } }).run("resume");
    expect(code, stderr).toBe(0);
    expect(fleet.lines()).toEqual(["before", "before", "deploy", "after ran"]);
    expect([await isFree(fleet, "old"), await isFree(fleet, "new")]).toEqual([true, true]);
  });
});
