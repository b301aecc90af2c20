// What the simulation knows of each claim and of who is who: more than any process does. What must be true of it is
// checks.ts's. It has the rule in words of its own, not src/locks/rule.ts's, which is among what is put to the test.
import type { ProcessIdentity } from "../../src/locks/claim.js";
import type { SeenEntry } from "./store.js";
import type { World } from "./world.js";

/** What is known of one claim, in all its locks. */
export interface Story {
  readonly name: string;
  readonly locks: readonly string[];
  readonly key: string | null;
  readonly slots: number;
  /** Its places, as they are stored. */
  readonly entries: Map<string, SeenEntry>;
  isDurable: boolean;
  readonly isLease: boolean;
  /** The process that has joined with it. */
  readonly by: string;
  /** The transaction that has ended it, or `null`. */
  endedAt: number | null;
  /** Its action has succeeded, and its process knew. */
  hasSucceeded: boolean;
  /** What was adopted, as it was before. */
  adopted: SeenEntry | null;
  /** The process that has adopted it last. */
  adoptedBy: string | null;
  /** The fencing token that it was given by a store that had gone back in time. */
  tokenOfOldStore: number | null;
}

export class Stories {
  readonly #world: World;
  readonly #stories = new Map<string, Story>();
  /** Per place, the transaction since which its claim has been held. */
  readonly #heldSince = new Map<string, number>();
  readonly #forced = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A claim's short name, for people. */
  nameOf(claim: string): string {
    let story = this.#stories.get(claim);
    if (story === undefined) {
      story = storyOf(`c${this.#stories.size + 1}`, [], "");
      this.#stories.set(claim, story);
    }
    return story.name;
  }

  of(claim: string): Story | undefined {
    return this.#stories.get(claim);
  }

  /** Nobody can know any more that its action has succeeded. */
  forgetSuccess(claim: string): void {
    const story = this.#stories.get(claim);
    if (story !== undefined) story.hasSucceeded = false;
  }

  ofEntries([entry]: readonly SeenEntry[]): Story {
    return this.#stories.get((entry as SeenEntry).id) as Story;
  }

  begin(entries: readonly SeenEntry[], by: string): void {
    const [{ id }] = entries as [SeenEntry];
    this.#stories.set(id, storyOf(this.nameOf(id), entries, by));
    this.noteHeld(entries);
  }

  /** A fault has ended this session before its time: no promise is made of what depends on it. */
  force(session: string): void {
    this.#forced.add(session);
  }

  isForced(session: string | null): boolean {
    return session !== null && this.#forced.has(session);
  }

  /** The rule, as docs/design.md says it. */
  isHeld(entry: SeenEntry): boolean {
    const queue = this.#world.store.stored(entry.lock);
    const position = queue.findIndex(({ ref }) => ref === entry.ref);
    const upTo = queue.slice(0, position + 1);
    return upTo.every(({ key }) => key === entry.key) && upTo.every(({ slots }) => position < slots);
  }

  noteHeld(entries: readonly SeenEntry[]): void {
    for (const entry of entries) {
      if (!this.#heldSince.has(entry.ref) && this.isHeld(entry)) this.#heldSince.set(entry.ref, this.#world.store.revision);
    }
  }

  /** Infinity for a place that is not held. */
  heldSince({ ref }: SeenEntry): number {
    return this.#heldSince.get(ref) ?? Number.POSITIVE_INFINITY;
  }

  isOwner(entry: SeenEntry, by: string): boolean {
    const process = entry.record?.owner.process;
    const identity = this.#world.agents.get(by)?.identity;
    return process != null && identity !== undefined && process.pid === identity.pid && process.bootId === identity.bootId;
  }

  lives(process: ProcessIdentity | null): boolean {
    return this.#world.nodes.some((node) =>
      [...node.agents].some(({ identity }) => identity.pid === process?.pid && identity.bootId === process.bootId),
    );
  }
}

function storyOf(name: string, entries: readonly SeenEntry[], by: string): Story {
  const { key, slots, lease } = entries[0]?.record ?? { key: null, slots: 1, lease: null };
  const places = new Map(entries.map((entry) => [entry.lock, entry]));
  return {
    name,
    locks: [...places.keys()],
    key,
    slots,
    entries: places,
    isLease: lease !== null,
    by,
    isDurable: false,
    endedAt: null,
    hasSucceeded: false,
    adopted: null,
    adoptedBy: null,
    tokenOfOldStore: null,
  };
}
