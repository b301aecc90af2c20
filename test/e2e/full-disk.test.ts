// A node whose state directory has no room left or cannot be written: an action that the journal cannot remember is not
// run, and nobody waits behind it. Each test mounts a small file system there, so it needs a user who may mount one.
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { reasonNotToMount, SmallDisk } from "../support/small-disk.js";
import { type Fleet, type Node, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const cannotMount = reasonNotToMount();

describe.skipIf(cannotMount !== null)(`a state directory${cannotMount === null ? "" : ` (skipped: ${cannotMount})`}`, () => {
  describe.each(STORES)("on %s", (kind) => {
    test("that fills up while its node waits: the action is not run, and the queue moves on", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const actions = { restart: { shell: fleet.waitingShell(go.path) } };
      const holder = fleet.node("web-00", actions).start("run", "restart");
      await fleet.untilLine("start web-00");
      const { node, disk } = nodeOnDisk(fleet, actions);
      const waiter = node.start("run", "restart", "--json");
      await fleet.untilQueue("restart", 2);
      const next = fleet.node("web-02", actions).start("run", "restart");
      await fleet.untilQueue("restart", 3);
      disk.fill();
      go.give();
      expect((await holder.ended).code).toBe(0);
      const { code, stdout, stderr } = await waiter.ended;
      expect(code, stderr).toBe(78);
      const { error } = JSON.parse(stdout) as { readonly error: { readonly [word: string]: string } };
      expect(error["code"]).toBe("configuration");
      expect(error["message"]).toMatch(/\/state\/journal\/web-01\/restart\/run-.*\.json could not be written: ENOSPC/);
      expect(error["hint"]).toMatch(/`state_dir` must be .* on a file system with room/);
      expect((await next.ended).code, next.stderr()).toBe(0);
      expect(fleet.lines()).toEqual(["start web-00", "end web-00", "start web-02", "end web-02"]);
      expect(await fleet.queue("restart")).toEqual([]);
      const history = await (await fleet.coordinator()).history("restart", 10);
      expect(history.map(({ owner, reason }) => [owner.node, reason])).toEqual([
        ["web-02", null],
        ["web-01", "the action was not begun"],
        ["web-00", null],
      ]);
      expect(disk.files("journal/web-01/restart"), "what is left of the journal").toEqual([]);

      disk.empty();
      expect((await node.runAction("restart")).result).toMatchObject({ outcome: "ran" });
      expect(fleet.lines().slice(-2)).toEqual(["start web-01", "end web-01"]);
    });

    test.each([
      ["succeeds is released all the same", "true", 0, "ran"],
      ["fails keeps its lock all the same", "exit 3", 4, "failed"],
    ])("that fills up while an action runs: one that %s", async (_what, ending, exitCode, outcome) => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const { node, disk } = nodeOnDisk(fleet, { restart: { shell: `${fleet.waitingShell(go.path)}; ${ending}` } });
      const agent = node.start("run", "restart", "--json");
      await fleet.untilLine("start web-01");
      disk.fill();
      go.give();
      const { code, stdout, stderr } = await agent.ended;
      expect(code, stderr).toBe(exitCode);
      expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome }] });
      expect((await fleet.queue("restart")).map(({ failure }) => failure?.exitCode)).toEqual(outcome === "failed" ? [3] : []);
      expect(disk.files("journal/web-01/restart"), "what is left of the journal").toEqual([]);
    });

    test("that is full when the wait has been in vain: that is said, and nobody waits behind it", async () => {
      const fleet = await openFleet(kind);
      const go = fleet.signalFile();
      const actions = { restart: { shell: fleet.waitingShell(go.path) } };
      const holder = fleet.node("web-00", actions).start("run", "restart");
      await fleet.untilLine("start web-00");
      const { node, disk } = nodeOnDisk(fleet, { restart: { command: ["true"], acquire: { timeout: 0 } } });
      // Its state directory is in use already.
      expect((await node.run("resume")).code).toBe(0);
      disk.fill();
      const { code, stderr } = await node.run("run", "restart");
      expect(code).toBe(78);
      expect(stderr).toMatch(/attempts\.jsonl could not be written: ENOSPC/);
      expect((await fleet.queue("restart")).map(({ owner }) => owner.node)).toEqual(["web-00"]);
      go.give();
      expect((await holder.ended).code).toBe(0);
    });

    test.each([
      ["is read-only", (disk: SmallDisk) => disk.protect(), /EROFS/],
      ["has no room for another file", (disk: SmallDisk) => disk.fillWithFiles(), /ENOSPC/],
    ] as const)("that %s: nothing is joined and nothing run, and who only looks is served", async (_what, spoil, words) => {
      const fleet = await openFleet(kind);
      const { node, disk } = nodeOnDisk(fleet, { restart: { shell: `echo ran >> '${fleet.log}'` } });
      // What can be there already is there: that it can still be written has to be tried.
      expect((await node.runAction("restart")).code).toBe(0);
      const stale = await fleet.node("web-00", { restart: { command: ["false"] } }).runAction("restart");
      expect(stale.code).toBe(4);
      spoil(disk);
      for (const args of [["run", "restart"], ["resume"]]) {
        const { code, stdout, stderr } = await node.run(...args);
        expect([code, stdout], args.join(" ")).toEqual([78, ""]);
        expect(stderr).toMatch(words);
        expect(stderr).toMatch(/^holdline: .*\/state.* could not be (made|written): .*\n +`state_dir` must be a directory/m);
      }
      expect(fleet.lines(), "as before").toEqual(["ran"]);
      expect((await fleet.queue("restart")).map(({ id }) => id)).toEqual([stale.result.claim]);
      for (const args of [["locks"], ["history"], ["check"], ["clear", "restart", "--reason", "it is mended"]]) {
        const { code, stderr } = await node.run(...args);
        expect(code, `${args.join(" ")}: ${stderr}`).toBe(0);
      }
      disk.empty();
      expect((await node.runAction("restart")).code).toBe(0);
      expect(fleet.lines()).toEqual(["ran", "ran"]);
    });
  });

  test("with the database in it that is full: nothing is run, and after that all is as it was", async () => {
    const fleet = await openFleet("sqlite");
    const { node, disk } = nodeOnDisk(fleet, { restart: { shell: `echo ran >> '${fleet.log}'` } }, "holdline.db");
    expect((await node.runAction("restart")).code).toBe(0);
    disk.fill();
    const { code, stderr } = await node.run("run", "restart");
    expect(code, stderr).toBe(78);
    expect(stderr).toMatch(/could not be written: ENOSPC|the disk is full/);
    expect(fleet.lines()).toEqual(["ran"]);
    disk.empty();
    expect((await node.run("locks", "restart")).code, "somebody holds it").toBe(1);
    expect((await node.runAction("restart")).code).toBe(0);
    expect(fleet.lines()).toEqual(["ran", "ran"]);
  });

  test("with the database in it that fills up while an action runs: why the lock is kept is said, and the action is not run again", async () => {
    const fleet = await openFleet("sqlite");
    const go = fleet.signalFile();
    const { node, disk } = nodeOnDisk(fleet, { restart: { shell: fleet.waitingShell(go.path) } }, "holdline.db");
    const agent = node.start("run", "restart", "--json");
    await fleet.untilLine("start web-01");
    disk.fill();
    go.give();
    const { code, stdout, stderr } = await agent.ended;
    expect(code, stderr).toBe(69);
    const message = expect.stringMatching(
      /the lock could not be released: .*holdline\.db cannot be used: the disk is full/,
    ) as unknown;
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "unreachable", message }] });
    disk.empty();
    expect((await node.run("locks", "restart")).stdout).toMatch(/STALE/);
    expect((await node.runAction("restart")).result).toMatchObject({ outcome: "already-done" });
    expect(await fleet.queue("restart")).toEqual([]);
    expect(disk.files("journal/web-01/restart"), "what is left of the journal").toEqual([]);
    expect(fleet.lines()).toEqual(["start web-01", "end web-01"]);
  });
});

/** A node, and the file system that its state directory is. */
function nodeOnDisk(fleet: Fleet, actions: Readonly<Record<string, unknown>>, database?: string): { node: Node; disk: SmallDisk } {
  const directory = join(fleet.directory, "web-01", "state");
  const disk = new SmallDisk(directory);
  onTestFinished(() => disk.close());
  const coordinator =
    database === undefined ? {} : { coordinator: `sqlite://${directory}/${database}`, settings: { release_timeout: "1 s" } };
  return { disk, node: fleet.node("web-01", actions, coordinator) };
}
