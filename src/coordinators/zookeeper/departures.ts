// Waiting until somebody ahead leaves a queue. What has been watched stays watched, so that whoever looks again asks the
// server only about what it has not been asked to tell of.
import type { EntryRef } from "../../locks/coordinator.js";
import { parseClaimName } from "./layout.js";
import type { ZkSession } from "./session.js";
import { takenOut } from "./standings.js";
import type { Watcher } from "./watches.js";
import type { Wire } from "./wire.js";

/** An entry of a queue, and what is called when it changes. */
interface Watched {
  readonly ref: string;
  readonly path: string;
  readonly watcher: Watcher;
}

/**
 * The entries among `refs` that have left; waits until there is one. The server tells of everything in the order in which
 * it happened: who has not been told that its own entry went has it still.
 * @param refs in the order of the queue
 * @param own one's own entry in the same queue, which must be there all the while; `null` where there is none
 */
export async function departed(
  session: ZkSession,
  folder: string,
  refs: readonly string[],
  own: EntryRef | null,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const gone = new Set<string>();
  // Those that may be durable: only who is at the front has settled before it is watched.
  const doubtful = new Set(refs.slice(0, 1).filter(maySettle));
  let isOver = false;
  let isChanged: boolean;
  let wake = (): void => undefined;
  const watched = (own === null ? refs : [...refs, own.ref]).map((ref): Watched => {
    const isOwn = ref === own?.ref;
    const watcher: Watcher = (isDeleted, wasEphemeral) => {
      // A claim that settles is deleted and made again in one transaction; any other that is deleted has left.
      if (isDeleted && (isOwn || !wasEphemeral || !maySettle(ref))) gone.add(ref);
      else if (maySettle(ref)) doubtful.add(ref);
      isChanged = true;
      wake();
    };
    return { ref, path: `${folder}/${ref}`, watcher };
  });

  /** Asks about each that may be durable whether it is, and about the others all at once. */
  const ask = (wire: Wire, unknown: readonly Watched[]): Promise<unknown> => {
    const looks = unknown
      .filter(({ ref }) => doubtful.has(ref))
      .map(async ({ ref, path, watcher }) => {
        if (!(await wire.watched(path, watcher, () => !isOver))) gone.add(ref);
      });
    const others = unknown.filter(({ ref }) => !doubtful.has(ref));
    if (others.length === 0) return Promise.all(looks);
    // The nearest one's leaving is the turn of whoever waits behind it; to the rest there is no hurry.
    const isNearest = ({ ref }: Watched): boolean => ref === refs.at(-1);
    const told = wire.watchAll(
      others.filter(isNearest).map(({ path }) => path),
      others.filter((other) => !isNearest(other)).map(({ path }) => path),
    );
    for (const { path, watcher } of others) wire.listen(path, watcher);
    return Promise.all([told, ...looks]);
  };

  try {
    for (;;) {
      signal?.throwIfAborted();
      session.lost.throwIfAborted();
      isChanged = false;
      // Events may have been lost with a connection: after a reconnect everything is looked at again.
      const { connections } = session;
      const unknown = watched.filter(({ ref, path, watcher }) => !gone.has(ref) && !session.wire.listen(path, watcher));
      if (unknown.length > 0 || !session.isUsable) await session.persist(signal, (wire) => ask(wire, unknown));
      if (own !== null && gone.has(own.ref)) {
        // It may have gone with the session, of which the server then says so instead of answering.
        await session.persist(signal, (wire) => wire.exists(folder));
        throw takenOut(own);
      }
      // What has changed while it was asked about may have left as well, and what went before a reconnect nobody has told of.
      if (gone.size > 0 && !isChanged && session.connections === connections) return [...gone];
      while (!isChanged && session.connections === connections && !session.lost.aborted && signal?.aborted !== true)
        await session.change(signal, (done) => (wake = done));
    }
  } finally {
    isOver = true;
    for (const { path, watcher } of watched) session.wire.unwatch(path, watcher);
  }
}

function maySettle(ref: string): boolean {
  return parseClaimName(ref)?.settles !== false;
}
