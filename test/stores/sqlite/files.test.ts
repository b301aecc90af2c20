// Database files that cannot be used, and what happens to a file in use: a clear error with the path, what is wrong and
// what to do, and never a lost claim.
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Libsql from "libsql";
import { describe, expect, test } from "vitest";
import { networkFileSystem } from "../../../src/stores/sqlite/file.js";
import { openCoordinator } from "../../../src/coordinators/registry.js";
import { openSqlite } from "../../../src/stores/sqlite/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { HoldlineError, UnreachableError } from "../../../src/locks/errors.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { draftFor, recordFor, RELEASED, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { contenderFor, freshPath, meddle, openFor, urlOf, usedDatabase } from "./store.js";

failOnLeaks();

async function refusalOf(path: string): Promise<UnreachableError> {
  const error: unknown = await openSqlite(urlOf(path), TEST_OPTIONS).then(
    async (coordinator: Coordinator) => {
      await coordinator.close();
      return new Error("it was opened");
    },
    (refused: unknown) => refused,
  );
  expect(error).toBeInstanceOf(UnreachableError);
  return error as UnreachableError;
}

describe("a new database", () => {
  test("and its directories belong to their user alone, whatever the umask", async () => {
    const path = join(await freshDirectory(), "state", "deep", "holdline.db");
    const before = process.umask(0);
    try {
      const coordinator = await openFor(path);
      await takeDurably(coordinator, "a");
    } finally {
      process.umask(before);
    }
    const modeOf = (name: string) => statSync(name).mode & 0o777;
    expect([path, `${path}-wal`, `${path}-shm`].map(modeOf)).toEqual([0o600, 0o600, 0o600]);
    expect([dirname(path), dirname(dirname(path))].map(modeOf)).toEqual([0o700, 0o700]);
  });

  test("is made once, when many open it at the same moment", async () => {
    const path = await freshPath();
    const contenders = await Promise.all(Array.from({ length: 8 }, () => contenderFor(path, { locks: ["a"], until: "all" })));
    await Promise.all(contenders.map((contender) => contender.event("closed")));
    const coordinator = await openFor(path);
    expect(await coordinator.history("a", 100)).toHaveLength(8);
  });

  test("may have any path", async () => {
    const path = join(await freshDirectory(), "späce % and #?.db");
    const coordinator = await openSqlite(`sqlite://${path.split("/").map(encodeURIComponent).join("/")}`, TEST_OPTIONS);
    await coordinator.close();
    expect(existsSync(path)).toBe(true);
  });
});

describe("a database's URL", () => {
  test.each([
    "sqlite:",
    "sqlite://",
    "sqlite:///",
    "sqlite://relative.db",
    "sqlite://host/path.db",
    "sqlite:/one/slash.db",
    "sqlite:///no/such/directory/",
    "sqlite:///no/such/a.db?mode=ro",
    "sqlite:///no/such/a.db#x",
    "sqlite:///no/such/broken%.db",
    "sqlite:///no/such/nul%00.db",
  ])("%s is refused before anything is touched", async (url) => {
    // By the registry, through which alone a URL comes here.
    const error: unknown = await openCoordinator(url, TEST_OPTIONS).catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(HoldlineError);
    expect(error).toMatchObject({ code: "configuration", message: expect.stringContaining("sqlite:///") as unknown });
  });
});

describe("a file that cannot be used", () => {
  test("a directory in its place", async () => {
    const path = await freshPath();
    mkdirSync(path);
    const error = await refusalOf(path);
    expect(error.message).toBe(`the database ${path} cannot be used: it is a directory`);
    expect(error.hint).toMatch(/name a file/);
  });

  test("a device in its place", async () => {
    expect((await refusalOf("/dev/full")).message).toMatch(/it is not a regular file/);
  });

  test("a file where its directory should be", async () => {
    const directory = await freshPath();
    writeFileSync(directory, "");
    expect((await refusalOf(join(directory, "x.db"))).message).toMatch(/not a directory|a file is in the way/);
  });

  test("a symbolic link to nowhere, and in a circle", async () => {
    const path = await freshPath();
    symlinkSync(path, path);
    expect((await refusalOf(path)).message).toContain(path);
  });

  test("something that is no database", async () => {
    const path = await freshPath();
    writeFileSync(path, "# holdline.yaml\n".repeat(500));
    const error = await refusalOf(path);
    expect(error.message).toMatch(/it is not a database/);
    expect(error.hint).toMatch(/another file/);
    expect(readFileSync(path, "utf8")).toBe("# holdline.yaml\n".repeat(500));
  });

  test("another program's database", async () => {
    const path = await freshPath();
    meddle(path, (db) => db.exec("CREATE TABLE bookmarks (id INTEGER)"));
    expect((await refusalOf(path)).message).toMatch(/it belongs to another program/);
    expect(meddle(path, (db) => db.prepare("SELECT name FROM sqlite_schema").all())).toEqual([{ name: "bookmarks" }]);
  });

  test("a later holdline's database", async () => {
    const path = await usedDatabase();
    meddle(path, (db) => db.pragma("user_version = 99"));
    const error = await refusalOf(path);
    expect(error.message).toMatch(/its version is 99, and this holdline knows versions up to \d+/);
    expect(error.hint).toMatch(/update/);
  });

  test("one whose first page is damaged", async () => {
    const path = await usedDatabase();
    overwrite(path, 0, 64);
    expect((await refusalOf(path)).message).toMatch(/not a database|corrupt/);
  });

  test("one of which any single page is damaged, or the end is missing", async () => {
    const path = await usedDatabase();
    const whole = readFileSync(path);
    const pageSize = whole.readUInt16BE(16);
    const pages = whole.length / pageSize;
    expect(pages).toBeGreaterThan(10);
    const outcomes: string[] = [];
    for (let page = 1; page < pages; page += 1) {
      const damaged = `${path}-${page}`;
      writeFileSync(damaged, whole);
      overwrite(damaged, page * pageSize, 24);
      outcomes.push(await openedOrRefused(damaged));
    }
    writeFileSync(`${path}-short`, whole.subarray(0, -2 * pageSize));
    outcomes.push(await openedOrRefused(`${path}-short`));
    const [unused] = meddle(path, (db) => db.pragma("freelist_count")) as readonly { readonly freelist_count: number }[];
    // Only a page that holds nothing any more may be damaged without being noticed.
    expect(outcomes.filter((outcome) => outcome !== "refused").length).toBeLessThanOrEqual(unused?.freelist_count ?? 0);
    expect(outcomes.filter((outcome) => outcome !== "refused" && outcome !== "whole")).toEqual([]);
  });

  test("one that can be read, but with what cannot be right in it", async () => {
    const path = await usedDatabase();
    meddle(path, (db) => db.exec("PRAGMA ignore_check_constraints = ON; UPDATE claims SET durable = 7"));
    const error = await refusalOf(path);
    expect(error.message).toMatch(/it is corrupt \(CHECK constraint failed in claims\)/);
    expect(error.hint).toMatch(/restore/);
  });

  test("network file systems are known by their numbers", () => {
    expect(networkFileSystem(0x6969)).toBe("NFS");
    expect(networkFileSystem(0xff534d42 | 0)).toBe("CIFS");
    expect(networkFileSystem(0xef53)).toBe(null);
  });
});

function overwrite(path: string, offset: number, length: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, offset, offset + length);
  writeFileSync(path, bytes);
}

async function openedOrRefused(path: string): Promise<string> {
  try {
    const coordinator = await openSqlite(urlOf(path), TEST_OPTIONS);
    try {
      const [kept] = await coordinator.queue("kept");
      return kept?.durable === true ? "whole" : "the claim is lost";
    } finally {
      await coordinator.close();
    }
  } catch (error) {
    return error instanceof UnreachableError && error.message.includes(path) && error.hint !== null ? "refused" : String(error);
  }
}

describe("a file that is taken away while it is in use", () => {
  test.each(["removed", "moved away", "replaced by another"])("%s: nobody goes on as if nothing had happened", async (how) => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const { draft, joined, settled } = await takeDurably(coordinator, "a");
    if (how === "replaced by another") {
      const other = join(dirname(path), "other.db");
      await (await openFor(other)).close();
      renameSync(other, path);
    } else if (how === "removed") unlinkSync(path);
    else renameSync(path, `${path}.old`);
    const asked = [coordinator.queue("a"), coordinator.join(draftFor("a")), coordinator.leave(draft.id, settled.entries, RELEASED)];
    for (const answer of await Promise.allSettled<unknown>(asked)) {
      expect(answer).toMatchObject({
        status: "rejected",
        reason: { code: "unreachable", message: expect.stringContaining(path) as unknown },
      });
    }
    await coordinator.withdraw(joined.positions);
    expect(joined.session.lost.aborted).toBe(true);
  });
});

describe("a statement that fails in the middle of a transaction", () => {
  test("leaves nothing half done", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const draft = draftFor(["a", "b"]);
    const joined = await coordinator.join(draft);
    const db = new Libsql(path);
    db.exec("CREATE TRIGGER sabotage BEFORE UPDATE ON claims WHEN NEW.lock = 'b' BEGIN SELECT RAISE(ABORT, 'sabotage'); END");
    db.close();
    await expect(coordinator.settle(draft, joined, recordFor(draft))).rejects.toThrow(/sabotage/);
    expect((await coordinator.queue("a")).map(({ durable }) => durable)).toEqual([false]);
    meddle(path, (raw) => raw.exec("DROP TRIGGER sabotage"));
    await coordinator.settle(draft, joined, recordFor(draft));
  });
});
