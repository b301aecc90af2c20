// Gates as their users meet them: the built program, real services and files, a real store, and a small server that answers as
// Prometheus does. What each gate says is test/gates'.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { encodeFreezes, type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { readStat } from "../../src/proc.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, openFleet, PROGRAM, type Result, STORES, type StoreKind } from "./fleet.js";

failOnLeaks();

/** What `run` said, with what the shared helper leaves out. */
type GateResult = Result & { readonly nextAt?: string };

/** A day of the week that is neither today, yesterday nor tomorrow, in UTC. */
const FAR_DAY = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getUTCDay() + 3) % 7] as string;
const SHUT_WINDOW = [{ days: [FAR_DAY], start: "12:00", for: "1 h", zone: "UTC" }];
const OPEN_WINDOW = [{ start: "00:00", for: "1 day", zone: "UTC" }];

function writing(fleet: Fleet, text = "ran"): string {
  return `echo ${text} >> '${fleet.log}'`;
}

async function freeze(fleet: Fleet, ...freezes: readonly Partial<Freeze>[]): Promise<void> {
  const coordinator = await fleet.coordinator();
  const whole = freezes.map((each, index) => ({
    ...{ id: `f-${index}`, locks: ["*"], node: null, group: null, reason: "the sale", by: "ann@admin-01", since: 1, until: null },
    ...each,
  }));
  const revision = (await coordinator.document(FREEZES_DOCUMENT))?.revision ?? 0;
  expect(await coordinator.writeDocument(FREEZES_DOCUMENT, encodeFreezes(whole), revision)).toBe("done");
}

describe.each(STORES)("on %s", (kind) => {
  test("what is not needed is done: the attempt that was left is over", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { reboot: { shell: writing(fleet), needed: { file: "reboot-required" } } });
    const first = await node.runAction("reboot");
    expect([first.code, first.result.outcome, first.result.message]).toEqual([
      0,
      "not-needed",
      `${node.directory}/reboot-required is not there`,
    ]);
    // Something has to be left first: an attempt outside a window.
    writeFileSync(join(node.directory, "reboot-required"), "");
    const shut = fleet.node("web-01", {
      reboot: { shell: writing(fleet), needed: { file: "reboot-required" }, windows: SHUT_WINDOW },
    });
    expect(await shut.runAction("reboot")).toMatchObject({ code: 75, result: { outcome: "outside-window" } });
    expect(Object.keys(node.journal("reboot"))).not.toEqual([]);
    rmSync(join(node.directory, "reboot-required"));
    const resumed = await node.run("resume", "--json");
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ results: [{ outcome: "not-needed" }] });
    expect(node.journal("reboot")).toEqual({});
    expect(fleet.lines()).toEqual([]);
  });

  test("outside its windows an action waits in no line, and says when the next one opens; later resume runs it", async () => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { deploy: { shell: writing(fleet), windows: SHUT_WINDOW } });
    const { code, result } = await node.runAction("deploy");
    const { nextAt = "" } = result as GateResult;
    expect([code, result.outcome, result.claim]).toEqual([75, "outside-window", null]);
    expect(new Date(nextAt).toISOString()).toBe(nextAt);
    expect([new Date(nextAt).getUTCHours(), Date.parse(nextAt) > Date.now()]).toEqual([12, true]);
    expect(await fleet.queue("deploy")).toEqual([]);
    const opened = fleet.node("web-01", { deploy: { shell: writing(fleet), windows: [...SHUT_WINDOW, ...OPEN_WINDOW] } });
    const resumed = await opened.run("resume", "--json");
    expect(JSON.parse(resumed.stdout)).toMatchObject({ results: [{ outcome: "ran" }] });
    expect(fleet.lines()).toEqual(["ran"]);
  });

  test("a freeze of the lock stops who has not joined, and is told with its reason", async () => {
    const fleet = await openFleet(kind);
    await freeze(fleet, { locks: ["deploy/*"] });
    const node = fleet.node("web-01", {
      deploy: { shell: writing(fleet), lock: "deploy/shop" },
      other: { shell: writing(fleet, "other") },
    });
    expect(await node.runAction("deploy")).toMatchObject({
      code: 75,
      result: { outcome: "frozen", message: expect.stringContaining("frozen by ann@admin-01 (the sale)") as string },
    });
    expect(await node.runAction("other")).toMatchObject({ code: 0 });
    await freeze(fleet);
    expect(await node.runAction("deploy")).toMatchObject({ code: 0, result: { outcome: "ran" } });
    expect(fleet.lines()).toEqual(["other", "ran"]);
  });

  test("a freeze that cannot be read is no thaw", async () => {
    const fleet = await openFleet(kind);
    await (await fleet.coordinator()).writeDocument(FREEZES_DOCUMENT, "garbage", 0);
    const { code } = await fleet.node("web-01", { deploy: { shell: writing(fleet) } }).run("run", "deploy");
    expect(code).toBe(78);
    expect(fleet.lines()).toEqual([]);
  });

  test("--despite-freeze needs a reason, which the claim and the history show", async () => {
    const fleet = await openFleet(kind);
    await freeze(fleet, {});
    const go = fleet.signalFile();
    const node = fleet.node("web-01", { deploy: { shell: fleet.waitingShell(go.path) } });
    expect(await node.run("run", "deploy", "--despite-freeze")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("--despite-freeze needs a --reason") as string,
    });
    const run = node.start("run", "deploy", "--despite-freeze", "--reason", "OPS-1: the fix");
    await fleet.untilLine("start web-01");
    expect(await fleet.queue("deploy")).toMatchObject([{ reason: "OPS-1: the fix" }]);
    go.give();
    expect((await run.ended).code).toBe(0);
    const history = await (await fleet.coordinator()).history("deploy", 10);
    expect(history).toMatchObject([{ event: "released", by: "ops@web-01", reason: "OPS-1: the fix" }]);
  });

  test("who waits at the head of a lock that is frozen keeps the place, and goes on with the thaw", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = fleet.node("web-01", { deploy: { shell: fleet.waitingShell(go.path) } }).start("run", "deploy");
    await fleet.untilLine("start web-01");
    const waiter = fleet.node("web-02", { deploy: { shell: writing(fleet) } }).start("run", "deploy", "--json");
    const [, claim] = await fleet.untilQueue("deploy", 2);
    await freeze(fleet, {});
    go.give();
    await holder.ended;
    await until(() => waiter.stderr().includes("waiting for the thaw"), "it to wait for the thaw");
    expect(await fleet.queue("deploy")).toMatchObject([{ id: claim?.id, durable: false }]);
    // Nothing runs under it, although the rule says that it is held.
    const { locks } = JSON.parse((await fleet.node("desk", {}).run("locks", "--json")).stdout) as { locks: readonly object[] };
    expect(locks).toMatchObject([{ holders: [], waiting: [{ id: claim?.id, condition: "waiting" }] }]);
    expect(fleet.lines()).not.toContain("ran");
    await freeze(fleet);
    expect((await waiter.ended).code).toBe(0);
    expect(fleet.lines()).toContain("ran");
  });

  test("who is bound at the turn by name gives up the place", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const holder = fleet.node("web-01", { deploy: { shell: fleet.waitingShell(go.path) } }).start("run", "deploy");
    await fleet.untilLine("start web-01");
    const node = fleet.node("web-02", { deploy: { shell: writing(fleet) } });
    const waiter = node.start("run", "deploy", "--json");
    await fleet.untilQueue("deploy", 2);
    await freeze(fleet, { node: "web-02" });
    go.give();
    await holder.ended;
    const { code, stdout } = await waiter.ended;
    expect([code, JSON.parse(stdout)]).toMatchObject([75, { results: [{ outcome: "frozen", claim: null }] }]);
    expect(await fleet.queue("deploy")).toEqual([]);
    expect(Object.keys(node.journal("deploy"))).not.toEqual([]);
  });

  test("a gate that is shut when the turn comes gives up the place, and the next one goes", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    const green = join(fleet.directory, "green");
    writeFileSync(green, "");
    const blockers = [{ name: "cluster is green", command: ["test", "-e", green] }];
    const holder = fleet.node("web-01", { deploy: { shell: fleet.waitingShell(go.path) } }).start("run", "deploy");
    await fleet.untilLine("start web-01");
    const second = fleet.node("web-02", { deploy: { shell: writing(fleet, "second"), blockers } }).start("run", "deploy", "--json");
    await fleet.untilQueue("deploy", 2);
    const third = fleet.node("web-03", { deploy: { shell: writing(fleet, "third") } }).start("run", "deploy");
    await fleet.untilQueue("deploy", 3);
    rmSync(green);
    go.give();
    await holder.ended;
    const { code, stdout } = await second.ended;
    expect([code, JSON.parse(stdout)]).toMatchObject([
      75,
      { results: [{ outcome: "blocked", claim: null, message: 'blocked by "cluster is green": exit code 1' }] },
    ]);
    expect((await third.ended).code).toBe(0);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01", "third"]);
    expect(await fleet.queue("deploy")).toEqual([]);
  });

  test("behind a failed holder one may leave at once", async () => {
    const fleet = await openFleet(kind);
    await fleet.node("web-01", { deploy: { command: ["false"] } }).run("run", "deploy");
    const node = fleet.node("web-02", { deploy: { shell: writing(fleet), acquire: { behind_failed: "leave" } } });
    expect(await node.runAction("deploy")).toMatchObject({
      code: 75,
      result: { outcome: "blocked", message: "deploy is held by web-01, deploy, which has failed: exit code 1" },
    });
    expect(await fleet.queue("deploy")).toHaveLength(1);
    expect(Object.keys(node.journal("deploy"))).not.toEqual([]);
  });

  test("a failed claim behind a shut gate stays what it was", async () => {
    const fleet = await openFleet(kind);
    const failing = fleet.node("web-01", { deploy: { command: ["sh", "-c", "exit 9"] } });
    await failing.run("run", "deploy");
    const [before] = await fleet.queue("deploy");
    const node = fleet.node("web-01", { deploy: { shell: writing(fleet), windows: SHUT_WINDOW } });
    expect(await node.runAction("deploy")).toMatchObject({ code: 75, result: { outcome: "outside-window" } });
    const [after] = await fleet.queue("deploy");
    expect(after).toMatchObject({ id: before?.id, failure: before?.failure, made: before?.made, since: before?.since });
    expect(fleet.lines()).toEqual([]);
    const forced = await node.run("run", "deploy", "--force", "--json");
    expect(JSON.parse(forced.stdout)).toMatchObject({ results: [{ outcome: "ran", claim: before?.id }] });
    expect(await fleet.queue("deploy")).toEqual([]);
  });

  test("a freeze that comes while the blockers of a failed claim are asked stops its action", async () => {
    const fleet = await openFleet(kind);
    await fleet.node("web-01", { deploy: { command: ["sh", "-c", "exit 9"] } }).run("run", "deploy");
    const [before] = await fleet.queue("deploy");
    const go = fleet.signalFile();
    const blockers = [{ name: "asked", command: ["sh", "-c", fleet.waitingShell(go.path)] }];
    const again = fleet.node("web-01", { deploy: { shell: writing(fleet), blockers } }).start("run", "deploy", "--json");
    await fleet.untilLine("start web-01");
    await freeze(fleet, {});
    go.give();
    const { code, stdout } = await again.ended;
    expect([code, JSON.parse(stdout)]).toMatchObject([75, { results: [{ outcome: "frozen" }] }]);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
    expect(await fleet.queue("deploy")).toMatchObject([{ id: before?.id, failure: before?.failure }]);
  });

  test("whoever freezes other locks again and again keeps no run from settling", async () => {
    const fleet = await openFleet(kind);
    const admin = fleet.node("admin-01", {});
    // Each time that it is asked something else is frozen: between the look at the freezes and the settling.
    const freezing = `'${process.execPath}' '${PROGRAM}' -c '${admin.config}' freeze other/$$ --reason sale >/dev/null`;
    const asked = `echo asked >> '${fleet.log}'; test "$(wc -l < '${fleet.log}')" -lt 5 && ${freezing}`;
    const blockers = [{ name: "others freeze", command: ["sh", "-c", asked], timeout: "50 s" }];
    const node = fleet.node("web-01", { deploy: { shell: writing(fleet), blockers } });
    expect((await node.runAction("deploy")).result).toMatchObject({ outcome: "ran" });
    // Before the line, and when the turn has come.
    expect(fleet.lines()).toEqual(["asked", "asked", "ran"]);
  });

  test("a failed claim of what is not needed any more ends where the check passes, and else the action runs", async () => {
    const fleet = await openFleet(kind);
    const well = join(fleet.directory, "well");
    const verify = { command: ["test", "-e", well], timeout: "0.2 s", interval: "0.1 s" };
    const actions = (shell: string) => ({ deploy: { shell, verify, needed: { file: "/not/there" } } });
    await fleet.node("web-01", actions("exit 9")).run("run", "deploy", "--force");
    expect(await fleet.queue("deploy")).toHaveLength(1);
    const repaired = fleet.node("web-01", actions(`${writing(fleet)}; touch '${well}'`));
    expect(await repaired.runAction("deploy")).toMatchObject({ code: 0, result: { outcome: "ran" } });
    rmSync(well);
    await fleet.node("web-01", actions("exit 9")).run("run", "deploy", "--force");
    expect(await fleet.queue("deploy")).toHaveLength(1);
    writeFileSync(well, "");
    const again = fleet.node("web-01", actions(writing(fleet)));
    expect(await again.runAction("deploy")).toMatchObject({ code: 0, result: { outcome: "not-needed" } });
    expect(fleet.lines()).toEqual(["ran"]);
    expect(await fleet.queue("deploy")).toEqual([]);
  });
});

describe("what a machine says of its service", () => {
  test("a timer's runs restart once after a change, and not again", async () => {
    const { fleet, node, service, etc } = await openService("sqlite", (etc) => ({ changed: [join(etc, "**")] }));
    expect((await node.runAction("restart")).result).toMatchObject({ outcome: "ran" });
    expect((await node.runAction("restart")).result).toMatchObject({ outcome: "not-needed" });
    const first = service();
    writeFileSync(join(etc, "new.conf"), "");
    const changed = await node.runAction("restart");
    expect([changed.code, changed.result.outcome]).toEqual([0, "ran"]);
    expect(service()).not.toBe(first);
    for (let times = 0; times < 2; times += 1) {
      expect(await node.runAction("restart")).toMatchObject({ code: 0, result: { outcome: "not-needed" } });
    }
    expect(fleet.lines()).toEqual(["restarted", "restarted"]);
    rmSync(join(etc, "new.conf"));
    expect((await node.runAction("restart")).result.outcome).toBe("ran");
  });

  test("a restart before a file was written does not fulfil a wish", async () => {
    const { fleet, node, etc } = await openService("sqlite", (etc) => ({ changed: [join(etc, "**")] }), { windows: SHUT_WINDOW });
    expect((await node.runAction("restart")).result.outcome).toBe("outside-window");
    // Somebody restarts it by hand, and only then the file changes.
    expect((await node.run("run", "restart", "--force")).code).toBe(0);
    expect((await node.runAction("restart")).result.outcome).toBe("not-needed");
    writeFileSync(join(etc, "new.conf"), "");
    expect((await node.runAction("restart")).result.outcome).toBe("outside-window");
    expect(fleet.lines()).toEqual(["restarted"]);
  });

  test("a service whose program was replaced is outdated until it has restarted", async () => {
    const { node, program, service } = await openService("sqlite", () => ({ outdated: true }));
    expect((await node.run("run", "restart", "--force")).code).toBe(0);
    const first = service();
    expect(await node.runAction("restart")).toMatchObject({
      code: 0,
      result: { outcome: "not-needed", message: "its process is up to date" },
    });
    copyFileSync("/bin/sleep", `${program}.new`);
    renameSync(`${program}.new`, program);
    const dry = await node.run("run", "restart", "--dry-run");
    expect(dry.stdout).toContain(`restart: would run: needed: process ${first} runs from ${program}, which has been replaced`);
    expect((await node.runAction("restart")).result.outcome).toBe("ran");
    expect((await node.runAction("restart")).result.outcome).toBe("not-needed");
  });

  test("a command that says neither yes nor no runs nothing and fails nothing", async () => {
    const fleet = await openFleet("sqlite");
    const asking = (shell: string) => fleet.node("web-01", { deploy: { shell: writing(fleet), needed: { shell } } });
    expect(await asking("echo broken; exit 2").runAction("deploy")).toMatchObject({
      code: 75,
      result: {
        outcome: "blocked",
        message: expect.stringMatching(/cannot be told whether it is needed.*exit code 2: broken/) as string,
      },
    });
    expect((await asking("exit 1").runAction("deploy")).result.outcome).toBe("not-needed");
    expect((await asking('test "$HOLDLINE_ACTION" = deploy').runAction("deploy")).result.outcome).toBe("ran");
    expect(fleet.lines()).toEqual(["ran"]);
  });
});

test("an alert that fires blocks, and the password of its server is shown nowhere", async () => {
  const fleet = await openFleet("sqlite");
  let state = "firing";
  const server = createServer((_, response) => {
    const alerts = [
      { labels: { alertname: "NodeDown" }, annotations: {}, state, activeAt: "2026-06-01T10:00:00Z", value: "1e+00" },
    ];
    response.end(JSON.stringify({ status: "success", data: { alerts } }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const blockers = [{ name: "no alert", prometheus: `http://ann:s3cret@${host}`, alerts: "^Node" }];
  const node = fleet.node("web-01", { deploy: { shell: writing(fleet), blockers } });
  const blocked = await node.run("run", "deploy", "--verbose");
  expect([blocked.code, blocked.stdout]).toEqual([75, 'deploy: not run: blocked by "no alert": an alert fires: NodeDown\n']);
  state = "pending";
  expect((await node.runAction("deploy")).result.outcome).toBe("ran");
  server.close();
  server.closeAllConnections();
  const silent = await node.run("run", "deploy", "--verbose");
  expect(silent.code).toBe(75);
  expect(silent.stdout).toContain(`${host} could not be asked`);
  expect(blocked.stdout + blocked.stderr + silent.stdout + silent.stderr).not.toContain("s3cret");
});

test("skip_coordination skips the lock and not the gates", async () => {
  const fleet = await openFleet("sqlite");
  const node = fleet.node(
    "web-01",
    { deploy: { shell: writing(fleet), windows: SHUT_WINDOW } },
    { settings: { skip_coordination: true } },
  );
  expect(await node.runAction("deploy")).toMatchObject({ code: 75, result: { outcome: "outside-window", coordinated: false } });
  expect((await node.run("run", "deploy", "--force")).code).toBe(0);
  expect(fleet.lines()).toEqual(["ran"]);
});

test("--stop-on-failure runs nothing after what has not been done", async () => {
  const fleet = await openFleet("sqlite");
  const node = fleet.node("web-01", { a: { command: ["false"] }, b: { shell: writing(fleet) } });
  expect(await node.run("run", "--all", "--stop-on-failure")).toMatchObject({ code: 4 });
  expect(fleet.lines()).toEqual([]);
  expect(await node.run("run", "a", "b")).toMatchObject({ code: 4 });
  expect(fleet.lines()).toEqual(["ran"]);
});

describe("a dry run", () => {
  test("says gate by gate what would happen, and makes neither store nor state", async () => {
    const fleet = await openFleet("sqlite");
    const blockers = [{ name: "cluster is green", command: ["true"] }];
    const node = fleet.node("web-01", {
      deploy: { shell: writing(fleet), needed: { command: ["true"] }, windows: OPEN_WINDOW, blockers },
    });
    const { code, stdout } = await node.run("run", "deploy", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^deploy: would run: needed: true says so; window: its window is open.*; freeze: .*; blockers: free: "cluster is green"; lock: deploy is free/,
    );
    expect(readdirSync(node.directory)).toEqual(["holdline.yaml"]);
    expect(existsSync(fleet.url.replace("sqlite://", ""))).toBe(false);
    expect(fleet.lines()).toEqual([]);
  });

  test("tells who holds the lock, and changes not a byte of store and state", async () => {
    const fleet = await openFleet("sqlite");
    const failed = fleet.node("web-01", { deploy: { command: ["false"] } });
    await failed.run("run", "deploy");
    const timedOut = fleet.node("web-02", { deploy: { shell: writing(fleet), acquire: { timeout: 0 } } });
    await timedOut.run("run", "deploy");
    const node = fleet.node("web-02", {
      deploy: { shell: writing(fleet), windows: SHUT_WINDOW },
      plain: { shell: "true", lock: "deploy" },
    });
    const before = contentOf(fleet.directory);
    const store = storeOf(fleet);
    const dry = await node.run("run", "plain", "deploy", "--dry-run", "--json");
    expect(dry.code).toBe(75);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      results: [
        { outcome: "would-wait", message: expect.stringContaining("deploy is held by web-01 (deploy) since") as string },
        { outcome: "outside-window", nextAt: expect.any(String) as string, claim: null },
      ],
    });
    expect(contentOf(fleet.directory)).toEqual(before);
    expect(storeOf(fleet)).toEqual(store);
    const own = await failed.run("run", "deploy", "--dry-run");
    expect(own.stdout).toContain("would run");
    expect(own.stdout).toContain("it would take up what an earlier run has left");
    expect(storeOf(fleet)).toEqual(store);
  });
});

/** Each file below a directory with its content, but for configurations. */
function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => !name.endsWith(".yaml"));
  const files = names.filter((name) => statSync(join(directory, name)).isFile() && !/-(?:wal|shm)$/.test(name));
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(directory, name)).toString("base64")]));
}

/** The database of a fleet as it is on disk. */
function storeOf(fleet: Fleet): string {
  return readFileSync(fleet.url.replace("sqlite://", "")).toString("base64");
}

/**
 * A node with a service, a copy of `sleep` under a name of its own, which its action restarts.
 * @param needed what it takes for a restart, by the folder of its configuration
 */
async function openService(
  kind: StoreKind,
  needed: (etc: string) => Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>> = {},
) {
  const fleet = await openFleet(kind);
  const name = `hl-${randomBytes(4).toString("hex")}`;
  const program = join(fleet.directory, name);
  const etc = join(fleet.directory, "etc");
  const pidFile = join(fleet.directory, "service.pid");
  copyFileSync("/bin/sleep", program);
  mkdirSync(etc);
  writeFileSync(join(etc, "service.conf"), "");
  const service = (): number => Number(readFileSync(pidFile, "utf8"));
  onTestFinished(() => {
    if (existsSync(pidFile) && readStat(service())?.comm === name) process.kill(service(), "SIGKILL");
  });
  const shell = [
    `if [ -e '${pidFile}' ]; then kill -9 "$(cat '${pidFile}')"; fi`,
    `setsid sh -c 'echo $$ > "${pidFile}"; exec "${program}" 4711' > /dev/null 2>&1 &`,
    writing(fleet, "restarted"),
  ].join("\n");
  const process_ = { command_string: `^${name}$` };
  const node = fleet.node("web-01", {
    restart: { mode: "serialize_process", shell, process: process_, needed: needed(etc), ...changes },
  });
  return { fleet, node, program, etc, service };
}
