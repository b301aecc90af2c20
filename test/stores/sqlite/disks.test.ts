// Databases that this user may not write, and disks that are read-only or full. These need another user, or a file
// system of the test's own, and so a process of its own.
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../../support/leaks.js";
import { freshDirectory } from "../../support/roots.js";
import { idsIn } from "../../coordinators/conformance/store.js";
import { contenderFor, openFor, usedDatabase } from "./store.js";

failOnLeaks();

const isRoot = process.getuid?.() === 0;
// Root may write to everything: these tests go on as a user who may not.
const AS_NOBODY = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];

describe("a file that this user may not write", () => {
  async function refusedToNobody(prepare: (path: string) => void): Promise<Record<string, unknown>> {
    const path = await usedDatabase();
    if (isRoot) for (const name of [dirname(path), path]) chownSync(name, 65534, 65534);
    prepare(path);
    const contender = await contenderFor(path, { locks: ["kept"], until: "all" }, AS_NOBODY);
    const failure = await contender.event("failed");
    await contender.ended();
    expect(failure).toMatchObject({ name: "UnreachableError", code: "unreachable", hint: expect.stringMatching(/./) as unknown });
    expect(failure["message"]).toContain(path);
    chmodSync(dirname(path), 0o700);
    chmodSync(path, 0o600);
    expect(await idsIn(await openFor(path), "kept")).toHaveLength(1);
    return failure;
  }

  test("a read-only file", async () => {
    const failure = await refusedToNobody((path) => chmodSync(path, 0o400));
    expect(failure["message"]).toMatch(/it cannot be read and written: permission denied/);
  });

  test("an unreadable file", async () => {
    const failure = await refusedToNobody((path) => chmodSync(path, 0));
    expect(failure["message"]).toMatch(/permission denied/);
  });

  test("a directory in which nothing can be made", async () => {
    const failure = await refusedToNobody((path) => chmodSync(dirname(path), 0o500));
    expect(failure["message"]).toMatch(/its directory .* cannot be written: permission denied/);
  });

  test("a directory that cannot be entered", async () => {
    const failure = await refusedToNobody((path) => chmodSync(dirname(path), 0));
    expect(failure["message"]).toMatch(/permission denied/);
  });

  test("a write-ahead log that another user has left", async () => {
    const failure = await refusedToNobody((path) => {
      // As a root's holdline that was killed leaves it.
      for (const name of [`${path}-wal`, `${path}-shm`]) writeFileSync(name, "", { mode: isRoot ? 0o600 : 0 });
    });
    expect(failure["message"]).toMatch(/cannot be opened|read-only|permission denied/);
  });
});

// A file system of the test's own, which only its process sees; the directory is $0, and $KEEP is where things can be kept.
const MOUNTED = (script: string): readonly string[] => ["unshare", "--mount", "sh", "-c", script];
const canMount = spawnSync("unshare", ["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]).status === 0;
if (!canMount) console.log("skipped: full and read-only disks, because this user cannot mount a file system");

describe.skipIf(!canMount)("a disk", () => {
  test("that is read-only", async () => {
    const path = await usedDatabase();
    const directory = dirname(path);
    const script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
    const contender = await contenderFor(path, { locks: ["kept"], until: "all" }, [...MOUNTED(script), directory]);
    const failure = await contender.event("failed");
    await contender.ended();
    expect(failure).toMatchObject({
      name: "UnreachableError",
      message: expect.stringMatching(/the file system is read-only/) as unknown,
    });
    expect(await idsIn(await openFor(path), "kept")).toHaveLength(1);
  });

  test("that fills up: what was settled stays settled, and what was not did not happen", async () => {
    const directory = join(await freshDirectory(), "full");
    mkdirSync(directory);
    const kept = `${directory}-kept`;
    const path = join(directory, "holdline.db");
    const script = `mount -t tmpfs -o size=400k none "$0" && "$@"; status=$?; mkdir ${kept} && cp -r "$0"/holdline.db* ${kept} && exit $status`;
    const task = { locks: ["a", "b"], until: "all", rounds: 100_000 } as const;
    const contender = await contenderFor(path, task, [...MOUNTED(script), directory], { historyKeep: 100_000 });
    const failure = await contender.event("failed");
    await contender.ended();
    expect(failure).toMatchObject({ name: "UnreachableError", message: expect.stringMatching(/the disk is full/) as unknown });
    expect(failure["hint"]).toMatch(/make room/);
    const said = contender.events();
    const left = said.filter(({ event }) => event === "left").length;
    const settled = said.filter(({ event }) => event === "settled");
    const coordinator = await openFor(join(kept, "holdline.db"));
    expect(await coordinator.history("a", 1_000_000)).toHaveLength(left);
    const inHand = settled.slice(left).map(({ claim }) => claim);
    expect((await coordinator.queue("b")).filter(({ durable }) => durable).map(({ id }) => id)).toEqual(inHand);
  });
});
