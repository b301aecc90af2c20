// Whether a tree protects what is written with credentials. ZooKeeper asks the parent's rights for a delete: below a znode that
// belongs to everybody, anybody can delete a claim, whatever the claim's own rights are.
import { HoldlineError } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import type { Right } from "./messages.js";
import type { ZkSession } from "./session.js";

// Write, create, delete, admin: all but read.
const CHANGES = 2 + 4 + 8 + 16;

const MOST_FOUND = 10_000;

export class Trust {
  readonly #layout: Layout;
  readonly #isAsked: boolean;
  /** What has been found to be protected, in each session. */
  readonly #found = new WeakMap<ZkSession, Set<string>>();

  /** @param isAsked only with credentials is there anything to protect */
  constructor(layout: Layout, isAsked: boolean) {
    this.#layout = layout;
    this.#isAsked = isAsked;
  }

  /**
   * Refuses a tree in which others than the URL's credentials may change the queues. Each znode is asked about once in a session,
   * in the same turn as what the caller sends.
   * @returns whether all of them were there; what was not has to be asked about again once it is
   * @throws HoldlineError `configuration`, with the znodes and what to do
   */
  async check(session: ZkSession, locks: readonly string[]): Promise<boolean> {
    if (!this.#isAsked) return true;
    const found = this.#found.get(session) ?? new Set<string>();
    this.#found.set(session, found);
    const { root, locks: folder, alive, history, clock } = this.#layout;
    const folders = new Set(locks.flatMap((lock) => this.#layout.foldersOf(lock)));
    const paths = [root, folder, alive, history, clock, ...folders].filter((path) => !found.has(path));
    const rights = await Promise.all(paths.map((path) => session.wire.getRights(path)));
    const open = paths.filter((_, index) => rights[index]?.some(isEverybodys) === true);
    if (open.length > 0) throw refusal(open);
    // The clock is made when it is first asked, by this session or by one that asks about it as well.
    const isSettled = (path: string, index: number): boolean => rights[index] !== null || path === clock;
    for (const [index, path] of paths.entries()) if (isSettled(path, index)) found.add(path);
    // A server that runs for years is asked for locks without end; most of their folders are gone.
    if (found.size > MOST_FOUND) found.clear();
    return paths.every(isSettled);
  }
}

/** May everybody change a znode with this line in its ACL? */
export function isEverybodys({ permissions, scheme, id }: Right): boolean {
  return scheme === "world" && id === "anyone" && (permissions & CHANGES) !== 0;
}

/** What to do about a tree that everybody may change. */
export const MEND_HINT =
  "give the tree to the credentials: holdline check --live --mend, when all nodes have them in their URL; or name another root";

function refusal(open: readonly string[]): HoldlineError {
  return new HoldlineError(
    "configuration",
    `the coordinator URL has credentials, but everybody may change ${open.join(", ")}: anybody could delete a claim there`,
    { hint: MEND_HINT },
  );
}
