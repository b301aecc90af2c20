// Conformance: a crowd in one line, many claims of the same session beside those of another. What a session knows of a line it
// may share among its claims; none of them may be granted by that before its turn, and none be forgotten.
import { describe, expect, test } from "vitest";
import type { Coordinator, Draft } from "../locks/coordinator.js";
import { isHeld } from "../locks/rule.js";
import { takeTurn } from "../line/turn.js";
import { within } from "./until.js";
import { draftFor, recordFor, RELEASED } from "./drafts.js";
import type { Stage } from "./stage.js";

const EACH = 40;
const SEEDS = [1, 2, 3, 4];

/** Numbers below `below`, the same for the same seed: mulberry32, by Tommy Ettinger. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface Member {
  readonly draft: Draft;
  readonly needsFencingToken: boolean;
  /** So often it looks, and then gives up; `null`: it stays. */
  readonly patience: number | null;
  /** So many round trips long it holds the lock. */
  readonly rounds: number;
}

function drawMember(below: (limit: number) => number): Member {
  const sharing = [{}, {}, {}, { slots: 2 }, { key: "k", slots: Number.POSITIVE_INFINITY }][below(5)];
  const settles = below(3) === 0;
  return {
    draft: draftFor("a", { settles, ...sharing }),
    needsFencingToken: !settles && below(2) === 0,
    patience: below(5) === 0 ? below(8) : null,
    rounds: below(3),
  };
}

/** Who holds the lock, and whether that is as the rule has it. */
class Watchman {
  readonly #holders = new Map<string, Draft>();
  #newest = 0;
  granted = 0;

  enter(draft: Draft, token: number | null): void {
    this.#holders.set(draft.id, draft);
    this.granted += 1;
    const holders = [...this.#holders.values()];
    expect(
      isHeld(
        holders.toSorted((one, other) => other.slots - one.slots),
        holders.length - 1,
      ),
      "they may hold it together",
    ).toBe(true);
    if (token === null) return;
    // All who have held it before one that holds it alone were ahead of it.
    if (draft.key === null && draft.slots === 1)
      expect(token, "a fencing token after those before it").toBeGreaterThan(this.#newest);
    this.#newest = Math.max(this.#newest, token);
  }

  leave({ id }: Draft): void {
    this.#holders.delete(id);
  }
}

async function attend(coordinator: Coordinator, member: Member, watchman: Watchman): Promise<void> {
  const { draft, needsFencingToken, patience, rounds } = member;
  let looks = 0;
  const turn = await takeTurn(coordinator, draft, {
    signal: new AbortController().signal,
    needsFencingToken,
    look: () => Promise.resolve(patience !== null && (looks += 1) > patience ? "leave" : "stay"),
    // A round trip is pause enough.
    pause: async () => void (await coordinator.sync()).ms,
  });
  if (turn.outcome === "left") return;
  const { positions: standings, session } = turn.joined;
  const settled = draft.settles ? await coordinator.settle(draft, turn.joined, recordFor(draft)) : null;
  watchman.enter(draft, settled?.fencingToken ?? (needsFencingToken ? session.latestRevision() : null));
  for (let round = 0; round < rounds; round += 1) await coordinator.queue("a");
  watchman.leave(draft);
  if (settled === null) await coordinator.withdraw(standings);
  else expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
}

export function describeCrowd(stage: Stage): void {
  describe("a crowd in one line", () => {
    test.each(SEEDS)(
      "takes its turns as the rule has it, and each that stays has one (%i)",
      async (seed) => {
        const below = numbers(seed);
        const sessions = [await stage.open(), await stage.open()];
        const watchman = new Watchman();
        const members = Array.from({ length: 2 * EACH }, () => drawMember(below));
        const all = members.map((member) => attend(sessions[below(2)] as Coordinator, member, watchman));
        await within(Promise.all(all), "everyone to have had a turn", 50_000);
        expect(watchman.granted).toBeGreaterThanOrEqual(members.filter(({ patience }) => patience === null).length);
        expect(await (sessions[0] as Coordinator).queue("a")).toEqual([]);
      },
      60_000,
    );
  });
}
