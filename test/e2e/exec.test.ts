// `holdline exec` as its users meet it: it ends with the command's own exit code, gives the command its surroundings, waits, and
// never outlives its claim.
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { takeTurn } from "../../src/line/turn.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import type { Fleet, Node } from "./fleet.js";
import { isRunning, openFleet, openProxy, STORES } from "./fleet.js";

failOnLeaks();

// A session has 4 s, and the server looks at every tick.
const EXPIRY_MS = 15_000;

describe.each(STORES)("on %s", (kind) => {
  test.each([
    ["success", ["true"], 0],
    ["its own code", ["sh", "-c", "exit 7"], 7],
    ["a code that is one of Holdline's", ["sh", "-c", "exit 75"], 75],
    ["128 and the signal that killed it", ["sh", "-c", "kill -TERM $$"], 143],
    ["the same for SIGKILL", ["sh", "-c", "kill -KILL $$"], 137],
  ])("the exit code is the command's: %s", async (_what, command, code) => {
    const fleet = await openFleet(kind);
    const ended = await fleet.node("web-01", {}).run("exec", "backup", "--", ...command);
    expect(ended).toMatchObject({ code, stdout: "", stderr: "" });
    expect(await fleet.queue("backup")).toEqual([]);
  });

  test.each([[[]], [["--durable"]]])("an agent that was killed is not said to live: exec %j", async (options) => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const go = fleet.signalFile();
    const agent = node.start("exec", "backup", ...options, "--", "sh", "-c", fleet.waitingShell(go.path));
    await fleet.untilLine("start web-01");
    expect((await node.run("locks")).stdout).toContain("running, its agent lives");
    agent.kill("SIGKILL");
    await agent.ended;
    const { stdout } = await node.run("locks");
    go.give();
    expect(stdout).not.toContain("its agent lives");
    if (options.length > 0) {
      expect(stdout).toContain("STALE: its agent is gone");
      // Its command may be just about to end.
      expect((await node.run("clear", "backup", "--reason", "killed", "--force")).code).toBe(0);
    } else
      await until(async () => (await fleet.queue("backup")).length === 0, { what: "the session to end", deadlineMs: EXPIRY_MS });
  });

  test.each([
    ["is not in PATH", "no-such-program-4711", /"no-such-program-4711" was not found in PATH/],
    ["does not exist", "/no/such/program", /"\/no\/such\/program" does not exist/],
    ["is a directory", "/etc", /"\/etc" is a directory/],
    ["may not be executed", "./notes.txt", /"\.\/notes\.txt" is not executable/],
  ])("a program that %s ends with 127 and one clear line", async (_what, program, words) => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    writeFileSync(`${node.directory}/notes.txt`, "echo ran\n", { mode: 0o644 });
    const { code, stdout, stderr } = await node.run("exec", "backup", "--", program, "--full");
    expect([code, stdout]).toEqual([127, ""]);
    expect(stderr).toMatch(words);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(await fleet.queue("backup")).toEqual([]);
  });

  test("no shell touches the arguments, and none of them is taken for an option of Holdline's", async () => {
    const fleet = await openFleet(kind);
    const words = ["$HOME", "`id`", "; echo pwned", "*", "", "a b", "'\"\\", "--json", "-c", "--", "--help", "línea\nnueva"];
    const { code, stdout } = await fleet.node("web-01", {}).run("exec", "backup", "--", "printf", "%s\\0", ...words);
    expect(code).toBe(0);
    expect(stdout.split("\0").slice(0, -1)).toEqual(words);
  });

  test("standard input, output and error are the command's own, byte for byte", async () => {
    const fleet = await openFleet(kind);
    const input = `first\nno newline at the end \u001b[31m${"x".repeat(200_000)}`;
    const node = fleet.node("web-01", {}, { input });
    const { code, stdout, stderr } = await node.run("exec", "backup", "--", "sh", "-c", "cat; printf 'to stderr' >&2");
    expect(code).toBe(0);
    expect(stdout === input, "what was read is what was written").toBe(true);
    expect(stderr).toBe("to stderr");
  });

  test("the command sees its claim, in the environment of its caller", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const out = `${fleet.directory}/env`;
    const node = fleet.node("web-01", {}, { env: { GREETING: "hi there" } });
    const shell = `env > '${out}'; echo ready >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done`;
    const agent = node.start("exec", "backup", "--data", "{ ticket: OPS-1, hosts: [a, b] }", "--", "sh", "-c", shell);
    await fleet.untilLine("ready");
    const [claim] = (await fleet.queue("backup")) as [Claim];
    expect(claim).toMatchObject({ durable: false, key: null, slots: 1, data: { ticket: "OPS-1", hosts: ["a", "b"] } });
    expect(claim.owner).toMatchObject({ node: "web-01", principal: "ops@web-01", action: "exec sh", process: { pid: agent.pid } });
    const env = readFileSync(out, "utf8").split("\n");
    for (const line of [
      "GREETING=hi there",
      "HOLDLINE_ACTION=exec sh",
      "HOLDLINE_LOCK=backup",
      `HOLDLINE_CLAIM=${claim.id}`,
      "HOLDLINE_NODE=web-01",
    ]) {
      expect(env).toContain(line);
    }
    expect(Number(env.find((line) => line.startsWith("HOLDLINE_FENCING_TOKEN="))?.split("=")[1])).toBeGreaterThan(0);
    go.give();
    expect((await agent.ended).code).toBe(0);
  });

  test("a state directory is needed with --durable alone", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {}, { env: { HOLDLINE_STATE_DIR: "/dev/null/state" } });
    expect(await node.run("exec", "backup", "--", "echo", "ran")).toMatchObject({ code: 0, stdout: "ran\n", stderr: "" });
    expect(await node.run("exec", "backup", "--durable", "--", "echo", "ran")).toMatchObject({ code: 78, stdout: "" });
    expect(await fleet.queue("backup")).toEqual([]);
  });

  test("fencing tokens grow from holder to holder", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", {});
    const token = async (...more: string[]) =>
      Number((await node.run("exec", "backup", ...more, "--", "sh", "-c", "echo $HOLDLINE_FENCING_TOKEN")).stdout);
    const tokens = [await token(), await token("--durable"), await token(), await token("--durable")];
    expect(
      tokens.every((value) => Number.isSafeInteger(value) && value > 0),
      String(tokens),
    ).toBe(true);
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
  });

  test("--timeout 0 on a held lock does not wait: 75, and a word on who holds it", async () => {
    const fleet = await openFleet(kind);
    const { go, agent } = await holding(fleet, "web-01");
    const other = fleet.node("web-02", {});
    const { code, stdout, stderr } = await other.run("exec", "backup", "--timeout", "0", "--", "echo", "ran");
    expect([code, stdout]).toEqual([75, ""]);
    expect(lastLine(stderr)).toMatch(/^holdline: not waiting, 1st in line for backup; web-01: exec sh for /);
    const json = await other.run("--json", "exec", "backup", "--timeout", "0", "--", "echo", "ran");
    expect(json.code).toBe(75);
    expect(JSON.parse(json.stdout)).toEqual({
      error: { code: "timed-out", message: expect.stringContaining("web-01: exec sh") as string, hint: null },
    });
    expect(await fleet.queue("backup")).toHaveLength(1);
    go.give();
    expect((await agent.ended).code).toBe(0);
  });

  test("--timeout ends the wait, and the place in line with it", async () => {
    const fleet = await openFleet(kind);
    const { go, agent } = await holding(fleet, "web-01");
    const { code, stdout, stderr } = await fleet
      .node("web-02", {})
      .run("exec", "backup", "--timeout", "0.3 s", "--", "echo", "ran");
    expect([code, stdout]).toEqual([75, ""]);
    expect(lastLine(stderr)).toMatch(/gave up after 0\.\d+ s, 1st in line for backup; web-01: exec sh for /);
    expect(await fleet.queue("backup")).toHaveLength(1);
    go.give();
    expect((await agent.ended).code).toBe(0);
  });

  test("--slots lets so many in at once, and the next waits", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const start = (name: string) =>
      fleet.node(name, {}).start("exec", "backup", "--slots", "2", "--", "sh", "-c", fleet.waitingShell(go.path));
    const agents = [start("web-01"), start("web-02")];
    await until(() => fleet.lines().length === 2, "two to run");
    agents.push(start("web-03"));
    await fleet.untilQueue("backup", 3);
    await until(() => agents[2]?.stderr().includes("in line for backup") === true, "the third to wait");
    expect(fleet.lines()).toHaveLength(2);
    go.give();
    for (const agent of agents) expect((await agent.ended).code).toBe(0);
    expect(fleet.lines().slice(0, 2).sort()).toEqual(["start web-01", "start web-02"]);
    expect(fleet.lines()).toHaveLength(6);
  });

  test("claims with the same --key overlap, and another key waits for both", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const start = (name: string, key: string) =>
      fleet.node(name, {}).start("exec", "backup", "--key", key, "--", "sh", "-c", fleet.waitingShell(go.path));
    const agents = [start("web-01", "rack-1"), start("web-02", "rack-1")];
    await until(() => fleet.lines().length === 2, "a rack to run");
    agents.push(start("web-03", "rack-2"));
    await fleet.untilQueue("backup", 3);
    // One of the first rack does not overtake the one that waits.
    agents.push(start("web-04", "rack-1"));
    await fleet.untilQueue("backup", 4);
    await until(() => agents[3]?.stderr().includes("in line for backup") === true, "the fourth to wait");
    expect(fleet.lines()).toHaveLength(2);
    go.give();
    for (const agent of agents) expect((await agent.ended).code).toBe(0);
    const lines = fleet.lines();
    expect(lines.slice(0, 2).sort()).toEqual(["start web-01", "start web-02"]);
    expect(lines.slice(4)).toEqual(["start web-03", "end web-03", "start web-04", "end web-04"]);
  });

  describe("an ephemeral claim", () => {
    test("goes after a failure too", async () => {
      const fleet = await openFleet(kind);
      expect((await fleet.node("web-01", {}).run("exec", "backup", "--", "false")).code).toBe(1);
      expect(await fleet.queue("backup")).toEqual([]);
      expect(await (await fleet.coordinator()).history("backup", 5)).toEqual([]);
    });

    test("is let go only when nothing of the command's group is left", async () => {
      const fleet = await openFleet(kind);
      const shell = `(trap 'sleep 0.3; echo worker done >> "${fleet.log}"; exit' TERM; echo ready >> "${fleet.log}"; while :; do sleep 0.02; done) & wait`;
      const agent = fleet.node("web-01", {}).start("exec", "backup", "--", "sh", "-c", shell);
      await fleet.untilLine("ready");
      agent.kill("SIGTERM");
      const next = await fleet.node("web-02", {}).run("exec", "backup", "--", "sh", "-c", `echo next >> '${fleet.log}'`);
      expect(next.code).toBe(0);
      await agent.ended;
      expect(fleet.lines()).toEqual(["ready", "worker done", "next"]);
    });

    test("takes its command along when exec is killed", async () => {
      const fleet = await openFleet(kind);
      const { agent, command } = await holding(fleet, "web-01");
      agent.kill("SIGKILL");
      await agent.ended;
      await until(() => !isRunning(command), "the command to end");
      await fleet.untilQueue("backup", 0);
    });

    test("that an admin takes away ends its command: 74", async () => {
      const fleet = await openFleet(kind);
      const { agent, command } = await holding(fleet, "web-01");
      const [claim] = (await fleet.queue("backup")) as [Claim];
      const cleared = await fleet
        .node("admin", {})
        .run("clear", "backup", "--claim", claim.id, "--reason", "wrong host", "--force");
      expect(cleared.code).toBe(0);
      const { code, stderr } = await within(agent.ended, "exec to end");
      expect(code).toBe(74);
      expect(stderr).toMatch(/taken away while it was held/);
      expect(isRunning(command)).toBe(false);
    });

    test("vanishes when exec is killed", async () => {
      const fleet = await openFleet(kind);
      const { agent, command } = await holding(fleet, "web-01");
      agent.kill("SIGKILL");
      await agent.ended;
      onTestFinished(() => void killGroup(command));
      const next = await fleet.node("web-02", {}).run("exec", "backup", "--timeout", "20 s", "--", "echo", "ran");
      expect(next).toMatchObject({ code: 0, stdout: "ran\n" });
      expect(await fleet.queue("backup")).toEqual([]);
    });

    test("SIGTERM while the command runs is passed on, and its end is the end", async () => {
      const fleet = await openFleet(kind);
      const shell = `trap 'echo caught >> "${fleet.log}"; exit 5' TERM; echo ready >> '${fleet.log}'; while :; do sleep 0.02; done`;
      const agent = fleet.node("web-01", {}).start("exec", "backup", "--", "sh", "-c", shell);
      await fleet.untilLine("ready");
      agent.kill("SIGTERM");
      expect((await within(agent.ended, "exec to end")).code).toBe(5);
      expect(fleet.lines()).toEqual(["ready", "caught"]);
      expect(await fleet.queue("backup")).toEqual([]);
    });
  });

  describe("--durable", () => {
    test("a success releases, and is in the history", async () => {
      const fleet = await openFleet(kind);
      const { code } = await fleet.node("web-01", {}).run("exec", "backup", "--durable", "--data", "OPS-2", "--", "true");
      expect(code).toBe(0);
      expect(await fleet.queue("backup")).toEqual([]);
      const history = await (await fleet.coordinator()).history("backup", 5);
      expect(history).toMatchObject([{ event: "released", by: "ops@web-01", data: "OPS-2" }]);
    });

    test("the same command under another lock is another: what the one has left stays", async () => {
      const fleet = await openFleet(kind);
      const node = fleet.node("web-01", {});
      const go = fleet.signalFile();
      const command = ["sh", "-c", fleet.waitingShell(go.path)];
      const agent = node.start("exec", "backup", "--durable", "--", ...command);
      await fleet.untilLine("start web-01");
      agent.kill("SIGKILL");
      await agent.ended;
      go.give();
      const [stale] = (await fleet.queue("backup")) as [Claim];
      expect((await node.run("exec", "restore", "--durable", "--", ...command)).code).toBe(0);
      expect(await fleet.queue("backup")).toMatchObject([{ id: stale.id }]);
      expect(await fleet.queue("restore")).toEqual([]);
    });

    test("a failure keeps the lock; the same command adopts it, and another waits", async () => {
      const fleet = await openFleet(kind);
      const fixed = fleet.signalFile();
      const command = ["sh", "-c", 'echo "try $HOLDLINE_CLAIM" >> "$1"; test -e "$2" || exit 3', "sh", fleet.log, fixed.path];
      const exec = (node: string, ...argv: readonly string[]) =>
        fleet.node(node, {}).run("exec", "backup", "--durable", "--timeout", "0.3 s", "--", ...argv);
      const failed = await exec("web-01", ...command);
      expect(failed.code).toBe(3);
      expect(lastLine(failed.stderr)).toMatch(/exit code 3; the lock backup is kept/);
      const [claim] = (await fleet.queue("backup")) as [Claim];
      expect(claim).toMatchObject({ durable: true, failure: { exitCode: 3 } });

      expect((await exec("web-01", "true")).code).toBe(75);
      expect((await exec("web-02", ...command)).code).toBe(75);
      expect((await exec("web-01", ...command)).code).toBe(3);
      fixed.give();
      expect((await exec("web-01", ...command)).code).toBe(0);
      expect(fleet.lines()).toEqual(Array(3).fill(`try ${claim.id}`));
      expect(await fleet.queue("backup")).toEqual([]);
      expect(await (await fleet.coordinator()).history("backup", 5)).toMatchObject([
        { claim: claim.id, event: "recovered", isKept: false },
        { claim: claim.id, event: "failed", isKept: true },
        { claim: claim.id, event: "failed", isKept: true },
      ]);
    });

    test("resume names what a failed one has left, and what to do; once that is cleared, nothing is left", async () => {
      const fleet = await openFleet(kind);
      const node = fleet.node("web-01", {});
      expect((await node.run("exec", "backup", "--durable", "--", "false")).code).toBe(1);
      const [claim] = (await fleet.queue("backup")) as [Claim];
      const named = await node.run("resume");
      expect([named.code, named.stdout]).toEqual([0, "nothing was finished: what was left belongs to durable execs (on backup)\n"]);
      expect(named.stderr).toContain("backup is kept for a durable exec of false (FAILED: exit code 1)");
      expect(named.stderr).toContain("run the same command again (holdline exec backup --durable -- false …)");
      expect(named.stderr).toContain(`holdline clear backup --claim ${claim.id} --reason TEXT`);
      const elsewhere = await fleet.node("web-02", {}).run("resume");
      expect(elsewhere.stdout, "another node").toBe("nothing was left to finish on this node\n");
      expect((await node.run("clear", "backup", "--reason", "x")).code).toBe(0);
      expect(await node.run("resume")).toMatchObject({
        stdout: "nothing was left to finish on this node\n",
        stderr: "",
      });
    });

    test("resume says nothing of one that runs; of a killed one it says so, and ends its command once the claim is gone", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const pidFile = `${fleet.directory}/pid`;
      const node = fleet.node("web-01", {});
      const shell = `echo $$ > '${pidFile}'; ${fleet.waitingShell(go.path)}`;
      const agent = node.start("exec", "backup", "--durable", "--", "sh", "-c", shell);
      await fleet.untilLine("start web-01");
      const nothing = { code: 0, stdout: "nothing was left to finish on this node\n", stderr: "" };
      expect(await node.run("resume"), "while it runs").toMatchObject(nothing);
      const orphan = Number(readFileSync(pidFile, "utf8"));
      onTestFinished(() => void killGroup(orphan));
      agent.kill("SIGKILL");
      await agent.ended;
      const named = await node.run("resume");
      expect(named.stdout).toContain("durable execs (on backup)");
      expect(named.stderr).toContain("backup is kept for a durable exec of sh (its agent is gone)");
      expect(isRunning(orphan), "while its claim stands").toBe(true);
      expect((await node.run("clear", "backup", "--reason", "x", "--force")).code).toBe(0);
      expect(await node.run("resume"), "when it has been cleared").toMatchObject(nothing);
      expect(isRunning(orphan), "nothing guards it any more").toBe(false);
      expect(execsIn(node)).toEqual([]);
    });

    test("an attempt that came to nothing is nobody's to finish", async () => {
      const fleet = await openFleet(kind);
      expect((await fleet.node("web-02", {}).run("acquire", "backup")).code).toBe(0);
      const node = fleet.node("web-01", {});
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        const { code, stderr } = await node.run("exec", "backup", "--durable", "--wait", "0", "--", "true");
        expect(code).toBe(75);
        expect(stderr).not.toContain("attempt");
      }
      expect(execsIn(node)).toEqual([]);
      expect(await node.run("resume")).toMatchObject({
        stdout: "nothing was left to finish on this node\n",
        stderr: "",
      });
    });

    test("a killed one stays: the same command ends the orphan, adopts and runs", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const pidFile = `${fleet.directory}/pid`;
      const command = [
        "sh",
        "-c",
        `echo $$ > '${pidFile}'; echo run >> '${fleet.log}'; while [ ! -e '${go.path}' ]; do sleep 0.02; done`,
      ];
      const node = fleet.node("web-01", {});
      const agent = node.start("exec", "backup", "--durable", "--", ...command);
      await fleet.untilLine("run");
      const orphan = Number(readFileSync(pidFile, "utf8"));
      agent.kill("SIGKILL");
      await agent.ended;
      onTestFinished(() => void killGroup(orphan));
      const [stale] = (await fleet.queue("backup")) as [Claim];
      const again = node.start("exec", "backup", "--durable", "--", ...command);
      await until(() => fleet.lines().length === 2, "the command to run again");
      expect(isRunning(orphan), "the orphan runs").toBe(false);
      expect(await fleet.queue("backup")).toMatchObject([{ id: stale.id, durable: true }]);
      go.give();
      expect((await again.ended).code).toBe(0);
      expect(await fleet.queue("backup")).toEqual([]);
    });
  });

  test("usage errors are told in JSON as well", async () => {
    const fleet = await openFleet(kind);
    const { code, stdout, stderr } = await fleet.node("web-01", {}).run("exec", "a/../b", "--json", "--", "true");
    expect(code).toBe(64);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string } };
    expect(error).toMatchObject({ code: "usage", message: expect.stringContaining('".."') as string });
    expect(stderr).toContain(error.message);
  });
});

describe("a coordinator that cannot be reached", () => {
  test("on sqlite: 69, nothing runs", async () => {
    const fleet = await openFleet("sqlite");
    const node = fleet.node("web-01", {}, { coordinator: "sqlite:///dev/null/holdline.db" });
    const { code, stdout, stderr } = await node.run("exec", "backup", "--json", "--", "echo", "ran");
    expect(code).toBe(69);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "unreachable" } });
    expect(stderr).toMatch(/^holdline: /);
  });

  test.each(["refuse", "ignore"] as const)(
    "on zookeeper, connections: %s: 69 when the connect timeout is over, nothing runs",
    async (welcome) => {
      const fleet = await openFleet("zookeeper");
      const proxy = await openProxy();
      await proxy.welcome(welcome);
      const node = fleet.node("web-01", {}, { coordinator: fleet.urlThrough(proxy), settings: { connect_timeout: "0.5 s" } });
      const { code, stdout, stderr } = await node.run("exec", "backup", "--", "echo", "ran");
      expect([code, stdout]).toEqual([69, ""]);
      expect(stderr).toMatch(/^holdline: no ZooKeeper server answered within 500 ms/);
    },
  );
});

describe("on zookeeper, when the session is lost while the command runs", () => {
  test("an agent that is frozen does not keep its command running beside the next holder: 74", async () => {
    const fleet = await openFleet("zookeeper");
    const { agent, command } = await holding(fleet, "web-01");
    process.kill(agent.pid, "SIGSTOP");
    const shell = `grep -qs sh /proc/${command}/cmdline && echo beside >> '${fleet.log}'; echo next >> '${fleet.log}'`;
    const next = await fleet.node("web-02", {}).run("exec", "backup", "--timeout", "30 s", "--", "sh", "-c", shell);
    process.kill(agent.pid, "SIGCONT");
    expect(next.code).toBe(0);
    expect(fleet.lines()).not.toContain("beside");
    expect((await within(agent.ended, "exec to end")).code).toBe(74);
  });

  test.each([
    ["the server is silent", (proxy: Awaited<ReturnType<typeof openProxy>>) => Promise.resolve(proxy.freeze())],
    ["connections are refused", (proxy: Awaited<ReturnType<typeof openProxy>>) => proxy.welcome("refuse").then(() => proxy.cut())],
  ])("%s: the whole process group has ended before the claim can go to another, and the exit code is 74", async (_what, fault) => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    // Long enough for two busy cores to be on time in its last tenth.
    const node = fleet.node("web-01", {}, { coordinator: fleet.urlThrough(proxy), env: { HOLDLINE_SESSION_TIMEOUT: "6 s" } });
    const pids = `${fleet.directory}/pids`;
    const script = `${fleet.directory}/stubborn.sh`;
    writeFileSync(
      script,
      `trap "" TERM HUP INT\nsh -c 'echo $$ >> "$1"; while :; do sleep 0.05; done' grandchild '${pids}' &\necho $$ >> '${pids}'\nwait\n`,
    );
    const agent = node.start("exec", "backup", "--", "sh", script);
    const running = await until(() => {
      const found = readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number);
      return found.length === 2 ? found : null;
    }, "the command and its grandchild to run");
    onTestFinished(() => running.forEach(killGroup));

    const coordinator = await fleet.coordinator();
    const owner = { node: "web-02", principal: "ops@web-02", action: null, process: null };
    const draft = {
      id: randomUUID(),
      locks: ["backup"],
      key: null,
      slots: 1,
      owner,
      reason: null,
      data: null,
      settles: false,
      lease: null,
    };
    // What ran at the very moment at which the next in line was let in.
    const next = takeTurn(coordinator, draft, { signal: AbortSignal.timeout(50_000) }).then((turn) => {
      const late = running.filter(isRunning);
      if (turn.outcome !== "granted") throw new Error("the claim was not granted");
      return { late, standings: turn.joined.positions };
    });
    await fleet.untilQueue("backup", 2);
    await fault(proxy);
    const { late, standings } = await next;
    expect(late, "processes that still ran when another held the lock").toEqual([]);
    await coordinator.withdraw(standings);
    const { code, stderr } = await within(agent.ended, "exec to end", EXPIRY_MS);
    expect(code).toBe(74);
    expect(stderr).toMatch(/the claim on backup was lost while the command ran, which was ended/);
  });
});

/** An exec on a node that holds the lock `backup` until the test lets it go on. */
async function holding(fleet: Fleet, name: string) {
  const go = fleet.signalFile();
  const pidFile = `${fleet.directory}/${name}.pid`;
  const agent = fleet
    .node(name, {})
    .start("exec", "backup", "--", "sh", "-c", `echo $$ > '${pidFile}'; ${fleet.waitingShell(go.path)}`);
  await fleet.untilLine(`start ${name}`);
  return { go, agent, command: Number(readFileSync(pidFile, "utf8")) };
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

/** Ends what a killed agent left behind. */
function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** The files that a node's journal has of execs. */
function execsIn({ directory, name }: Node): string[] {
  const home = `${directory}/state/journal/${name}`;
  return readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}
