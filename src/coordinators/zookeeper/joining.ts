// Joining the queues: creating a claim's entries, and finding or removing them again after a reply was lost. index.ts decides when to
// try again.
import type { Draft, QueuePosition } from "../../locks/coordinator.js";
import type { Folders } from "./folders.js";
import type { Layout } from "./layout.js";
import { claimPrefix } from "./layout.js";
import { encodeFirst, recordOfDraft } from "./records.js";
import type { ZkSession } from "./session.js";
import type { QueueList, Positions } from "./positions.js";
import { removeUnsettled } from "./writes.js";
import type { Wire } from "./wire/wire.js";
import { MODE, op, type Step } from "./wire/protocol.js";

// Another client, or the server that removes empty folders, may get in between now and then. Each time costs one try.
const MOST_TRIES = 20;

export class Joining {
  readonly #layout: Layout;
  readonly #positions: Positions;
  readonly #folders: Folders;

  constructor(layout: Layout, positions: Positions, folders: Folders) {
    this.#layout = layout;
    this.#positions = positions;
    this.#folders = folders;
  }

  /** @param isRetry an earlier attempt may have created the entries, so this one looks for them first */
  async join(session: ZkSession, draft: Draft, isRetry: boolean): Promise<QueuePosition[]> {
    const found = isRetry ? await this.#find(session, draft) : null;
    return found ?? this.#create(session, draft);
  }

  /** Creates the entries and the folders that are missing. A folder may vanish again while it is empty. */
  async #create(session: ZkSession, draft: Draft): Promise<QueuePosition[]> {
    let missing: readonly Step[] = [];
    for (let tries = 1; ; tries += 1) {
      try {
        const positions = await this.#createIn(session, draft, missing);
        this.#folders.made(missing);
        return positions;
      } catch (error) {
        if (!this.#folders.mayTryAgain(session, missing, error) || tries === MOST_TRIES) throw error;
      }
      missing = await this.#folders.missing(session.wire, draft.locks);
    }
  }

  /**
   * Sends the writes and the reads behind them back to back: one round trip, because a server answers a session's requests in order.
   * @param missing the steps that make the folders, in the same transaction, so that no folder is empty in between
   */
  async #createIn(session: ZkSession, draft: Draft, missing: readonly Step[]): Promise<QueuePosition[]> {
    const { wire } = session;
    const data = encodeFirst(recordOfDraft(draft));
    const prefix = claimPrefix(draft);
    const folders = draft.locks.map((lock) => this.#layout.lock(lock));
    const [alone] = folders.length === 1 && missing.length === 0 ? folders : [];
    let paths: readonly (string | null)[] = [];
    const noteCreated = (created: readonly (string | null)[]): void => void (paths = created);
    const creating =
      alone === undefined
        ? wire.transaction(
            [...missing, ...folders.map((folder) => op.create(`${folder}/${prefix}`, data, MODE.EPHEMERAL_SEQUENTIAL))],
            (done) => noteCreated(done.slice(missing.length).map(({ path }) => path)),
          )
        : wire.create(`${alone}/${prefix}`, data, MODE.EPHEMERAL_SEQUENTIAL, (path) => noteCreated([path]));
    // The answer with the claim's name arrives before the list.
    const listing = folders.map((folder, index) =>
      this.#positions.list(wire, folder, () => {
        const path = paths[index];
        return path ? refOf(path) : null;
      }),
    );
    const [lookedAt] = missing.length === 0 ? draft.locks : [];
    if (lookedAt !== undefined) this.#folders.look(wire, lookedAt);
    const [created, ...listed] = await Promise.allSettled([creating, ...listing]);
    if (created.status === "rejected") throw created.reason;
    let isDouble = false;
    const positions = draft.locks.map((lock, index) => {
      const list = listed[index] as PromiseSettledResult<QueueList>;
      if (list.status === "rejected") throw list.reason;
      const ref = refOf(paths[index] as string);
      isDouble ||= list.value.isDouble(draft.id, ref);
      return list.value.positionOf({ lock, ref, revision: 0 });
    });
    return isDouble ? ((await this.#find(session, draft)) ?? positions) : positions;
  }

  /** Finds the entries that an earlier attempt has made. Removes doubles, and entries of an earlier session, which nobody can use. */
  async #find(session: ZkSession, draft: Draft): Promise<QueuePosition[] | null> {
    const positions: QueuePosition[] = [];
    for (const lock of draft.locks) {
      const folder = this.#layout.lock(lock);
      const list = await this.#positions.list(session.wire, folder, () => null);
      let own: QueuePosition | null = null;
      for (const { ref, id } of list.claims) {
        if (id !== draft.id) continue;
        const stat = await session.wire.exists(`${folder}/${ref}`);
        if (own === null && stat?.ephemeralOwner === session.id) own = list.positionOf({ lock, ref, revision: stat.version });
        else await removeUnsettled(session.wire, `${folder}/${ref}`);
      }
      if (own !== null) positions.push(own);
    }
    return positions.length === draft.locks.length ? positions : null;
  }

  /** Removes the entries of a join that nobody waits for any more. */
  async removeEntries(wire: Wire, draft: Draft): Promise<void> {
    for (const folder of draft.locks.map((lock) => this.#layout.lock(lock))) {
      const own = (await this.#positions.list(wire, folder, () => null)).claims.filter(({ id }) => id === draft.id);
      for (const { ref } of own) await removeUnsettled(wire, `${folder}/${ref}`);
    }
  }
}

function refOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
