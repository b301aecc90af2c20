// `locks --watch`: on a terminal and elsewhere, on real stores, while others take and leave locks, and while the store is away.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import type { FaultProxy } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { screenOf } from "../support/screen.js";
import { until, within } from "../support/wait.js";
import { type Cli, openFleet, openProxy, PROGRAM, STORES } from "./fleet.js";
import { noTerminal, startOnTerminal, type Terminal } from "./terminal.js";

failOnLeaks();

const skipped = noTerminal === null ? "" : ` (skipped: ${noTerminal})`;
const SIZE = { rows: 20, columns: 110 };

/** The holders by lock, for each document that was printed so far. */
function printed(watch: Cli): string[] {
  const lines = watch.stdout().split("\n").slice(0, -1);
  return lines.map((line) => {
    const { locks } = JSON.parse(line) as { locks: { lock: string; holders: unknown[]; waiting: unknown[] }[] };
    return locks.map(({ lock, holders, waiting }) => `${lock} ${holders.length}+${waiting.length}`).join(", ");
  });
}

const shows = (terminal: Terminal, words: string | RegExp): Promise<unknown> =>
  until(
    () => {
      const screen = screenOf(terminal.shown(), SIZE.rows).join("\n");
      return typeof words === "string" ? screen.includes(words) : words.test(screen);
    },
    { what: `the window to show ${String(words)}`, deadlineMs: 40_000 },
  );

describe.each(STORES)("on %s", (kind) => {
  test("elsewhere than on a terminal each change is a JSON line, and SIGINT ends it with 130 and without a word", async () => {
    const fleet = await openFleet(kind);
    await fleet.coordinator(); // makes the store
    const admin = fleet.node("admin", {});
    const watch = admin.start("locks", "--watch", "--json");
    await until(() => printed(watch).length === 1, "the first document");
    const { stdout: id } = await admin.run("acquire", "db", "--ttl", "1 day");
    await until(() => printed(watch).at(-1) === "db 1+0", "the lease to be seen");
    const waiter = admin.start("acquire", "db", "--wait", "1 min");
    await until(() => printed(watch).at(-1) === "db 1+1", "the waiter to be seen");
    expect((await admin.run("release", "db", id.trim())).code).toBe(0);
    expect((await waiter.ended).code).toBe(0);
    await until(() => printed(watch).at(-1) === "db 1+0", "the next holder to be seen");
    watch.kill("SIGINT");
    expect(await watch.ended).toMatchObject({ code: 130, stderr: "" });
  });

  test("a lease that runs out is gone from the list, though nobody touches the store", async () => {
    const fleet = await openFleet(kind);
    const admin = fleet.node("admin", {});
    expect((await admin.run("acquire", "db", "--ttl", "2 s")).code).toBe(0);
    const watch = admin.start("locks", "db", "--watch", "--json");
    await until(() => printed(watch).at(-1) === "", "the lease to be over");
    watch.kill("SIGTERM");
    expect((await watch.ended).code).toBe(143);
    expect((await (await fleet.coordinator()).history("db", 5)).map(({ event }) => event)).toEqual(["expired"]);
  });

  test("it ends with its reader", async () => {
    const fleet = await openFleet(kind);
    await fleet.coordinator(); // makes the store
    const { config, directory } = fleet.node("admin", {});
    const line = `set -o pipefail; "${process.execPath}" "${PROGRAM}" -c "${config}" locks --watch --json | head -n 1`;
    const pipeline = spawn("bash", ["-c", line], { cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(pipeline, "exit");
    onTestFinished(async () => {
      pipeline.kill("SIGKILL");
      await ended;
    });
    await once(pipeline.stdout, "data");
    // The next word finds nobody there.
    expect((await fleet.node("other", {}).run("acquire", "db")).code).toBe(0);
    expect(await within(ended, "the pipeline to end")).toEqual([0, null]);
  });

  test.skipIf(noTerminal !== null)(
    `on a terminal the window changes in place, ages grow, and Ctrl-C ends it with 130${skipped}`,
    async () => {
      const fleet = await openFleet(kind);
      await fleet.coordinator(); // makes the store
      const admin = fleet.node("admin", {});
      const terminal = startOnTerminal(["-c", admin.config, "locks", "--watch"], admin.directory, {}, SIZE);
      await shows(terminal, "nobody holds or waits for any lock");
      const { stdout: id } = await admin.run("acquire", "db", "--ttl", "1 day", "--reason", "schema 42");
      await shows(terminal, /^db +held +admin +lease .* leased until .* left$/m);
      await shows(terminal, "reason: schema 42");
      await shows(terminal, /^db .* (?:[2-9](?:\.\d)?|\d\d) s ago .*$/m);
      expect((await admin.run("release", "db", id.trim())).code).toBe(0);
      await shows(terminal, "nobody holds or waits for any lock");
      for (let lock = 0; lock < 15; lock += 1) expect((await admin.run("acquire", `db-${lock}`)).code).toBe(0);
      await shows(terminal, /^… and \d+ more lines/m);
      terminal.type("\x03");
      expect(await terminal.ended).toBe(130);
      expect(terminal.shown()).toContain("\x1b[?1049l");
      expect(terminal.shown()).not.toContain("holdline:");
    },
  );
});

describe.skipIf(noTerminal !== null).each([
  {
    outage: "that cannot be reached",
    begin: async (proxy: FaultProxy): Promise<void> => {
      await proxy.welcome("refuse");
      await proxy.cut();
    },
    end: async (proxy: FaultProxy): Promise<void> => proxy.welcome("serve"),
  },
  {
    outage: "that is frozen",
    begin: async (proxy: FaultProxy): Promise<void> => Promise.resolve(proxy.freeze()),
    end: async (proxy: FaultProxy): Promise<void> => Promise.resolve(proxy.thaw()),
  },
])(`a ZooKeeper $outage${skipped}`, ({ begin, end }) =>
  test("is told, and survived", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const far = fleet.node("far", {}, { coordinator: fleet.urlThrough(proxy), settings: { connect_timeout: "2 s" } });
    const admin = fleet.node("admin", {});
    expect((await admin.run("acquire", "before")).code).toBe(0);
    const terminal = startOnTerminal(["-c", far.config, "locks", "--watch"], far.directory, {}, SIZE);
    const piped = far.start("locks", "--watch", "--json");
    await shows(terminal, /^before +held/m);
    await until(() => printed(piped).at(-1) === "before 1+0", "the lock to be seen");
    await begin(proxy);
    await shows(terminal, /^below is what there was/m);
    await shows(terminal, /^before +held/m);
    await until(() => piped.stderr().includes("watching goes on"), { what: "the outage to be told", deadlineMs: 40_000 });
    expect((await admin.run("acquire", "meanwhile")).code).toBe(0);
    await end(proxy);
    await shows(terminal, /^meanwhile +held/m);
    await until(() => printed(piped).at(-1) === "before 1+0, meanwhile 1+0", { what: "the change to be seen", deadlineMs: 40_000 });
    await until(() => piped.stderr().includes("the store answers again"), "the end of the outage to be told");
    expect(screenOf(terminal.shown(), SIZE.rows).join("\n")).not.toContain("below is what there was");
    terminal.type("\x03");
    piped.kill("SIGINT");
    expect(await terminal.ended).toBe(130);
    expect((await piped.ended).code).toBe(130);
  }),
);
