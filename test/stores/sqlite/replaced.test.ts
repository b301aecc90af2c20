// A database that is taken away under a process that goes on with it, and links that somebody has planted beside it: the files of
// sessions show that claims are held which the database at this path does not know.
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Libsql from "libsql";
import { describe, expect, test } from "vitest";
import { openSqlite } from "../../../src/stores/sqlite/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { contenderFor, freshPath, openFor, urlOf } from "./store.js";

failOnLeaks();

// Long enough for a session that is just beginning to be in its database, short enough for a test.
const IMPATIENT = { ...TEST_OPTIONS, connectTimeoutMs: 300 };

describe("a database that is taken away while a process holds a claim in it", () => {
  test.each<readonly [string, (path: string) => Promise<void>]>([
    ["deleted", async (path) => [path, `${path}-wal`, `${path}-shm`].forEach((name) => rmSync(name))],
    [
      "replaced by another",
      async (path) => {
        const other = join(dirname(path), "other.db");
        // Made by a process that ends: in this one the connection would stay until the garbage collector comes.
        const maker = await contenderFor(other, { locks: ["b"], until: "all" });
        await maker.ended();
        for (const name of [`${path}-wal`, `${path}-shm`]) rmSync(name);
        renameSync(other, path);
      },
    ],
    ["robbed of its write-ahead log", async (path) => [`${path}-wal`, `${path}-shm`].forEach((name) => rmSync(name))],
  ])("%s: nobody who comes later can hold it as well, until that process is gone", async (_how, take) => {
    const path = await freshPath();
    const holder = await contenderFor(path, { locks: ["a"], until: "settled" });
    await holder.event("settled");
    await take(path);
    await expect(openSqlite(urlOf(path), IMPATIENT)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/processes still use another database that was at this path/) as unknown,
      hint: expect.stringContaining(`${path}-sessions`) as unknown,
    });
    await holder.kill();
    expect(await (await openFor(path)).list()).toEqual([]);
  });
});

describe("the folder of sessions' files", () => {
  test("is refused when it is a link, and nothing is touched where it leads", async () => {
    const path = await freshPath();
    const elsewhere = await freshDirectory();
    const [empty, database] = [join(elsewhere, randomUUID()), join(elsewhere, "packages.sqlite")];
    writeFileSync(empty, "");
    const db = new Libsql(database);
    db.exec("CREATE TABLE packages (name TEXT)");
    db.close();
    symlinkSync(elsewhere, `${path}-sessions`);
    await expect(openSqlite(urlOf(path), IMPATIENT)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/-sessions is no directory/) as unknown,
    });
    expect([empty, database].map((name) => existsSync(name))).toEqual([true, true]);
  });

  test("keeps what is not a session's", async () => {
    const path = await freshPath();
    const folder = `${path}-sessions`;
    mkdirSync(folder);
    const [named, linked] = [join(folder, "README"), join(folder, randomUUID())];
    const target = join(await freshDirectory(), "empty");
    for (const name of [named, target]) writeFileSync(name, "");
    symlinkSync(target, linked);
    await openFor(path);
    expect([named, target].map((name) => existsSync(name))).toEqual([true, true]);
  });
});
