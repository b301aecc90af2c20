// Conformance: contenders in processes of their own, and what becomes of their claims when they are killed.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { until, within } from "./until.js";
import { claimIn, draftFor, idsIn, RELEASED, recordFor } from "./drafts.js";
import type { Abilities, Stage } from "./stage.js";

export function describeProcesses(stage: Stage, subject: Abilities): void {
  const deadline = { deadlineMs: subject.goneWithinMs };

  describe("processes of their own", () => {
    test("a killed waiter does not hold up the queue", async () => {
      const coordinator = await stage.open();
      const dying = await stage.contender({ locks: ["a", "b"], until: "joined" });
      const { claim } = await dying.event("joined");
      expect(await idsIn(coordinator, "a")).toEqual([claim]);
      const mine = await coordinator.join(draftFor("a"));
      const ahead = mine.positions[0]!.ahead.map(({ ref }) => ref);
      const departure = coordinator.departed(mine, "a", ahead);
      await dying.kill();
      expect(await within(departure, "the killed waiter's place to vanish", subject.goneWithinMs)).toEqual(ahead);
      expect(await coordinator.queue("b")).toEqual([]);
    });

    test("a process killed between grant and settle leaves nothing", async () => {
      const coordinator = await stage.open();
      const dying = await stage.contender({ locks: ["a"], until: "granted" });
      await dying.event("granted");
      await dying.kill();
      await until(async () => (await coordinator.queue("a")).length === 0, { what: "its claim to vanish", ...deadline });
    });

    test("a killed holder's claim stays, is seen to be without its owner, and can be adopted", async () => {
      const coordinator = await stage.open();
      const dying = await stage.contender({ locks: ["a", "b"], until: "settled" });
      const { claim, fencingToken } = await dying.event("settled");
      expect(await claimIn(coordinator, "a")).toMatchObject({ id: claim, alive: true, fencingToken });
      await dying.kill();
      await until(async () => !(await claimIn(coordinator, "a")).alive, { what: "its owner to be seen as gone", ...deadline });
      const left = await claimIn(coordinator, "b");
      expect(left).toMatchObject({ id: claim, durable: true, alive: false, fencingToken });
      const draft = draftFor(["a", "b"], { id: claim as string });
      const entries = [await claimIn(coordinator, "a"), left];
      const adopted = await coordinator.adopt(draft.id, entries, recordFor(draft));
      if (typeof adopted === "string") throw new Error(adopted);
      expect(adopted.fencingToken).toBeGreaterThan(fencingToken as number);
      expect(await claimIn(coordinator, "a")).toMatchObject({ alive: true, owner: draft.owner });
      expect(await coordinator.leave(draft.id, adopted.entries, RELEASED)).toBe("done");
    });

    test("a process that ends as it should leaves nothing but its history", async () => {
      const coordinator = await stage.open();
      const contender = await stage.contender({ locks: ["a"], until: "settled" });
      const { claim } = await contender.event("settled");
      contender.tell();
      await contender.ended();
      expect(await coordinator.queue("a")).toEqual([]);
      expect((await coordinator.history("a", 10)).map((record) => record.claim)).toEqual([claim]);
    });

    test("several processes take turns one at a time, with growing fencing tokens", async () => {
      const directory = await mkdtemp(join(tmpdir(), "holdline-test-"));
      onTestFinished(() => rm(directory, { recursive: true, force: true }));
      const trace = join(directory, "trace");
      const task = { locks: ["a"], until: "all", rounds: 3, trace } as const;
      const contenders = await Promise.all([0, 1, 2, 3, 4].map(() => stage.contender(task)));
      await Promise.all(contenders.map((contender) => contender.ended()));
      const lines = (await readFile(trace, "utf8")).trim().split("\n");
      expect(lines).toHaveLength(30);
      const tokens = lines.flatMap((line, index) => {
        const [, sign, id, token] = /^([+-])(\S+) ?(\d*)$/.exec(line) as unknown as [string, string, string, string];
        expect(sign).toBe(index % 2 === 0 ? "+" : "-");
        if (sign === "-") expect(lines[index - 1]).toMatch(`+${id} `);
        return sign === "+" ? [Number(token)] : [];
      });
      expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    });
  });
}
