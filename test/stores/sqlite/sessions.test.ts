// Sessions that are processes: who counts as gone, what others do about it at once, and what a coordinator does that
// cannot reach its database for a while.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { isGone, readOwnIdentity } from "../../../src/stores/sqlite/process-identity.js";
import type { ProcessIdentity } from "../../../src/locks/claim.js";
import { ClaimLostError, SessionLostError, UnreachableError } from "../../../src/locks/errors.js";
import { takeTurn } from "../../../src/line/turn.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freshId } from "../../support/roots.js";
import { isPending, until, within } from "../../support/wait.js";
import { claimIn, draftFor, idsIn, only, recordFor, RELEASED, takeDurably } from "../../coordinators/conformance/store.js";
import { contenderFor, freshPath, lockDatabase, meddle, openFor } from "./store.js";

failOnLeaks();

const SELF = readOwnIdentity();
const onLinux = process.platform === "linux";

/** Puts a session into the database, with a claim that waits and one that is durable. */
function plantSession(path: string, identity: ProcessIdentity): void {
  const { bootId, pidNamespace, pid, startTicks } = identity;
  meddle(path, (db) => {
    const id = freshId();
    db.prepare("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)").run(id, bootId, pidNamespace, pid, startTicks);
    const claim =
      "INSERT INTO claims (lock, claim, session, durable, slots, revision, since_ms, fencing_token, record) VALUES (?, ?, ?, ?, 1, 1, 1, ?, '')";
    db.prepare(claim).run("a", freshId(), id, 0, null);
    db.prepare(claim).run("b", freshId(), id, 1, 1);
  });
}

describe("the process of a session", () => {
  test.runIf(onLinux)("is known by boot, namespace, pid and start", () => {
    expect(SELF).toMatchObject({ pid: process.pid, pidNamespace: expect.stringMatching(/^pid:\[\d+\]$/) as unknown });
    expect(SELF.bootId).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
    expect(SELF.startTicks).toBeGreaterThan(0);
  });

  test("lives: its claims stay", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    plantSession(path, SELF);
    expect(await idsIn(coordinator, "a")).toHaveLength(1);
    expect((await claimIn(coordinator, "b")).alive).toBe(true);
  });

  test.runIf(onLinux).each<[string, Partial<ProcessIdentity>]>([
    ["had this pid before this process did", { startTicks: (SELF.startTicks as number) - 1 }],
    ["ran before the last boot", { bootId: "00000000-0000-4000-8000-000000000000" }],
    ["ran before the last boot, in a container", { bootId: "00000000-0000-4000-8000-000000000000", pidNamespace: "pid:[1]" }],
    // Above the kernel's greatest pid.
    ["is not there", { pid: 2 ** 22 + 1 }],
  ])("%s: it is gone, and only its durable claims stay", async (_, difference) => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    plantSession(path, { ...SELF, ...difference });
    const mine = await coordinator.join(draftFor("a"));
    expect(only(mine).ahead).toEqual([]);
    expect(await claimIn(coordinator, "b")).toMatchObject({ durable: true, alive: false });
    expect(await coordinator.list()).toEqual(["a", "b"]);
    expect(meddle(path, (db) => db.prepare("SELECT count(*) AS count FROM sessions").all())).toMatchObject([{ count: 1 }]);
  });

  test("cannot be judged from another pid namespace: it counts as alive", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    plantSession(path, { ...SELF, pidNamespace: "pid:[1]", pid: 2 ** 22 + 1 });
    expect(await idsIn(coordinator, "a")).toHaveLength(1);
    expect((await claimIn(coordinator, "b")).alive).toBe(true);
  });

  test.runIf(onLinux)("is gone as soon as it is a zombie", async () => {
    // The program that takes the shell's place has a child that it does not know of, and never asks for its exit code.
    const parent = spawn("sh", ["-c", "sleep 1000 & echo $!; exec sleep 1000"], { stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(async () => {
      const ended = once(parent, "exit");
      parent.kill("SIGKILL");
      await ended;
    });
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString().trim());
    const identity = { ...SELF, pid, startTicks: startTicksOf(pid) };
    expect(isGone(identity, SELF)).toBe(false);
    // The shell itself would ask.
    await until(() => readFileSync(`/proc/${parent.pid}/comm`, "utf8").trim() === "sleep", "the program in the shell's place");
    process.kill(pid, "SIGKILL");
    await until(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "), "a zombie");
    expect(isGone(identity, SELF)).toBe(true);
  });

  test.runIf(onLinux)("another user's process, which this one may not signal, lives", () => {
    expect(isGone({ ...SELF, pid: 1, startTicks: startTicksOf(1) }, SELF)).toBe(false);
    expect(isGone({ ...SELF, pid: 1, startTicks: null }, SELF)).toBe(false);
  });
});

function startTicksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}

describe("a process that is only stopped", () => {
  test("keeps its place, and goes on when it is continued", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const holder = await takeDurably(coordinator, "a");
    const waiter = await contenderFor(path, { locks: ["a"], until: "all" });
    await until(async () => (await idsIn(coordinator, "a")).length === 2, "the waiter to join");
    waiter.freeze();
    const mine = await coordinator.join(draftFor("a"));
    expect(only(mine).ahead).toHaveLength(2);
    await coordinator.leave(holder.draft.id, holder.settled.entries, RELEASED);
    expect((await coordinator.position(only(mine))).ahead).toHaveLength(1);
    waiter.thaw();
    await waiter.event("closed");
    expect((await coordinator.position(only(mine))).ahead).toEqual([]);
  });
});

describe("waiting", () => {
  test("does not take the poll interval when somebody leaves as they should", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { sleepTimeMs: 3_600_000 });
    const holder = await contenderFor(path, { locks: ["a"], until: "settled" });
    await holder.event("settled");
    const mine = await coordinator.join(draftFor("a"));
    const ahead = only(mine).ahead.map(({ ref }) => ref);
    const departure = coordinator.departed(mine, "a", ahead);
    expect(await isPending(departure)).toBe(true);
    holder.tell();
    expect(await within(departure, "the holder's release to wake the waiter")).toEqual(ahead);
  });

  test("takes the poll interval at the longest when somebody is killed", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { sleepTimeMs: 20 });
    const waiter = await contenderFor(path, { locks: ["a"], until: "joined" });
    await waiter.event("joined");
    const mine = await coordinator.join(draftFor("a"));
    const departure = coordinator.departed(
      mine,
      "a",
      only(mine).ahead.map(({ ref }) => ref),
    );
    await waiter.kill();
    await within(departure, "the killed waiter to be noticed", 2_000);
    // And whoever comes after that need not wait at all.
    expect(only(await coordinator.join(draftFor("a"))).ahead.map(({ ref }) => ref)).toEqual([only(mine).ref]);
  });
});

describe("a database that another process keeps locked", () => {
  test("is waited for, and the wait can be aborted", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const lock = lockDatabase(path);
    const joining = coordinator.join(draftFor("a"));
    const stop = new AbortController();
    const reason = new Error("Ctrl-C");
    const aborted = coordinator.join(draftFor("b"), stop.signal);
    aborted.catch(() => undefined);
    expect(await isPending(joining)).toBe(true);
    stop.abort(reason);
    await expect(within(aborted, "the abort to be heeded", 2_000)).rejects.toBe(reason);
    // Those who only look are not hindered.
    expect(await coordinator.queue("a")).toEqual([]);
    lock.unlock();
    expect(only(await joining).ahead).toEqual([]);
    expect(await coordinator.queue("b")).toEqual([]);
  });

  test("is unreachable after the connect timeout", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path, { connectTimeoutMs: 300 });
    const { draft, settled } = await takeDurably(coordinator, "a");
    const lock = lockDatabase(path);
    const asked = [coordinator.join(draftFor("b")), coordinator.leave(draft.id, settled.entries, RELEASED)];
    for (const answer of await Promise.allSettled<unknown>(asked)) {
      expect(answer).toMatchObject({ status: "rejected", reason: expect.any(UnreachableError) as unknown });
      expect(answer).toMatchObject({
        reason: { message: expect.stringMatching(/another process has kept it locked for \d+ ms/) as unknown },
      });
    }
    lock.unlock();
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await coordinator.queue("b")).toEqual([]);
  });

  test("a claim that cannot be withdrawn costs the session, and goes as soon as it can; durable claims stay in hand", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path, { connectTimeoutMs: 200 }), await openFor(path)];
    const held = await takeDurably(coordinator, "held");
    const waiting = await coordinator.join(draftFor(["a", "b"]));
    const lock = lockDatabase(path);
    await within(coordinator.withdraw(waiting.positions), "the withdrawal to be over");
    expect(waiting.session.lost.aborted).toBe(true);
    expect(waiting.session.lost.reason).toBeInstanceOf(SessionLostError);
    expect(await idsIn(other, "a")).toHaveLength(1);
    lock.unlock();
    await until(async () => (await other.list()).join() === "held", "the withdrawn claim to go");
    expect(await claimIn(other, "held")).toMatchObject({ id: held.draft.id, alive: true });
    expect((await coordinator.join(draftFor("a"))).session.id).not.toBe(waiting.session.id);
    await expect(coordinator.position(only(await other.join(draftFor("b"))))).resolves.toMatchObject({ ahead: [] });
    await expect(coordinator.position(waiting.positions[0]!)).rejects.toBeInstanceOf(SessionLostError);
    expect(await coordinator.leave(held.draft.id, held.settled.entries, RELEASED)).toBe("done");
  });

  test("what is held in a session that this costs is not another's before it is let go", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path, { connectTimeoutMs: 200 }), await openFor(path)];
    const held = await coordinator.join(draftFor("held"));
    await coordinator.confirm(held);
    const next = only(await other.join(draftFor("held")));
    const waiting = await coordinator.join(draftFor("a"));
    const lock = lockDatabase(path);
    await within(coordinator.withdraw(waiting.positions), "the withdrawal to be over");
    lock.unlock();
    expect(held.session.lost.aborted).toBe(true);
    // By now the next session is there.
    await coordinator.join(draftFor("b"));
    expect((await other.position(next)).ahead).toHaveLength(1);
    await coordinator.withdraw(held.positions);
    await until(async () => (await other.position(next)).ahead.length === 0, "the turn to come");
    await until(async () => (await idsIn(other, "a")).length === 0, "the withdrawn claim to go");
  });
});

describe("a session that somebody has removed from the database", () => {
  function removeSessions(path: string, id: string): void {
    meddle(path, (db) => {
      db.prepare("DELETE FROM claims WHERE session = ? AND durable = 0").run(id);
      db.prepare("DELETE FROM sessions WHERE id = ?").run(id);
    });
  }

  test("is lost: waiting and settling end with it, and joining goes on in another", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path), await openFor(path)];
    const first = await other.join(draftFor("a"));
    const draft = draftFor("a");
    const mine = await coordinator.join(draft);
    const departure = coordinator.departed(mine, "a", [only(first).ref]);
    departure.catch(() => undefined);
    removeSessions(path, mine.session.id);
    await expect(within(departure, "the wait to end")).rejects.toBeInstanceOf(SessionLostError);
    expect(mine.session.lost.aborted).toBe(true);
    await expect(coordinator.settle(draft, mine, recordFor(draft))).rejects.toBeInstanceOf(SessionLostError);
    await expect(coordinator.position(only(mine))).rejects.toBeInstanceOf(SessionLostError);
    const again = await coordinator.join(draft);
    expect(only(again).ahead.map(({ ref }) => ref)).toEqual([only(first).ref]);
    expect(again.session.id).not.toBe(mine.session.id);
  });

  test("a waiter joins anew, at the end of the line", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path), await openFor(path)];
    const first = await other.join(draftFor("a"));
    const probe = await coordinator.join(draftFor("probe"));
    const draft = draftFor("a");
    let rejoined = 0;
    const turn = takeTurn(coordinator, draft, { signal: new AbortController().signal, onRejoin: () => void (rejoined += 1) });
    await until(async () => (await idsIn(other, "a")).length === 2, "the waiter to join");
    const third = await other.join(draftFor("a"));
    removeSessions(path, probe.session.id);
    await until(async () => (await idsIn(other, "a")).indexOf(draft.id) === 2, "the waiter to stand at the end");
    await other.withdraw([only(first), only(third)]);
    expect((await within(turn, "its turn")).outcome).toBe("granted");
    expect(rejoined).toBe(1);
  });

  test("an entry that is taken away while the session lives is another matter", async () => {
    const path = await freshPath();
    const coordinator = await openFor(path);
    const draft = draftFor("a");
    const mine = await coordinator.join(draft);
    meddle(path, (db) => db.exec("DELETE FROM claims"));
    await expect(coordinator.position(only(mine))).rejects.toBeInstanceOf(ClaimLostError);
    await expect(coordinator.settle(draft, mine, recordFor(draft))).rejects.toBeInstanceOf(ClaimLostError);
    expect(mine.session.lost.aborted).toBe(false);
  });
});

describe("an entry that is not what a write takes it for", () => {
  test("an ephemeral one is neither adopted nor updated nor ended as if it were durable", async () => {
    const coordinator = await openFor(await freshPath());
    const draft = draftFor("a");
    const joined = await coordinator.join(draft);
    const record = recordFor(draft);
    expect(await coordinator.adopt(draft.id, joined.positions, record)).toBe("changed");
    expect(await coordinator.update(draft.id, { entries: joined.positions, fencingToken: 1 }, record)).toBe("changed");
    expect(await coordinator.leave(draft.id, joined.positions, RELEASED)).toBe("changed");
    expect(await coordinator.history("a", 10)).toEqual([]);
    await coordinator.settle(draft, joined, record);
    // What was read of it while it was ephemeral is out of date.
    expect(await coordinator.adopt(draft.id, joined.positions, record)).toBe("changed");
  });

  test("another claim's is not touched", async () => {
    const coordinator = await openFor(await freshPath());
    const { draft, settled } = await takeDurably(coordinator, "a");
    expect(await coordinator.leave(freshId(), settled.entries, RELEASED)).toBe("gone");
    const elsewhere = settled.entries.map((entry) => ({ ...entry, lock: "b" }));
    expect(await coordinator.leave(draft.id, elsewhere, RELEASED)).toBe("gone");
    expect(await coordinator.leave(draft.id, [{ lock: "a", ref: "1 OR 1", revision: 1 }], RELEASED)).toBe("gone");
    expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
  });

  test("an id that another session stands in line with is refused", async () => {
    const path = await freshPath();
    const [coordinator, other] = [await openFor(path), await openFor(path)];
    const draft = draftFor("a");
    await coordinator.join(draft);
    await expect(other.join(draft)).rejects.toMatchObject({ code: "conflict" });
    expect(await idsIn(coordinator, "a")).toEqual([draft.id]);
  });
});
