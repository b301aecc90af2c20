// Conformance: taking turns over a store, with many contenders at once. The rule is locks/rule.ts's; what is shown here
// is that it holds over this store, whatever the order in which things happen.
import { describe, expect, test } from "vitest";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import { takeTurn } from "../line/turn.js";
import { until, within } from "./until.js";
import { draftFor, idsIn, only, recordFor, RELEASED, takeDurably } from "./drafts.js";
import type { Stage } from "./stage.js";

interface Run {
  readonly draft: Draft;
  /** Positions on one line of events. */
  readonly granted: number;
  readonly left: number;
}

/** What becomes of the claims that contend. */
const KINDS: readonly (readonly [string, (index: number) => boolean])[] = [
  ["durable", () => true],
  ["ephemeral", () => false],
  ["durable and ephemeral", (index) => index % 3 === 0],
];

/** Everyone joins, in the given order or all at once, takes a turn, settles or does not, and leaves. */
async function contend(
  sessions: readonly Coordinator[],
  drafts: readonly Draft[],
  order: "in order" | "at once",
): Promise<readonly Run[]> {
  let clock = 0;
  let over = 0;
  const run = async (coordinator: Coordinator, draft: Draft): Promise<Run> => {
    const turn = await takeTurn(coordinator, draft, { signal: new AbortController().signal });
    if (turn.outcome !== "granted") throw new Error("left the line without being asked to");
    const granted = (clock += 1);
    const settled = draft.settles ? await coordinator.settle(draft, turn.joined, recordFor(draft)) : null;
    // Others get a chance to be granted wrongly: each of these is a round trip to the store.
    for (let index = 0; index < 3; index += 1) await coordinator.queue(draft.locks[0] as string);
    const left = (clock += 1);
    if (settled === null) await coordinator.withdraw(turn.joined.positions);
    else expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    over += 1;
    return { draft, granted, left };
  };
  const runs: Promise<Run>[] = [];
  for (const [index, draft] of drafts.entries()) {
    const coordinator = sessions[index % sessions.length] as Coordinator;
    runs.push(run(coordinator, draft));
    if (order === "in order") {
      await until(async () => over + (await queued(coordinator, draft)) > index, `${index + 1} to have joined`);
    }
  }
  return within(Promise.all(runs), "everyone to have had a turn", 50_000);
}

async function queued(coordinator: Coordinator, draft: Draft): Promise<number> {
  return (await coordinator.queue(draft.locks[0] as string)).length;
}

function overlap(one: Run, other: Run): boolean {
  return one.granted < other.left && other.granted < one.left;
}

/** The most that were held at one moment. */
function mostAtOnce(runs: readonly Run[]): number {
  return Math.max(...runs.map((run) => runs.filter((other) => other.granted <= run.granted && run.granted < other.left).length));
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((one, index) => items.slice(index + 1).map((other): [T, T] => [one, other]));
}

export function describeTurns(stage: Stage): void {
  const sessions = (count: number) => Promise.all(Array.from({ length: count }, () => stage.open()));

  describe.each(KINDS)("taking turns with %s claims", (_, settles) => {
    test("one at a time, in the order of joining", async () => {
      const drafts = Array.from({ length: 12 }, (_each, index) => draftFor("a", { settles: settles(index) }));
      const runs = await contend(await sessions(4), drafts, "in order");
      expect(pairs(runs).filter(([one, other]) => overlap(one, other))).toEqual([]);
      const granted = [...runs].sort((one, other) => one.granted - other.granted).map(({ draft }) => draft.id);
      expect(granted).toEqual(drafts.map(({ id }) => id));
    });

    test("one at a time, when all join at once", async () => {
      const runs = await contend(
        await sessions(5),
        Array.from({ length: 15 }, (_each, index) => draftFor("a", { settles: settles(index) })),
        "at once",
      );
      expect(mostAtOnce(runs)).toBe(1);
    });

    test("three at a time with three slots", async () => {
      const runs = await contend(
        await sessions(5),
        Array.from({ length: 15 }, (_each, index) => draftFor("a", { slots: 3, settles: settles(index) })),
        "at once",
      );
      expect(mostAtOnce(runs)).toBeLessThanOrEqual(3);
    });

    test("those with the same key together, those with another never", async () => {
      const drafts = Array.from({ length: 16 }, (_each, index) =>
        draftFor("a", {
          key: `rack-${Math.floor(index / 4) % 2}`,
          slots: Number.POSITIVE_INFINITY,
          settles: settles(index),
        }),
      );
      const runs = await contend(await sessions(4), drafts, "at once");
      const mixed = pairs(runs).filter(([one, other]) => overlap(one, other) && one.draft.key !== other.draft.key);
      expect(mixed).toEqual([]);
    });

    test("readers and writers mixed: a writer alone, and nobody starves", async () => {
      const drafts = Array.from({ length: 18 }, (_each, index) => {
        const sharing = index % 4 === 3 ? {} : { key: "read", slots: Number.POSITIVE_INFINITY };
        return draftFor("a", { ...sharing, settles: settles(index) });
      });
      const runs = await contend(await sessions(4), drafts, "in order");
      const wrong = pairs(runs).filter(
        ([one, other]) => overlap(one, other) && (one.draft.key === null || other.draft.key === null),
      );
      expect(wrong).toEqual([]);
      const writers = runs.filter(({ draft }) => draft.key === null);
      for (const writer of writers) {
        const later = runs.slice(runs.indexOf(writer) + 1);
        expect(later.filter((run) => run.granted < writer.granted)).toEqual([]);
      }
    });

    test("on several locks without deadlock, whatever the order in which they are named", async () => {
      const forks = ["f0", "f1", "f2", "f3", "f4"];
      const drafts = Array.from({ length: 15 }, (_each, index) =>
        draftFor([forks[index % 5]!, forks[(index + 1) % 5]!], { settles: settles(index) }),
      );
      const runs = await contend(await sessions(5), drafts, "at once");
      const shared = (one: Run, other: Run) => one.draft.locks.some((lock) => other.draft.locks.includes(lock));
      expect(pairs(runs).filter(([one, other]) => overlap(one, other) && shared(one, other))).toEqual([]);
    });
  });

  describe("taking turns", () => {
    test("three slots are really three: three hold together, and a fourth waits for one of them", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const holders = [];
      for (let index = 0; index < 3; index += 1) {
        const draft = draftFor("a", { slots: 3 });
        const turn = await within(takeTurn(one, draft, { signal: new AbortController().signal }), "a slot that is free");
        holders.push({ draft, turn });
      }
      let granted = false;
      const fourth = takeTurn(other, draftFor("a", { slots: 3 }), { signal: new AbortController().signal }).then((turn) => {
        granted = true;
        return turn;
      });
      await until(async () => (await idsIn(one, "a")).length === 4, "the fourth to join");
      expect(granted).toBe(false);
      const middle = holders[1]!.turn;
      if (middle.outcome !== "granted") throw new Error("not granted");
      await one.withdraw(middle.joined.positions);
      expect((await within(fourth, "the freed slot")).outcome).toBe("granted");
    });

    test("those with the same key really hold together", async () => {
      const [one, other] = [await stage.open(), await stage.open()];
      const { draft } = await takeDurably(one, "a", { key: "rack-1", slots: Number.POSITIVE_INFINITY });
      const sharer = draftFor("a", { key: "rack-1", slots: Number.POSITIVE_INFINITY });
      const look = (): Promise<never> => Promise.reject(new Error("had to wait"));
      const turn = await within(takeTurn(other, sharer, { signal: new AbortController().signal, look }), "a sharer's turn");
      expect(turn.outcome).toBe("granted");
      expect(await idsIn(one, "a")).toEqual([draft.id, sharer.id]);
    });

    test("every ephemeral holder has seen more than all holders before it", async () => {
      const coordinators = await sessions(3);
      const tokens: number[] = [];
      const first = await takeDurably(coordinators[0]!, "a");
      tokens.push(first.settled.fencingToken);
      const waiting = [1, 2, 0, 1, 2].map(async (index) => {
        const coordinator = coordinators[index]!;
        const turn = await takeTurn(coordinator, draftFor("a", { settles: false }), {
          signal: new AbortController().signal,
          needsFencingToken: true,
        });
        if (turn.outcome !== "granted") throw new Error("not granted");
        tokens.push(turn.joined.session.latestRevision());
        await coordinator.withdraw(turn.joined.positions);
      });
      await until(async () => (await idsIn(coordinators[0]!, "a")).length === 6, "all to stand in line");
      await coordinators[0]!.leave(first.draft.id, first.settled.entries, RELEASED);
      await within(Promise.all(waiting), "everyone to have had a turn");
      const last = await takeDurably(coordinators[1]!, "a");
      tokens.push(last.settled.fencingToken);
      expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
      expect(tokens).toHaveLength(7);
    });

    test("so has every next one in the same session, though none of them had to wait", async () => {
      const coordinator = await stage.open();
      const tokens: number[] = [];
      for (let index = 0; index < 4; index += 1) {
        const turn = await takeTurn(coordinator, draftFor("a", { settles: false }), {
          signal: new AbortController().signal,
          needsFencingToken: true,
        });
        if (turn.outcome !== "granted") throw new Error("not granted");
        tokens.push(turn.joined.session.latestRevision());
        await coordinator.withdraw(turn.joined.positions);
      }
      expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    });

    test("a wait that is aborted leaves the line, and those behind move on", async () => {
      const [one, other, third] = (await sessions(3)) as [Coordinator, Coordinator, Coordinator];
      const holder = await takeDurably(one, "a");
      const stop = new AbortController();
      const reason = new Error("Ctrl-C");
      const impatient = takeTurn(other, draftFor("a"), { signal: stop.signal });
      impatient.catch(() => undefined);
      await until(async () => (await idsIn(one, "a")).length === 2, "the impatient one to join");
      const patient = takeTurn(third, draftFor("a"), { signal: new AbortController().signal });
      await until(async () => (await idsIn(one, "a")).length === 3, "the patient one to join");
      stop.abort(reason);
      await expect(within(impatient, "the wait to end")).rejects.toBe(reason);
      expect(await idsIn(one, "a")).toHaveLength(2);
      await one.leave(holder.draft.id, holder.settled.entries, RELEASED);
      const turn = await within(patient, "the patient one's turn");
      if (turn.outcome !== "granted") throw new Error("not granted");
      expect((await one.queue("a")).map(({ ref }) => ref)).toEqual([only(turn.joined).ref]);
    });

    test("a wait that looks and leaves is out of the line", async () => {
      const [one, other] = (await sessions(2)) as [Coordinator, Coordinator];
      await takeDurably(one, "a");
      const seen: number[] = [];
      const turn = await takeTurn(other, draftFor("a"), {
        signal: new AbortController().signal,
        look: async ({ claimsAhead }) => {
          seen.push(claimsAhead);
          return "leave";
        },
      });
      expect(turn).toEqual({ outcome: "left" });
      expect(seen).toEqual([1]);
      expect(await idsIn(one, "a")).toHaveLength(1);
    });
  });
}
