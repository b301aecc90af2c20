import { describe, expect, test } from "vitest";
import { knownAs, parseFilePath, parseHost, sharingOf } from "../../src/leases/hosts.js";
import type { HostLockType } from "../../src/leases/hosts.js";
import type { LeaseRequest } from "../../src/leases/request.js";
import { acquireLease } from "../../src/leases/acquiring.js";
import { releaseById } from "../../src/leases/lease.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { hostLock, hostOfLock, hostProblem, lockNameProblem, parseLockName } from "../../src/locks/names.js";
import { defaultSlots } from "../../src/locks/rule.js";
import { draftFor } from "../coordinators/conformance/store.js";
import { until } from "../support/wait.js";
import { leasesOn, openStage, requestFor } from "./stage.js";
import { typesOf } from "../../src/views/lock.js";

function refusal(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof HoldlineError && error.code === "usage") return `${error.message} | ${error.hint ?? ""}`;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a host's name", () => {
  test.each([
    ["dc01", "dc01"],
    ["DC01.Example.COM", "dc01.example.com"],
    ["dc01.example.com.", "dc01.example.com"],
    ["10.0.0.7", "10.0.0.7"],
    ["[fe80::1]", "[fe80::1]"],
    ["rechner-süd", "rechner-süd"],
    ["x".repeat(250), "x".repeat(250)],
  ])("%j is locked as %j", (text, host) => {
    expect(parseHost(text)).toBe(host);
    expect(hostOfLock(hostLock(host))).toBe(host);
    expect(lockNameProblem(hostLock(host))).toBeNull();
  });

  test.each(["", " ", "a b", "a/b", "a\\b", "ann@dc01", ".", "..", "a\nb", "\ud800", "x".repeat(251)])("%j is refused", (text) => {
    expect(hostProblem(text)).not.toBeNull();
    expect(refusal(() => parseHost(text))).toMatch(/^a host's name .* \| right would be such as "dc01"/);
  });

  test.each([
    ["host/DC01.Example.com.", "host/dc01.example.com"],
    ["host/dc01", "host/dc01"],
    ["host/Rack A", "host/Rack A"],
    ["host/DC01/Disk", "host/DC01/Disk"],
    ["HOST/DC01", "HOST/DC01"],
    ["Deploy", "Deploy"],
  ])("however its lock is written, it is one: %j is %j", (text, lock) => {
    expect(parseLockName(text)).toBe(lock);
    expect(parseLockName(lock)).toBe(lock);
  });

  test("is not what other locks are called", () => {
    expect(hostOfLock("db")).toBeNull();
    expect(hostOfLock("hosts/a")).toBeNull();
  });
});

describe("a file's path says on which host it is", () => {
  test.each([
    ["\\\\FS01\\share\\report.xlsx", "fs01"],
    ["//fs01/share/report.xlsx", "fs01"],
    ["smb://fs01/share/a", "fs01"],
    ["SMB://fs01:445/share/a", "fs01"],
    ["fs01:/export/home", "fs01"],
    ["ann@fs01:/export/home", "fs01"],
    ["[fe80::1]:/export", "[fe80::1]"],
    ["/var/lib/x", "here"],
    ["./x", "here"],
    ["~/x", "here"],
    ["C:\\Users\\ann", "here"],
    ["c:/Users/ann", "here"],
  ])("%s is on %s", (path, host) => {
    expect(parseFilePath(path, "HERE")).toEqual({ host, path });
  });

  test("and who its owner is to the server is shown to nobody", () => {
    expect(parseFilePath("smb://ann:hunter2@fs01/share/a@b", "here")).toEqual({ host: "fs01", path: "smb://fs01/share/a@b" });
  });

  test.each([
    "",
    "  ",
    "report.xlsx",
    "share/report.xlsx",
    "\\\\fs01",
    "\\\\fs01\\",
    "smb://fs01",
    "smb:///x",
    "fs01:",
    "fs01:x",
    "//",
    "a\0b",
    "http://fs01/x",
  ])("%j is refused", (path) => {
    expect(refusal(() => parseFilePath(path, "here"))).toMatch(/right would be \\\\server\\share\\path, smb:/);
  });

  test("a path that no file system has is refused", () => {
    expect(refusal(() => parseFilePath(`/${"x".repeat(4_096)}`, "here"))).toContain("is on no host");
  });

  test("a node whose name is no host's has no files of its own to lock", () => {
    expect(refusal(() => parseFilePath("/x", "my node"))).toContain('without blanks, "/"');
  });
});

describe("what a lock is held as", () => {
  test("is its type of lease, or a process, each once", () => {
    const lease = (type: HostLockType) => ({ lease: { type, caller: null, path: null, locks: [] } });
    expect(typesOf([lease("generic"), lease("file"), { lease: null }, lease("generic")])).toEqual(["generic", "file", "process"]);
    expect(typesOf([])).toEqual([]);
  });
});

describe("locks on hosts", () => {
  /** Asks for the locks of some hosts. */
  async function lock(coordinator: Coordinator, type: HostLockType, hosts: readonly string[], changes: Partial<LeaseRequest> = {}) {
    const request = requestFor("", { locks: hosts.map(hostLock), type, ...sharingOf(type), ttlMs: null, ...changes });
    const acquired = await acquireLease(request, leasesOn(coordinator));
    if (acquired.outcome === "frozen") return "frozen";
    return acquired.outcome === "held"
      ? `held: ${acquired.lock} by ${acquired.holders.map(({ id }) => id).join()}`
      : acquired.lease.id;
  }

  async function queueOf(coordinator: Coordinator, host: string) {
    return (await coordinator.queue(hostLock(host))).map(({ id }) => id);
  }

  test("of the types generic and file overlap; one of the type host does not", async () => {
    const coordinator = await openStage().open();
    const generic = await lock(coordinator, "generic", ["dc01"]);
    const file = await lock(coordinator, "file", ["dc01"], { path: "/x" });
    expect(await lock(coordinator, "host", ["dc01"])).toBe(`held: host/dc01 by ${generic},${file}`);
    expect(await queueOf(coordinator, "dc01")).toEqual([generic, file]);
    for (const id of [generic, file]) await releaseById(coordinator, id, { by: "ann@admin-01", reason: null });
    const host = await lock(coordinator, "host", ["dc01"]);
    expect(await lock(coordinator, "generic", ["dc01"])).toBe(`held: host/dc01 by ${host}`);
  });

  test("one of the type host that waits keeps new ones from starting, and is granted when those that are there have gone", async () => {
    const coordinator = await openStage().open();
    const first = await lock(coordinator, "generic", ["dc01"]);
    const waiting = lock(coordinator, "host", ["dc01"], { waitMs: null });
    await until(async () => (await queueOf(coordinator, "dc01")).length === 2, "the host's lock to wait");
    expect(await lock(coordinator, "generic", ["dc01"]), "a newcomer").toBe(`held: host/dc01 by ${first}`);
    await releaseById(coordinator, first, { by: "ann@admin-01", reason: null });
    expect(await queueOf(coordinator, "dc01")).toEqual([await waiting]);
  });

  test("the lock that stands in the way is named, and not one that would be shared", async () => {
    const coordinator = await openStage().open();
    await lock(coordinator, "generic", ["dc01"]);
    const host = await lock(coordinator, "host", ["hv01"]);
    expect(await lock(coordinator, "generic", ["dc01", "dc02", "hv01"])).toBe(`held: host/hv01 by ${host}`);
    expect(await lock(coordinator, "generic", ["dc01", "dc02", "hv01"], { waitMs: 30 })).toBe(`held: host/hv01 by ${host}`);
    expect([await queueOf(coordinator, "dc02"), (await queueOf(coordinator, "dc01")).length]).toEqual([[], 1]);
  });

  test("to have one alone is refused while anybody shares it, or waits; of two who ask at once one has it", async () => {
    const stage = openStage();
    const [one, other] = [await stage.open(), await stage.open()];
    const generic = await lock(one, "generic", ["dc02"]);
    expect(await lock(other, "generic", ["dc01", "dc02"], { alone: true })).toBe(`held: host/dc02 by ${generic}`);
    expect(await queueOf(one, "dc01")).toEqual([]);
    const both = await Promise.all([one, other].map((coordinator) => lock(coordinator, "generic", ["dc03"], { alone: true })));
    const [winner] = await queueOf(one, "dc03");
    expect(both.sort()).toEqual([winner, `held: host/dc03 by ${winner}`].sort());
  });

  test("to have one alone means nothing to those who come later, nor to a lease that is over", async () => {
    const stage = openStage();
    const coordinator = await stage.open();
    await lock(coordinator, "generic", ["dc01"], { ttlMs: 1_000 });
    stage.now += 1_001;
    const alone = await lock(coordinator, "generic", ["dc01"], { alone: true });
    const later = await lock(coordinator, "file", ["dc01"], { path: "/x" });
    expect(await queueOf(coordinator, "dc01")).toEqual([alone, later]);
  });

  test("all hosts of an id are unlocked at once; a second time there is nothing to unlock", async () => {
    const coordinator = await openStage().open();
    const id = await lock(coordinator, "generic", ["dc01", "dc02", "hv01"]);
    const ending = { by: "bob", force: true, reason: null };
    expect(await releaseById(coordinator, id, ending)).toBe("released");
    expect(await Promise.all(["dc01", "dc02", "hv01"].map((host) => queueOf(coordinator, host)))).toEqual([[], [], []]);
    const history = await coordinator.history(null, 10);
    expect(history.map(({ lock: name, event, by }) => [name, event, by]).sort()).toEqual(
      ["dc01", "dc02", "hv01"].map((host) => [`host/${host}`, "released", "bob"]),
    );
    expect(await releaseById(coordinator, id, ending)).toBe("gone");
  });

  test("unlock ends neither the claim of a process nor a lease that still waits", async () => {
    const coordinator = await openStage().open();
    const draft = draftFor("host/dc01");
    await coordinator.join({ ...draft, slots: defaultSlots(null) });
    await expect(releaseById(coordinator, draft.id, { by: "ann@admin-01", reason: null })).rejects.toMatchObject({
      code: "not-allowed",
    });
    const waiting = lock(coordinator, "generic", ["dc02", "dc01"], { waitMs: 2_000 });
    waiting.catch(() => undefined);
    const [first] = await until(async () =>
      (await queueOf(coordinator, "dc02")).length === 1 ? queueOf(coordinator, "dc02") : null,
    );
    // It is first in the queue of dc02, and nobody's lease all the same.
    await expect(releaseById(coordinator, first as string, { by: "ann@admin-01", reason: null })).rejects.toMatchObject({
      code: "not-allowed",
      message: expect.stringContaining("ann@admin-01 still waits for it") as string,
    });
    await coordinator.withdraw(await coordinator.find(draft.id));
    expect(await waiting).toBe(first);
  });
});

test.each([
  ["dc01", ["dc01.example.com", "web-07"], "dc01.example.com"],
  ["dc01.example.com", ["dc01"], "dc01"],
  ["dc01", ["dc01", "dc01.example.com"], "dc01"],
  ["dc01", ["dc01.example.com", "dc01.example.org"], "dc01"],
  ["dc01", ["dc010.example.com"], "dc01"],
  ["dc01.a", ["dc01.a.example.com"], "dc01.a"],
  ["10", ["10.0.0.1"], "10"],
])("the host %s, where %j are known, is %s", (host, known, name) => {
  expect(knownAs(host, known)).toBe(name);
});
