// The commands that people use by hand: `locks`, `clear`, `history`, `check`, and the help.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { COMMANDS } from "../../src/cli/command-table.js";
import type { Claim } from "../../src/locks/claim.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import type { Cli, Fleet, StoreKind } from "./fleet.js";
import { isRunning, openFleet, STORES } from "./fleet.js";
import { noTerminal, startOnTerminal } from "./terminal.js";

failOnLeaks();

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const ESCAPE = "\u001b";
const skipped = noTerminal === null ? "" : ` (skipped: ${noTerminal})`;

describe.each(STORES)("on %s", (kind) => {
  describe("locks", () => {
    test("shows holders and waiters in aligned columns; what failed and what is stale stands out", async () => {
      const { fleet, end } = await busyFleet(kind);
      const { code, stdout } = await fleet.node("admin", {}).run("locks");
      expect(code).toBe(0);
      expect(stdout, "colours where there is no terminal, or what a command had printed").not.toContain(ESCAPE);
      const lines = stdout.trimEnd().split("\n");
      const [headings = "", ...rows] = lines.slice(0, lines.indexOf("")).filter((line) => !/^ {4}\S/.test(line));
      expect(headings.split(/ +/)).toEqual(["LOCK", "PLACE", "NODE", "WHAT", "SINCE", "BY", "STATE"]);
      const offsets = [...headings.matchAll(/\S+/g)].map(({ index }) => index);
      const cells = rows.map((row) => offsets.map((offset, column) => row.slice(offset, offsets[column + 1]).trimEnd()));
      for (const row of rows)
        for (const offset of offsets.slice(1)) expect(row[offset - 1], `before column ${offset} of ${row}`).toBe(" ");
      const ago = expect.stringMatching(/^just now$| ago$/) as string;
      expect(cells).toEqual([
        ["backup", "held", "web-06", "exec sh [rack-1]", ago, "ops@web-06", "running, its agent lives"],
        ["deploy", "held", "web-05", "deploy", ago, "ops@web-05", "STALE: its agent is gone"],
        [
          "restart/nginx",
          "held",
          "web-07",
          "restart",
          ago,
          "ops@web-07",
          expect.stringMatching(/^FAILED on web-07 .*: exit code 3$/) as string,
        ],
        ["", "1st", "web-08", "restart", ago, "ops@web-08", "waiting"],
        ["", "2nd", "web-09", "restart", ago, "ops@web-09", "waiting"],
      ]);
      expect(stdout).toContain("    last output: \\x1b[31mboom\\x1b[0m");
      expect(stdout).toContain('    data: {"ticket":"OPS-1"}');
      expect(stdout).toContain("holdline clear LOCK --reason TEXT");
      await end();
    });

    test("--json is exactly what the contract says", async () => {
      const { fleet, end, agents } = await busyFleet(kind);
      const { code, stdout, stderr } = await fleet.node("admin", {}).run("locks", "--json");
      expect([code, stderr]).toEqual([0, ""]);
      const id = expect.stringMatching(UUID) as string;
      const time = expect.stringMatching(ISO_TIME) as string;
      const token = expect.any(Number) as number;
      const pid = expect.any(Number) as number;
      const common = {
        id,
        durable: true,
        key: null,
        slots: 1,
        percent: null,
        since: time,
        stage: null,
        expiresAt: null,
        reason: null,
        data: null,
        failure: null,
        lease: null,
      };
      const waiting = { ...common, state: "waiting", condition: "waiting", durable: false, fencingToken: null };
      const owner = (node: string, action: string) => ({
        node,
        group: "default",
        principal: `ops@${node}`,
        action,
        pid,
        machine: expect.any(String) as string,
      });
      expect(JSON.parse(stdout)).toEqual({
        freezes: [],
        locks: [
          {
            lock: "backup",
            holders: [
              {
                ...common,
                state: "held",
                condition: "running",
                durable: false,
                key: "rack-1",
                slots: null,
                owner: { ...owner("web-06", "exec sh"), pid: agents.backup.pid },
                fencingToken: null,
              },
            ],
            waiting: [],
          },
          {
            lock: "deploy",
            holders: [{ ...common, state: "held", condition: "stale", owner: owner("web-05", "deploy"), fencingToken: token }],
            waiting: [],
          },
          {
            lock: "restart/nginx",
            holders: [
              {
                ...common,
                state: "held",
                condition: "failed",
                owner: owner("web-07", "restart"),
                fencingToken: token,
                data: { ticket: "OPS-1" },
                failure: { exitCode: 3, signal: null, message: "exit code 3", output: "\u001b[31mboom\u001b[0m\n", at: time },
              },
            ],
            waiting: [
              { ...waiting, owner: owner("web-08", "restart") },
              { ...waiting, owner: owner("web-09", "restart") },
            ],
          },
        ],
      });
      const one = await fleet.node("admin", {}).run("locks", "deploy", "--json");
      expect(one.code).toBe(0);
      expect((JSON.parse(one.stdout) as { locks: { lock: string }[] }).locks.map(({ lock }) => lock)).toEqual(["deploy"]);
      await end();
    });

    test.skipIf(noTerminal !== null)(
      `on a terminal a failure is red and a stale claim yellow, but not with NO_COLOR${skipped}`,
      async () => {
        const { fleet, end } = await busyFleet(kind);
        const { config, directory } = fleet.node("admin", {});
        const coloured = startOnTerminal(["-c", config, "locks"], directory);
        expect(await coloured.ended).toBe(0);
        expect(coloured.shown().replaceAll(ESCAPE, "<esc>")).toMatch(/<esc>\[31mFAILED on web-07 .*: exit code 3<esc>\[0m/);
        expect(coloured.shown()).toContain("\u001b[33mSTALE: its agent is gone\u001b[0m");
        expect(coloured.shown()).not.toContain("\u001b[31mboom");
        const plain = startOnTerminal(["-c", config, "locks"], directory, { NO_COLOR: "1" });
        expect(await plain.ended).toBe(0);
        expect(plain.shown()).toContain("STALE: its agent is gone");
        expect(plain.shown()).not.toContain(ESCAPE);
        await end();
      },
    );

    test("with nobody there: 1 for one lock, 0 for all", async () => {
      const fleet = await openFleet(kind);
      await fleet.coordinator();
      const node = fleet.node("admin", {});
      expect(await node.run("locks", "restart/nginx")).toMatchObject({
        code: 1,
        stdout: "nobody holds or waits for restart/nginx\n",
        stderr: "",
      });
      expect(await node.run("locks", "restart/nginx", "--json")).toMatchObject({
        code: 1,
        stdout: '{"locks":[],"freezes":[]}\n',
        stderr: "",
      });
      expect(await node.run("locks")).toMatchObject({ code: 0, stdout: "nobody holds or waits for any lock\n" });
      expect(await node.run("locks", "--json")).toMatchObject({ code: 0, stdout: '{"locks":[],"freezes":[]}\n' });
    });
  });

  describe("clear", () => {
    test("ends a failed claim, says so in the history, and the next in line goes on", async () => {
      const fleet = await openFleet(kind);
      const failed = await fleet.node("web-07", { restart: { command: ["false"] } }).runAction("restart");
      const next = fleet.node("web-08", { restart: { shell: `echo next >> '${fleet.log}'` } }).start("run", "restart");
      await fleet.untilQueue("restart", 2);
      const admin = fleet.node("admin", {});
      for (const args of [
        ["clear", "restart"],
        ["clear", "restart", "--reason", " "],
      ]) {
        expect(await admin.run(...args)).toMatchObject({
          code: 64,
          stdout: "",
          stderr: expect.stringContaining("--reason") as string,
        });
      }
      expect((await fleet.queue("restart"))[0]?.id).toBe(failed.result.claim);
      const { code, stdout } = await admin.run("clear", "restart", "--reason", "web-07 is out of service");
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^cleared the claim on restart: web-07: restart by ops@web-07, since .*, FAILED on web-07 .*: exit code 1 \(claim /,
      );
      expect(stdout).toContain("the history says: web-07 is out of service");
      expect((await next.ended).code).toBe(0);
      expect(fleet.lines()).toEqual(["next"]);
      const history = await (await fleet.coordinator()).history("restart", 5);
      expect(history).toMatchObject([
        { event: "released", owner: { node: "web-08" } },
        {
          event: "cleared",
          claim: failed.result.claim,
          by: "ops@admin",
          reason: "web-07 is out of service",
          owner: { node: "web-07" },
        },
        { event: "failed", claim: failed.result.claim, isKept: true },
      ]);
    });

    test("does not take from the history what has failed, and how", async () => {
      const fleet = await openFleet(kind);
      const shell = "echo first; echo no such table >&2; exit 3";
      const { claim } = (await fleet.node("web-07", { migrate: { shell } }).runAction("migrate")).result;
      const admin = fleet.node("admin", {});
      const failed = async () => {
        const { stdout } = await admin.run("history", "--event", "failed", "--json");
        return (JSON.parse(stdout) as { readonly history: readonly unknown[] }).history;
      };
      const [whileKept, ...others] = await failed();
      expect(others).toEqual([]);
      expect(whileKept).toMatchObject({
        ...{ lock: "migrate", claim, event: "failed", by: "ops@web-07", reason: "exit code 3" },
        endedAt: expect.stringMatching(ISO_TIME) as string,
        failure: { exitCode: 3, signal: null, message: "exit code 3", output: "first\nno such table\n" },
      });
      expect((await admin.run("clear", "migrate", "--reason", "rolled back")).code).toBe(0);
      expect(await failed()).toEqual([whileKept]);
      const text = await admin.run("history", "--event", "failed");
      expect(text.stdout).toMatch(/failed +web-07 +migrate .* exit code 3\n +the lock was kept\n +last output: no such table\n$/);
      expect((await admin.run("history", "--event", "failed", "-v")).stdout).toMatch(/\n +first\n +no such table\n/);
    });

    test.each([
      ["by its environment, whoever asks", "admin", "exec sleep 1000"],
      ["by its node's journal, where it has no environment", "web-05", "exec env -i sleep 1000"],
    ])("refuses a stale claim while its command is seen to run here, %s; --force clears it", async (_how, asking, command) => {
      const fleet = await openFleet(kind);
      const orphan = await leaveStale(fleet, "web-05", "deploy", command);
      const clear = (...options: string[]) => fleet.node(asking, {}).run("clear", "deploy", "--reason", "gone", ...options);
      const refused = await clear("--json");
      expect(refused.code).toBe(77);
      expect(JSON.parse(refused.stdout)).toMatchObject({
        error: {
          code: "not-allowed",
          message: expect.stringContaining(`the claim's command still runs here: pid ${orphan} (web-05: deploy`) as string,
          hint: expect.stringContaining("--force") as string,
        },
      });
      expect(await fleet.queue("deploy")).toHaveLength(1);
      const { code, stdout } = await clear("--force");
      expect(code).toBe(0);
      expect(stdout).toContain("its command may have outlived its agent: see on web-05 that it has ended");
      expect(isRunning(orphan), "clear ends no process").toBe(true);
    });

    test("does not take the service that an action has restarted for its command", async () => {
      const fleet = await openFleet(kind);
      const mark = `service-${randomUUID()}`;
      const restart = { mode: "serialize_process", process: { command_string: mark, full_cmd: true } };
      const service = `sh -c 'sleep 1000; :' ${mark}`;
      const orphan = await leaveStale(fleet, "web-05", "deploy", `exec ${service}`, restart);
      const { code, stderr } = await fleet
        .node("web-05", { deploy: { command: ["true"], ...restart } })
        .run(...["clear", "deploy", "--reason", "gone"]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(isRunning(orphan)).toBe(true);
    });

    test("ends a stale claim without --force when its command has ended", async () => {
      const fleet = await openFleet(kind);
      const orphan = await leaveStale(fleet, "web-05", "deploy");
      process.kill(-orphan, "SIGKILL");
      await until(() => !isRunning(orphan), "the command to end");
      const { code, stdout } = await fleet.node("admin", {}).run("clear", "deploy", "--reason", "gone", "--json");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ cleared: [{ lock: "deploy", condition: "stale", owner: { node: "web-05" } }] });
      expect(await fleet.queue("deploy")).toEqual([]);
    });

    test.each([
      ["succeeds", "true", 0, "ran"],
      ["fails", "exit 3", 4, "failed"],
    ])(
      "refuses a running owner; forced, the owner finishes and %s, and leaves the next holder alone",
      async (_what, then, ownCode, outcome) => {
        const fleet = await openFleet(kind);
        const [first, second] = [fleet.signalFile(), fleet.signalFile()];
        const node = fleet.node("web-01", { restart: { shell: `${fleet.waitingShell(first.path)}; ${then}` } });
        const owner = node.start("run", "restart", "--json");
        await fleet.untilLine("start web-01");
        const next = fleet.node("web-02", { restart: { shell: fleet.waitingShell(second.path) } }).start("run", "restart");
        const [running] = (await fleet.untilQueue("restart", 2)) as [Claim, Claim];
        const admin = fleet.node("admin", {});
        const refused = await admin.run("clear", "restart", "--reason", "too slow", "--json");
        expect(refused.code).toBe(77);
        expect(JSON.parse(refused.stdout)).toMatchObject({
          error: {
            code: "not-allowed",
            message: expect.stringMatching(/^the claim's owner is running \(web-01: restart by ops@web-01/) as string,
            hint: expect.stringContaining("--force") as string,
          },
        });
        expect((await fleet.queue("restart"))[0]).toEqual(running);

        const forced = await admin.run("clear", "restart", "--reason", "too slow", "--force");
        expect(forced.code).toBe(0);
        expect(forced.stdout).toContain("its owner is still running");
        await fleet.untilLine("start web-02");
        const [held] = (await fleet.queue("restart")) as [Claim];
        expect(held.owner.node).toBe("web-02");
        first.give();
        const ended = await owner.ended;
        expect(ended.code).toBe(ownCode);
        expect(JSON.parse(ended.stdout)).toMatchObject({
          results: [
            {
              outcome,
              claim: running.id,
              message: expect.stringContaining("the claim was cleared by ops@admin: too slow") as string,
            },
          ],
        });
        expect(await fleet.queue("restart")).toEqual([held]);
        expect(node.journal("restart")).toEqual({});
        second.give();
        expect((await next.ended).code).toBe(0);
        expect(fleet.lines()).toEqual(["start web-01", "start web-02", "end web-01", "end web-02"]);
        const history = await (await fleet.coordinator()).history("restart", 5);
        expect(history.map(({ event, claim }) => [event, claim])).toEqual([
          ["released", held.id],
          ["cleared", running.id],
        ]);
      },
    );

    test("asks which of several claims is meant", async () => {
      const fleet = await openFleet(kind);
      const broken = { restart: { command: ["false"], slots: 2 } };
      const one = await fleet.node("web-01", broken).runAction("restart");
      const other = await fleet.node("web-02", broken).runAction("restart");
      const admin = fleet.node("admin", {});
      const { code, stdout, stderr } = await admin.run("clear", "restart", "--reason", "both failed");
      expect([code, stdout]).toEqual([64, ""]);
      const [message, ...listed] = stderr.trimEnd().split("\n");
      expect(message).toBe("holdline: there are 2 durable claims on restart: say which with --claim ID");
      expect(listed).toHaveLength(2);
      expect(listed[0]).toMatch(new RegExp(`^  web-01: .*\\(claim ${one.result.claim}\\)$`));
      expect(listed[1]).toMatch(new RegExp(`^  web-02: .*\\(claim ${other.result.claim}\\)$`));
      expect((await admin.run("clear", "restart", "--reason", "only that", "--claim", other.result.claim as string)).code).toBe(0);
      expect((await fleet.queue("restart")).map(({ id }) => id)).toEqual([one.result.claim]);
    });

    test("where there is nothing to clear: 1, and a word", async () => {
      const fleet = await openFleet(kind);
      const admin = fleet.node("admin", {});
      await fleet.coordinator();
      const free = await admin.run("clear", "restart", "--reason", "x");
      expect(free).toMatchObject({ code: 1, stderr: "holdline: there is nothing to clear: nobody holds or waits for restart\n" });
      await fleet.node("web-01", { restart: { command: ["false"] } }).runAction("restart");
      const unknown = await admin.run("clear", "restart", "--reason", "x", "--claim", "6b2a3f4e-0c1d-4e5f-8a9b-0c1d2e3f4a5b");
      expect(unknown).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("there is no claim 6b2a3f4e-0c1d-4e5f-8a9b-0c1d2e3f4a5b on restart") as string,
      });
      expect(await fleet.queue("restart")).toHaveLength(1);
    });

    test("a waiter that is withdrawn by force ends, and says that its claim was taken out of the line", async () => {
      const fleet = await openFleet(kind);
      await fleet.node("web-01", { restart: { command: ["false"] } }).runAction("restart");
      const waiter = fleet.node("web-02", { restart: { shell: `echo ran >> '${fleet.log}'` } }).start("run", "restart");
      const [failed, waiting] = (await fleet.untilQueue("restart", 2)) as [Claim, Claim];
      const admin = fleet.node("admin", {});
      expect((await admin.run("clear", "restart", "--claim", waiting.id, "--reason", "not now")).code).toBe(77);
      expect((await admin.run("clear", "restart", "--claim", waiting.id, "--reason", "not now", "--force")).code).toBe(0);
      const { code, stdout } = await waiter.ended;
      expect(code).toBe(75);
      expect(stdout).toMatch(/the claim was taken out of the queue of restart/);
      expect(fleet.lines()).toEqual([]);
      expect((await fleet.queue("restart")).map(({ id }) => id)).toEqual([failed.id]);
    });
  });

  describe("history", () => {
    test("is newest first, of one lock or of all, as many as are asked for", async () => {
      const fleet = await openFleet(kind);
      const node = fleet.node("web-01", {
        one: { command: ["true"], data: { ticket: "OPS-1" } },
        two: { command: ["true"] },
        bad: { command: ["false"], on_failure: "release" },
      });
      for (const action of ["one", "two", "bad", "one"]) await node.runAction(action);
      const admin = fleet.node("admin", {});
      const all = await admin.run("history", "--json");
      expect(all.code).toBe(0);
      const { history } = JSON.parse(all.stdout) as {
        history: { lock: string; claim: string; claimedAt: string; endedAt: string }[];
      };
      expect(history.map(({ lock }) => lock)).toEqual(["one", "bad", "two", "one"]);
      const time = expect.stringMatching(ISO_TIME) as string;
      const times = { claimedAt: time, endedAt: time };
      const common = { claim: expect.stringMatching(UUID) as string, by: "ops@web-01", ...times, lease: null, description: null };
      const anyOf = { pid: expect.any(Number) as number, machine: expect.any(String) as string };
      const owner = (action: string) => ({ node: "web-01", group: "default", principal: "ops@web-01", action, ...anyOf });
      const failure = { exitCode: 1, signal: null, message: "exit code 1", output: "", at: time };
      expect(history.slice(0, 2)).toEqual([
        { ...common, lock: "one", owner: owner("one"), event: "released", reason: null, data: { ticket: "OPS-1" }, failure: null },
        { ...common, lock: "bad", owner: owner("bad"), event: "failed", reason: "exit code 1", data: null, failure },
      ]);
      for (const { claimedAt, endedAt } of history) expect(Date.parse(claimedAt)).toBeLessThanOrEqual(Date.parse(endedAt));

      const parsed = async (...args: string[]) =>
        (JSON.parse((await admin.run("history", "--json", ...args)).stdout) as typeof all & { history: unknown[] }).history;
      expect(await parsed("--limit", "2")).toEqual(history.slice(0, 2));
      expect(await parsed("one")).toEqual([history[0], history[3]]);
      expect(await parsed("one", "--limit", "1")).toEqual([history[0]]);
      expect(await parsed("nothing-here")).toEqual([]);

      const text = await admin.run("history");
      expect(text.stdout).not.toContain(ESCAPE);
      const lines = text.stdout.trimEnd().split("\n");
      expect(lines.filter((line) => line.startsWith(" "))).toEqual(Array(2).fill('    data: {"ticket":"OPS-1"}'));
      const [headings = "", ...rows] = lines.filter((line) => !line.startsWith(" "));
      expect(headings).toMatch(/^ENDED +LOCK +EVENT +NODE +WHAT +HELD FOR +LOCKED BY +ENDED BY +REASON$/);
      const event = headings.indexOf("EVENT");
      expect(rows.map((row) => row.slice(event).split(" ")[0])).toEqual(["released", "failed", "released", "released"]);
      expect(rows[1]?.slice(headings.indexOf("REASON"))).toBe("exit code 1");
      expect((await admin.run("history", "nothing-here")).stdout).toMatch(
        /^nobody claims nothing-here, and the history has no record of it: /,
      );
      expect((await admin.run("acquire", "held-now")).code).toBe(0);
      expect((await admin.run("history", "held-now")).stdout).toBe("no claim on held-now has ended yet\n");
      expect((await admin.run("history", "held-mow")).stdout).toContain("did you mean held-now?");
    });
  });
});

describe("check", () => {
  test("prints what is in force and who said so, secrets hidden, and contacts no store", async () => {
    const fleet = await openFleet("zookeeper");
    const actions = {
      restart: {
        command: ["curl", "https://ops:sesame1@example.com/"],
        env: { API_TOKEN: "sesame2", PLAIN: "seen" },
        verify: { shell: "curl http://ops:sesame3@127.0.0.1/" },
        timeout: "90 s",
      },
    };
    const coordinator = "zookeeper://ops:sesame4@127.0.0.1:1/holdline";
    const node = fleet.node("web-01", actions, { coordinator, env: { HOLDLINE_RELEASE_TIMEOUT: "5 min" } });
    const text = await node.run("check");
    expect([text.code, text.stderr]).toEqual([0, ""]);
    expect(text.stdout.split("\n")[0]).toBe(`${node.config} is valid`);
    expect(text.stdout).toMatch(/^coordinator +zookeeper:\/\/ops:\*\*\*@127\.0\.0\.1:1\/holdline +file$/m);
    expect(text.stdout).toMatch(/^release_timeout +5 min +environment$/m);
    expect(text.stdout).toMatch(/^log\.level +info +default$/m);
    expect(text.stdout).toMatch(/^action restart\n( {2}.*\n)* {2}timeout +90 s$/m);
    expect(text.stdout).toMatch(/^ {2}env\.PLAIN +seen$/m);

    const json = await node.run("check", "--json");
    expect([json.code, json.stderr]).toEqual([0, ""]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      file: node.config,
      settings: {
        node: "web-01",
        coordinator: "zookeeper://ops:***@127.0.0.1:1/holdline",
        acquire: { timeout: "1 min" },
        actions: { restart: { env: { API_TOKEN: "***", PLAIN: "seen" }, lock: "restart", on_failure: "hold" } },
      },
      origins: { release_timeout: "environment", "log.level": "default", coordinator: "file" },
    });
    expect(text.stdout + json.stdout).not.toContain("sesame");
  });
});

describe("help", () => {
  test.each(COMMANDS.map(({ name }) => name))("of %s has an example", async (name) => {
    const fleet = await openFleet("sqlite");
    const node = fleet.node("web-01", {});
    const { code, stdout, stderr } = await node.run(name, "--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^Usage: holdline ${name}`));
    expect(stdout).toMatch(new RegExp(`Examples:\n  .*\\bholdline ${name}\\b`));
    expect((await node.run("help", name)).stdout).toBe(stdout);
  });

  test("lists all commands, and the version is the package's", async () => {
    const fleet = await openFleet("sqlite");
    const node = fleet.node("web-01", {});
    const { code, stdout } = await node.run("--help");
    expect(code).toBe(0);
    for (const { name, summary } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} .*${summary.slice(0, 20)}`, "m"));
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(await node.run("--version")).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

/** A claim on the lock of an action's name whose agent was killed while the action ran. */
async function leaveStale(
  fleet: Fleet,
  name: string,
  action: string,
  command = "exec sleep 1000",
  settings: Readonly<Record<string, unknown>> = {},
): Promise<number> {
  const pidFile = `${fleet.directory}/${name}.orphan`;
  const shell = `echo $$ > '${pidFile}'; echo "stale $HOLDLINE_NODE" >> '${fleet.log}'; ${command}`;
  const agent = fleet.node(name, { [action]: { shell, ...settings } }).start("run", action);
  await fleet.untilLine(`stale ${name}`);
  agent.kill("SIGKILL");
  await agent.ended;
  const orphan = Number(readFileSync(pidFile, "utf8"));
  onTestFinished(() => {
    // A test may have ended it already.
    if (isRunning(orphan)) process.kill(-orphan, "SIGKILL");
  });
  return orphan;
}

/** A failed holder with two waiters, a stale holder, and a running one with a key. */
async function busyFleet(kind: StoreKind) {
  const fleet = await openFleet(kind);
  const go = fleet.signalFile();
  const failing = {
    restart: { lock: "restart/nginx", shell: "printf '\\033[31mboom\\033[0m\\n'; exit 3", data: { ticket: "OPS-1" } },
  };
  await fleet.node("web-07", failing).runAction("restart");
  await leaveStale(fleet, "web-05", "deploy");
  const backup = fleet.node("web-06", {}).start("exec", "backup", "--key", "rack-1", "--", "sh", "-c", fleet.waitingShell(go.path));
  await fleet.untilLine("start web-06");
  const waiters: Cli[] = [];
  for (const name of ["web-08", "web-09"]) {
    waiters.push(fleet.node(name, { restart: { lock: "restart/nginx", command: ["true"] } }).start("run", "restart"));
    await fleet.untilQueue("restart/nginx", waiters.length + 1);
  }
  // Both are in line for good, so that nothing moves while the test looks.
  await until(() => waiters.every((waiter) => waiter.stderr().includes("in line for")), "both to wait");
  return {
    fleet,
    agents: { backup, waiters },
    end: async () => {
      go.give();
      expect((await backup.ended).code).toBe(0);
      for (const waiter of waiters) waiter.kill("SIGTERM");
      for (const waiter of waiters) expect((await waiter.ended).code).toBe(143);
    },
  };
}
