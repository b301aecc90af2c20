// Who is told of what, by the built program: commands and webhooks of a node's configuration, and of a server's.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeFreezes, type Freeze, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { type Asked, startReceiver } from "../notify/receivers.js";
import { startServer } from "../server/serving.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { type Fleet, openFleet, STORES } from "./fleet.js";

failOnLeaks();

const SHORT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const LONG = "a592e3fa-fe9c-4afa-bd71-9028b85ca2ca";
const SECRET = "T0KEN-b1946ac9";

type Told = Readonly<Record<string, unknown>>;

/** The few members that say what happened. */
function gist({ event, lock, action, node, by, reason }: Told): unknown[] {
  return [event, lock, action, node, by, reason];
}

/** A receiver that is a command, and what it was told. */
function commandReceiver(fleet: Fleet) {
  const file = join(fleet.directory, "told");
  const told = (): Told[] => {
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Told);
  };
  return { notify: [{ shell: `cat >> '${file}'; echo >> '${file}'` }], told };
}

describe.each(STORES)("on %s", (kind) => {
  test("a failure is told, and that what it left has ended well", async () => {
    const fleet = await openFleet(kind);
    const { notify, told } = commandReceiver(fleet);
    const fixed = join(fleet.directory, "fixed");
    const actions = { deploy: { shell: `echo unhappy; test -e '${fixed}'`, lock: "deploy/shop" } };
    const node = fleet.node("web-07", actions, { settings: { notify, group: "web" } });
    expect((await node.runAction("deploy")).code).toBe(4);
    expect(told().map(gist)).toEqual([["failed", "deploy/shop", "deploy", "web-07", null, null]]);
    expect(told()[0]).toMatchObject({
      text: "FAILED: deploy on web-07 (lock deploy/shop): exit code 1; last output: unhappy",
      ...{ group: "web", principal: "ops@web-07", claim: (await fleet.queue("deploy/shop"))[0]?.id, freeze: null },
      failure: { exitCode: 1, signal: null, message: "exit code 1", output: "unhappy\n" },
    });
    await node.run("exec", "elsewhere", "--", "touch", fixed);
    expect((await node.runAction("deploy")).code).toBe(0);
    expect(told().slice(1).map(gist)).toEqual([["recovered", "deploy/shop", "deploy", "web-07", "ops@web-07", null]]);
  });

  test("a stale claim is told by its own node, when it takes the claim up", async () => {
    const fleet = await openFleet(kind);
    const { notify, told } = commandReceiver(fleet);
    const go = fleet.signalFile();
    const node = fleet.node("web-07", { deploy: { shell: fleet.waitingShell(go.path) } }, { settings: { notify } });
    const killed = node.start("run", "deploy");
    await fleet.untilLine("start web-07");
    killed.kill("SIGKILL");
    await killed.ended;
    go.give();
    // While it is frozen its node only looks, again and again.
    expect((await node.run("freeze", "deploy", "--reason", "sale")).code).toBe(0);
    await until(async () => (await node.run("resume")).code === 75, "resume to be refused");
    expect((await node.run("resume")).code).toBe(75);
    expect((await node.run("thaw", "--all")).code).toBe(0);
    await until(async () => (await node.run("resume")).code === 0, "resume to finish");
    const ofClaims = told().filter(({ event }) => event !== "frozen" && event !== "thawed");
    expect(ofClaims.map(gist)).toEqual([
      ["stale", "deploy", "deploy", "web-07", null, null],
      ["recovered", "deploy", "deploy", "web-07", "ops@web-07", null],
    ]);
  });

  test("the lock is free while a receiver has not answered yet", async () => {
    const fleet = await openFleet(kind);
    const go = fleet.signalFile();
    // It answers only once nobody has the lock: a release that waited for the answer would never come.
    const { origin, asked } = await startReceiver((response) => {
      void fleet.untilQueue("deploy/shop", 0).then(() => response.end(go.give()));
    });
    const actions = {
      deploy: { command: ["false"], lock: "deploy/shop", on_failure: "release" },
      // Without it the agent would end, and wait for the answer for a moment only.
      next: { shell: fleet.waitingShell(go.path) },
    };
    const node = fleet.node("web-07", actions, { settings: { notify: [{ url: `${origin}/${SECRET}` }] } });
    const { code, stderr } = await node.run("run", "deploy", "next", "-v");
    expect(code).toBe(4);
    expect(asked.map(({ body }) => body["event"])).toEqual(["failed"]);
    expect(stderr).toContain(`${origin} was told: failed: deploy/shop`);
    expect(stderr).not.toContain(SECRET);
  });

  test("a receiver that never answers keeps a command for a moment only, and changes nothing of its result", async () => {
    const fleet = await openFleet(kind);
    const hanging = await startReceiver(() => undefined);
    const { notify, told } = commandReceiver(fleet);
    const receivers = [{ on: ["failed"], url: `${hanging.origin}/hooks/${SECRET}` }, ...notify];
    const node = fleet.node("web-07", { deploy: { command: ["false"] } }, { settings: { notify: receivers } });
    const { code, stderr, stdout } = await within(node.start("run", "deploy", "--json", "-v").ended, "the run");
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ results: [{ outcome: "failed" }] });
    expect(told()).toHaveLength(1);
    expect(stderr).toContain(`${hanging.origin} was not told (failed: deploy): holdline ended before that`);
    const checked = await node.run("check");
    expect(stderr + stdout + checked.stdout + checked.stderr).not.toContain(SECRET);
  });

  test("a claim that was cleared is told, whoever cleared it and how", async () => {
    const fleet = await openFleet(kind);
    const { origin, asked } = await startReceiver();
    const settings = { notify: [{ on: ["cleared"], url: origin }] };
    const node = fleet.node("web-07", { deploy: { command: ["false"] } }, { settings });
    const serving = await startServer(fleet, "server", { settings });
    await node.run("run", "deploy");
    expect((await node.run("clear", "deploy", "--reason", "OPS-1")).code).toBe(0);
    const { result } = await node.runAction("deploy");
    const path = `/v1/claims/${result.claim}/clear`;
    expect((await serving.ask("POST", path, { lock: "deploy", reason: "OPS-2" })).status).toBe(200);
    await until(() => asked.length === 2, "both to be told");
    expect(asked.map(({ body }) => gist(body))).toEqual([
      ["cleared", "deploy", "deploy", "web-07", "ops@web-07", "OPS-1"],
      ["cleared", "deploy", "deploy", "web-07", "ops@server", "OPS-2"],
    ]);
    expect(asked[1]?.body["failure"]).toMatchObject({ exitCode: 1 });
  });

  test("a freeze is told when it begins and when it is thawed", async () => {
    const fleet = await openFleet(kind);
    const { notify, told } = commandReceiver(fleet);
    const node = fleet.node("desk", {}, { settings: { notify } });
    const frozen = await node.run("freeze", "deploy/*", "--group", "web", "--reason", "the sale", "--for", "4 days");
    expect((await node.run("thaw", frozen.stdout.trim())).code).toBe(0);
    expect(told().map(({ event, by, reason }) => [event, by, reason])).toEqual([
      ["frozen", "ops@desk", "the sale"],
      ["thawed", "ops@desk", "the sale"],
    ]);
    const { freeze } = told()[0] as { readonly freeze: object };
    expect(freeze).toMatchObject({ id: frozen.stdout.trim(), locks: ["deploy/*"], node: null, group: "web", by: "ops@desk" });
  });

  test("a server tells that a freeze's time is over, and leaves it to others to tell of one that was thawed", async () => {
    const fleet = await openFleet(kind);
    const { origin, asked } = await startReceiver();
    const serving = await startServer(fleet, "server", { settings: { notify: [{ on: ["frozen"], url: origin }] } });
    const store = await fleet.coordinator();
    const { ms: since } = await store.sync();
    const freeze = (id: string, forMs: number): Freeze => ({
      ...{ id, locks: ["deploy/*"], node: null, group: null, reason: "the sale", by: "ann@desk" },
      ...{ since, until: since + forMs },
    });
    const [short, long] = [freeze(SHORT, 3_000), freeze(LONG, 3_600_000)];
    const seen = async () => (await serving.ask("GET", "/v1/locks")).text;
    expect(await store.writeDocument(FREEZES_DOCUMENT, encodeFreezes([short, long]), 0)).toBe("done");
    await until(async () => (await seen()).includes(LONG), "the freezes to be seen");
    const revision = (await store.document(FREEZES_DOCUMENT))?.revision ?? 0;
    expect(await store.writeDocument(FREEZES_DOCUMENT, encodeFreezes([short]), revision)).toBe("done");
    await until(async () => !(await seen()).includes(LONG), "the thaw to be seen");
    await until(() => asked.length > 0, "the server to tell");
    expect(asked.map(({ body }) => [body["event"], body["by"], (body["freeze"] as Freeze).id])).toEqual([["thawed", null, SHORT]]);
  });

  test("a server tells once of each claim that it sees go stale", async () => {
    const fleet = await openFleet(kind);
    const { origin, asked } = await startReceiver();
    const serving = await startServer(fleet, "server", { settings: { notify: [{ url: origin }] } });
    const never = fleet.signalFile();
    const node = fleet.node("web-07", { deploy: { shell: fleet.waitingShell(never.path) } });
    const killed = node.start("run", "deploy");
    await fleet.untilLine("start web-07");
    killed.kill("SIGKILL");
    await killed.ended;
    const [claim] = await fleet.queue("deploy");
    await until(() => asked.length > 0, { what: "the server to tell", deadlineMs: 50_000 });
    expect(gist((asked[0] as Asked).body)).toEqual(["stale", "deploy", "deploy", "web-07", null, null]);
    // The lock changes, and the claim is as stale as before.
    const waiter = fleet.node("web-08", {}).start("exec", "deploy", "--", "true");
    await until(async () => (await serving.ask("GET", "/v1/locks")).text.includes("web-08"), "the waiter to be seen");
    never.give();
    await until(
      async () => (await serving.ask("POST", `/v1/claims/${claim?.id}/clear`, { lock: "deploy", reason: "r" })).status === 200,
      "the claim to be cleared",
    );
    await waiter.ended;
    await until(() => asked.length > 1, "the clearing to be told");
    expect(asked.map(({ body }) => body["event"])).toEqual(["stale", "cleared"]);
  });
});
