// Waiting until somebody ahead leaves a queue. What has been watched stays watched, so that whoever looks again asks the
// server only about what it has not been asked to tell of.
import type { Entry } from "../../locks/coordinator.js";
import { parseClaimName } from "./layout.js";
import type { ZkSession } from "./session.js";
import { takenOut } from "./standings.js";
import type { Watcher } from "./watches.js";

/**
 * The entries among `refs` that have left; waits until there is one. The server tells of everything in the order in which
 * it happened: who has not been told that its own entry went has it still.
 * @param own one's own entry in the same queue, which must be there all the while; `null` where there is none
 */
export async function departed(
  session: ZkSession,
  folder: string,
  refs: readonly string[],
  own: Entry | null,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const gone = new Set<string>();
  let isOver = false;
  let isChanged: boolean;
  let wake = (): void => undefined;
  const watched = (own === null ? refs : [...refs, own.ref]).map((ref) => {
    const watcher: Watcher = (isDeleted, wasEphemeral) => {
      if (isDeleted && isFinal(ref, wasEphemeral)) gone.add(ref);
      isChanged = true;
      wake();
    };
    return { ref, path: `${folder}/${ref}`, watcher };
  });
  try {
    for (;;) {
      signal?.throwIfAborted();
      session.lost.throwIfAborted();
      isChanged = false;
      // Events may have been lost with a connection: after a reconnect everything is looked at again.
      const { connections } = session;
      const unknown = watched.filter(({ ref, path, watcher }) => !gone.has(ref) && !session.wire.listen(path, watcher));
      if (unknown.length > 0 || !session.isUsable) {
        await session.persist(signal, (wire) =>
          Promise.all(
            unknown.map(async ({ ref, path, watcher }) => {
              if (!(await wire.watched(path, watcher, () => !isOver))) gone.add(ref);
            }),
          ),
        );
      }
      if (own !== null && gone.has(own.ref)) throw takenOut(own);
      if (gone.size > 0) return [...gone];
      while (!isChanged && session.connections === connections && !session.lost.aborted && signal?.aborted !== true)
        await session.change(signal, (done) => (wake = done));
    }
  } finally {
    isOver = true;
    for (const { path, watcher } of watched) session.wire.unwatch(path, watcher);
  }
}

/** A claim that settles is deleted and made again in one transaction; any other that is deleted has left. */
function isFinal(ref: string, wasEphemeral: boolean): boolean {
  return !wasEphemeral || parseClaimName(ref)?.settles === false;
}
