// What tests of moving share: an admin, tokens as users see them, and a copier that can be killed between any two requests.
import { openRooted } from "../../src/coordinators/rooted.js";
import { freezeLocks } from "../../src/leases/freezing.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import type { Freeze } from "../../src/locks/freezes.js";
import { type Copied, copyRoot } from "../../src/moving/copy.js";
import { ownerAt, TEST_OPTIONS } from "../coordinators/conformance/store.js";
import { freshId } from "../support/roots.js";

export const ADMIN = { ...ownerAt("desk"), principal: "ann@desk", process: null };

/** Freezes everything. */
export function freezeAll(coordinator: Coordinator): Promise<Freeze> {
  const request = { id: freshId(), locks: ["*"], node: null, group: null, reason: "it moves", forMs: null };
  return freezeLocks(coordinator, request, { owner: ADMIN });
}

/** The lowest fencing token that a claim shows, as users see it. */
export async function lowestToken(coordinator: Coordinator): Promise<number> {
  const rooted = await openRooted(coordinator);
  const queues = await Promise.all((await rooted.list()).map((lock) => rooted.queue(lock)));
  return Math.min(...queues.flat().map(({ fencingToken }) => fencingToken ?? Number.NaN));
}

export interface Ends {
  readonly from: Coordinator;
  readonly to: Coordinator;
}

export function copyBetween({ from, to }: Ends): Promise<Copied> {
  const [source, target] = [
    { name: "old://there", coordinator: from },
    { name: "new://here", coordinator: to },
  ];
  return copyRoot({ from: source, to: target, owner: ADMIN, log: TEST_OPTIONS.log });
}

/** The error of a copier that was killed. */
export class Killed extends Error {}

const WRITES: ReadonlySet<PropertyKey> = new Set(["join", "settle", "update", "leave", "withdraw", "writeDocument"]);

/**
 * Both ends for a copier that is killed at its `count`th write: before it, or after it has had its effect. From then on nothing of it
 * reaches a store.
 */
export function killedAt(count: number, when: "before" | "after", { from, to }: Ends): Ends & { readonly isDead: () => boolean } {
  let left = count;
  let isDead = false;
  const mortal = (coordinator: Coordinator): Coordinator =>
    new Proxy(coordinator, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]): Promise<unknown> => {
          if (isDead) throw new Killed();
          const isLast = WRITES.has(name) && (left -= 1) === 0;
          if (isLast && when === "before") isDead = true;
          if (isDead) throw new Killed();
          const answer: unknown = await (value.apply(target, given) as Promise<unknown>);
          if (isLast) isDead = true;
          if (isDead) throw new Killed();
          return answer;
        };
      },
    });
  return { from: mortal(from), to: mortal(to), isDead: () => isDead };
}
