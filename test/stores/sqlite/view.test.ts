// A database as those see it who only look: read where it may not be written, and left out where it is not there.
import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSqlite } from "../../../src/stores/sqlite/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { endAllExpired, readPresentHolders, readPresentQueue } from "../../../src/line/holders.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { reasonNotToMount, SmallDisk } from "../../support/small-disk.js";
import { draftFor, idsIn, leaseOn, RELEASED, recordFor, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { openFor, urlOf } from "./store.js";

failOnLeaks();

const cannotMount = reasonNotToMount();

/** Opens it for somebody who only looks; what is warned of is added to `warnings`. */
async function look(path: string, warnings: string[] = []): Promise<Coordinator> {
  const log = { ...TEST_OPTIONS.log, warn: (_: object, message: string) => void warnings.push(message) };
  const coordinator = await openSqlite(urlOf(path), { ...TEST_OPTIONS, log, isAsFound: true });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

test("a database that is not there seems empty, is not made, and that is said", async () => {
  const path = join(await freshDirectory(), "sub", "holdlime.db");
  const warnings: string[] = [];
  const coordinator = await look(path, warnings);
  expect(warnings).toEqual([`there is no database ${path} yet: is its path right?`]);
  expect(await coordinator.list()).toEqual([]);
  expect(await coordinator.queue("a")).toEqual([]);
  expect(await coordinator.find(draftFor("a").id)).toEqual([]);
  expect(await coordinator.history(null, 10)).toEqual([]);
  expect(Math.abs((await coordinator.sync()).ms - Date.now())).toBeLessThan(60_000);
  await expect(coordinator.join(draftFor("a"))).rejects.toMatchObject({
    code: "unreachable",
    message: `the database ${path} cannot be used: it is not there`,
  });
  await expect(coordinator.watch(() => undefined)).rejects.toMatchObject({ code: "unreachable" });
  expect(existsSync(join(path, ".."))).toBe(false);
});

test("a database that may be written to is used as everybody does", async () => {
  const path = join(await freshDirectory(), "holdline.db");
  const { draft, settled } = await takeDurably(await openFor(path), "a");
  const coordinator = await look(path);
  expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
});

describe.skipIf(cannotMount !== null)(
  `on a file system that is read-only${cannotMount === null ? "" : ` (skipped: ${cannotMount})`}`,
  () => {
    /** Has `prepare` make a database, moves it there, and gives its path. */
    async function protectedDatabase(prepare: (path: string) => Promise<void>): Promise<string> {
      const [from, directory] = [await freshDirectory(), join(await freshDirectory(), "disk")];
      await prepare(join(from, "a b?.db"));
      const disk = new SmallDisk(directory);
      onTestFinished(() => disk.close());
      for (const name of readdirSync(from).filter((file) => file.startsWith("a b?.db") && !file.endsWith("-sessions")))
        copyFileSync(join(from, name), join(directory, name));
      disk.protect();
      return join(directory, "a b?.db");
    }

    test.each(["in use", "that nobody has open"])("a database %s can be read, and not written", async (how) => {
      let ids: string[] = [];
      const path = await protectedDatabase(async (made) => {
        const owner = await openSqlite(urlOf(made), TEST_OPTIONS);
        if (how === "in use") onTestFinished(() => owner.close());
        const ended = await takeDurably(owner, "b");
        await owner.leave(ended.draft.id, ended.settled.entries, RELEASED);
        ids = [(await takeDurably(owner, "a")).draft.id, ended.draft.id];
        if (how === "that nobody has open") await owner.close();
      });
      const coordinator = await look(path);
      expect(await coordinator.list()).toEqual(["a"]);
      expect(await coordinator.queue("a")).toMatchObject([{ id: ids[0], alive: how === "in use" }]);
      expect(await coordinator.find(ids[0] as string)).toMatchObject([{ lock: "a" }]);
      expect(await coordinator.history(null, 10)).toMatchObject([{ lock: "b", claim: ids[1], event: "released" }]);
      await expect(coordinator.join(draftFor("a"))).rejects.toMatchObject({
        code: "not-allowed",
        message: `this user may only read the database ${path}`,
      });
      await expect(coordinator.watch(() => undefined)).rejects.toMatchObject({ code: "not-allowed" });
      expect(await idsIn(coordinator, "a")).toEqual([ids[0]]);
      expect(await coordinator.examine?.()).toMatchObject({
        facts: { kind: "sqlite", durability: "disk", rights: "not all that runs need" },
        findings: [{ severity: "error", code: "not-allowed", message: `this user may only read the database ${path}` }],
      });
    });

    test("a lease whose time is over is not shown, although nobody can end it", async () => {
      const path = await protectedDatabase(async (made) => {
        const owner = await openSqlite(urlOf(made), TEST_OPTIONS);
        const lent = draftFor("a", { lease: leaseOn(["a"]) });
        const record = recordFor(lent, { expiresAt: (await owner.sync()).ms - 1 });
        await owner.settle(lent, await owner.join(lent), record);
        await owner.close();
      });
      const coordinator = await look(path);
      expect(await coordinator.queue("a")).toHaveLength(1);
      expect(await readPresentQueue(coordinator, "a")).toEqual([]);
      expect(await readPresentHolders(coordinator, "a")).toEqual([]);
      for (const locks of [["a"], null]) await endAllExpired(coordinator, locks);
      expect(await coordinator.history("a", 10)).toEqual([]);
    });
  },
);
