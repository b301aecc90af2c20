// `holdline copy` between real stores: what was left in the old one goes on in the new one, and whoever still names the old one is told.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startServer } from "../server/serving.js";
import { failOnLeaks } from "../support/leaks.js";
import { openFleet } from "./fleet.js";

failOnLeaks();

test.each([
  ["sqlite", "zookeeper"],
  ["zookeeper", "sqlite"],
] as const)("from %s to %s: a failed action is resumed in the new store, after the thaw", async (old, fresh) => {
  const [from, to] = [await openFleet(old), await openFleet(fresh)];
  const actions = { restart: { command: ["sh", "-c", `test -e '${join(from.directory, "mended")}'`] } };
  const node = from.node("web-01", actions);
  expect((await node.runAction("restart")).result.outcome).toBe("failed");
  const { stdout } = await node.run("locks", "--json");
  const [before] = (JSON.parse(stdout) as Listing).locks;
  const copy = ["copy", from.url, to.url] as const;
  expect(await node.run(...copy)).toMatchObject({ code: 75, stderr: expect.stringContaining("is not frozen") as string });
  expect((await node.run("freeze", "--reason", "it moves")).code).toBe(0);
  const copied = await node.run(...copy, "--json");
  expect(copied.code).toBe(0);
  const document = { from: from.url, to: to.url, claims: 1, history: 2, documents: 1, freezes: 1, isRepeated: false };
  expect(JSON.parse(copied.stdout)).toEqual({ copied: document });
  expect((await node.run(...copy)).stdout).toMatch(/^copied before from /);

  const moved = from.node("web-01", actions, { coordinator: to.url });
  const [after] = (JSON.parse((await moved.run("locks", "--json")).stdout) as Listing).locks;
  expect(after?.holders[0]).toMatchObject({ id: before?.holders[0]?.id, condition: "failed" });
  expect(after?.holders[0]?.fencingToken).toBeGreaterThan(before?.holders[0]?.fencingToken ?? Number.NaN);
  expect((await moved.run("resume")).code).toBe(75);
  expect((await moved.run("thaw", "--all")).code).toBe(0);
  writeFileSync(join(from.directory, "mended"), "");
  expect((await moved.run("resume")).code).toBe(0);
  expect(JSON.parse((await moved.run("locks", "--json")).stdout)).toMatchObject({ locks: [] });
});

interface Listing {
  readonly locks: readonly {
    readonly holders: readonly { readonly id: string; readonly condition: string; readonly fencingToken: number }[];
  }[];
}

test("whatever still names the old store is told where everything is, without the new one's password", async () => {
  const [from, to] = [await openFleet("sqlite"), await openFleet("zookeeper")];
  const secret = to.url.replace("://", "://ops:geheim@");
  const node = from.node("web-01", { restart: { command: ["touch", join(from.directory, "ran")] } });
  expect((await node.run("freeze", "--reason", "it moves")).code).toBe(0);
  expect((await node.run("copy", from.url, secret)).code).toBe(0);
  const shown = to.url.replace("://", "://ops:***@");
  const commands = [
    ["run", "restart"],
    ["run", "restart", "--despite-freeze", "--reason", "urgent"],
    ["run", "restart", "--dry-run"],
    ["begin", "restart", "--detached"],
    ["end", "restart"],
    ["resume"],
    ["exec", "x", "--", "touch", join(from.directory, "ran")],
    ["acquire", "x"],
    ["lock", "web-01"],
    ["locks"],
    ["history"],
    ["nodes"],
    ["freezes"],
    ["freeze", "--reason", "again"],
    ["thaw", "--all"],
    ["clear", "x", "--reason", "no"],
    ["check", "--live"],
    ["serve", "--listen", "127.0.0.1:0"],
  ];
  for (const command of commands) {
    const { code, stdout, stderr } = await node.run(...command);
    expect([command, code, stdout + stderr]).toEqual([
      command,
      78,
      expect.stringContaining(`everything that was in this store has moved to ${shown}`),
    ]);
    expect(stdout + stderr).not.toContain("geheim");
  }
  expect(existsSync(join(from.directory, "ran"))).toBe(false);
});

test("a server that had the old store open refuses from then on, with the new URL", async () => {
  const [from, to] = [await openFleet("sqlite"), await openFleet("zookeeper")];
  const { ask, node } = await startServer(from);
  expect((await ask("GET", "/v1/locks")).status).toBe(200);
  expect((await node.run("freeze", "--reason", "it moves")).code).toBe(0);
  expect((await node.run("copy", from.url, to.url)).code).toBe(0);
  const { status, text } = await ask("POST", "/v1/leases", { lock: "x" });
  expect([status, text]).toEqual([500, expect.stringContaining(`has moved to ${to.url}`)]);
});

test.each([
  [["copy", "nosuch://x", "sqlite:///a"], 'the URL FROM has the unknown scheme "nosuch://"'],
  [["copy", "sqlite:///a", "sqlite:///a"], "FROM and TO are the same store"],
  [["copy", "sqlite:///a/b/c.db", "sqlite:///a"], "there is no database /a/b/c.db yet"],
])("%j is refused: %s", async (command, message) => {
  const node = (await openFleet("sqlite")).node("web-01", {});
  const { code, stderr } = await node.run(...command);
  expect([code === 64 || code === 1, stderr]).toEqual([true, expect.stringContaining(message)]);
});
