// The one rule, as properties over random queues, and as the locks that it is known to be.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Contender } from "../../src/locks/rule.js";
import { blockers, defaultSlots, isHeld } from "../../src/locks/rule.js";

const contender: fc.Arbitrary<Contender> = fc.record({
  key: fc.constantFrom(null, null, "rack-1", "rack-2"),
  slots: fc.constantFrom(1, 1, 2, 3, 5, Number.POSITIVE_INFINITY),
});
const queues = fc.array(contender, { maxLength: 12 });
const RUNS = { numRuns: 5_000 };

function holders(queue: readonly Contender[]): Contender[] {
  return queue.filter((_, position) => isHeld(queue, position));
}

describe("for any queue", () => {
  test("who is first holds", () => {
    fc.assert(
      fc.property(queues, (queue) => {
        expect(queue.length === 0 || isHeld(queue, 0)).toBe(true);
      }),
      RUNS,
    );
  });

  test("holders stand at its front, share one key, and are no more than any of them allows", () => {
    fc.assert(
      fc.property(queues, (queue) => {
        const held = holders(queue);
        expect(queue.slice(0, held.length)).toEqual(held);
        expect(new Set(held.map(({ key }) => key)).size).toBeLessThanOrEqual(1);
        expect(held.every(({ slots }) => held.length <= slots)).toBe(true);
      }),
      RUNS,
    );
  });

  test("the rule lets in everyone whom it can: the first who waits would break it", () => {
    fc.assert(
      fc.property(queues, (queue) => {
        const held = holders(queue);
        const next = queue[held.length];
        if (next === undefined) return;
        const together = [...held, next];
        const wouldFit =
          new Set(together.map(({ key }) => key)).size === 1 && together.every(({ slots }) => together.length <= slots);
        expect(wouldFit).toBe(false);
      }),
      RUNS,
    );
  });

  test("a held claim stays held, whoever joins at the end and whoever leaves", () => {
    fc.assert(
      fc.property(queues, contender, fc.nat(), (queue, joiner, at) => {
        const held = new Set(holders(queue));
        expect(holders([...queue, joiner]).filter((claim) => held.has(claim))).toHaveLength(held.size);
        if (queue.length === 0) return;
        const leaver = queue[at % queue.length];
        const after = holders(queue.filter((claim) => claim !== leaver));
        for (const claim of held) if (claim !== leaver) expect(after).toContain(claim);
      }),
      RUNS,
    );
  });

  test("nobody overtakes: a claim is never held while one before it waits", () => {
    fc.assert(
      fc.property(queues, (queue) => {
        const states = queue.map((_, position) => isHeld(queue, position));
        expect(states).toEqual([...states].sort((one, other) => Number(other) - Number(one)));
      }),
      RUNS,
    );
  });

  test("everybody gets a turn: with holders leaving one by one the queue runs empty", () => {
    fc.assert(
      fc.property(queues, fc.infiniteStream(fc.nat()), (queue, choices) => {
        let rest = queue;
        while (rest.length > 0) {
          const held = holders(rest);
          const leaver = held[choices.next().value % held.length];
          rest = rest.filter((claim) => claim !== leaver);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("what stands in a waiter's way", () => {
  test("is nothing for a holder, and something ahead of it for everyone else", () => {
    fc.assert(
      fc.property(queues, (queue) => {
        for (let position = 0; position < queue.length; position += 1) {
          const obstacles = blockers(queue, position);
          expect(obstacles.length === 0).toBe(isHeld(queue, position));
          expect(obstacles.every((obstacle) => obstacle >= 0 && obstacle < position)).toBe(true);
          expect(new Set(obstacles).size).toBe(obstacles.length);
        }
      }),
      RUNS,
    );
  });

  test("keeps it waiting as long as all of it stays, whoever else leaves: no wake-up is missed", () => {
    fc.assert(
      fc.property(queues, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), (queue, leaves) => {
        for (let position = 0; position < queue.length; position += 1) {
          const obstacles = new Set(blockers(queue, position));
          if (obstacles.size === 0) continue;
          const rest = queue.filter((_, index) => index >= position || obstacles.has(index) || leaves[index] === false);
          expect(isHeld(rest, rest.indexOf(queue[position] as Contender))).toBe(false);
        }
      }),
      RUNS,
    );
  });

  test("is just its predecessor in a mutex, so that a release wakes one waiter", () => {
    const queue = Array.from({ length: 50 }, () => ({ key: null, slots: 1 }));
    for (let position = 1; position < 50; position += 1) expect(blockers(queue, position)).toEqual([position - 1]);
  });

  test("is as many as the slots in a semaphore, however long the line", () => {
    const queue = Array.from({ length: 50 }, () => ({ key: null, slots: 3 }));
    for (let position = 3; position < 50; position += 1) expect(blockers(queue, position)).toHaveLength(3);
  });
});

describe("the one rule is", () => {
  const queueOf = (...claims: readonly (readonly [string | null, number?])[]): Contender[] =>
    claims.map(([key, slots]) => ({ key, slots: slots ?? defaultSlots(key) }));
  const states = (queue: readonly Contender[]): string =>
    queue.map((_, position) => (isHeld(queue, position) ? "H" : "w")).join("");

  test("a mutex without key or slots", () => {
    expect(states(queueOf([null], [null], [null]))).toBe("Hww");
  });

  test("a counting semaphore with slots", () => {
    expect(states(queueOf([null, 2], [null, 2], [null, 2]))).toBe("HHw");
  });

  test("a read/write lock: readers share, a writer that waits holds up later readers", () => {
    expect(states(queueOf(["read"], ["read"], [null], ["read"]))).toBe("HHww");
  });

  test("group exclusion with keys, and both together", () => {
    expect(states(queueOf(["a"], ["a"], ["b"], ["a"]))).toBe("HHww");
    expect(states(queueOf(["a", 2], ["a", 2], ["a", 2]))).toBe("HHw");
  });

  test("as strict as the strictest of those who hold", () => {
    expect(states(queueOf([null, 3], [null, 2], [null, 3]))).toBe("HHw");
    expect(states(queueOf([null, 1], [null, 3]))).toBe("Hw");
    expect(states(queueOf([null, 3], [null, 1]))).toBe("Hw");
  });
});
