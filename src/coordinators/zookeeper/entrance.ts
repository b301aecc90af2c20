// Entering the queues: creating a claim's entries, and finding them again, or removing them, when nobody knows what has
// become of the request. When it is tried again is index.ts's.
import type { Draft, QueuePosition } from "../../locks/coordinator.js";
import type { Folders } from "./folders.js";
import type { Layout } from "./layout.js";
import { claimPrefix } from "./layout.js";
import { encodeClaim, recordOfDraft } from "./records.js";
import type { ZkSession } from "./session.js";
import type { QueueList, Standings } from "./standings.js";
import { removeUnsettled } from "./upkeep.js";
import type { Wire } from "./wire.js";
import { MODE, op, type Step } from "./protocol.js";

// Each further try is one that another client has come in between, or the server that removes empty folders, now and then.
const MOST_TRIES = 20;

export class Entrance {
  readonly #layout: Layout;
  readonly #standings: Standings;
  readonly #folders: Folders;

  constructor(layout: Layout, standings: Standings, folders: Folders) {
    this.#layout = layout;
    this.#standings = standings;
    this.#folders = folders;
  }

  /** @param isAgain an earlier attempt may have created the entries: they are looked for first */
  async enter(session: ZkSession, draft: Draft, isAgain: boolean): Promise<QueuePosition[]> {
    const found = isAgain ? await this.#find(session, draft) : null;
    return found ?? this.#create(session, draft);
  }

  /** Creates the entries, and with them the folders that are missing, which may vanish again whenever they are empty. */
  async #create(session: ZkSession, draft: Draft): Promise<QueuePosition[]> {
    let missing: readonly Step[] = [];
    for (let tries = 1; ; tries += 1) {
      try {
        const standings = await this.#createIn(session, draft, missing);
        this.#folders.made(missing);
        return standings;
      } catch (error) {
        if (!this.#folders.mayTryAgain(session, missing, error) || tries === MOST_TRIES) throw error;
      }
      missing = await this.#folders.missing(session.wire, draft.locks);
    }
  }

  /**
   * Requests and their reads go out back to back, which a session's order makes one round trip.
   * @param missing the steps that make the folders, in the same transaction: none of them can be empty in between
   */
  async #createIn(session: ZkSession, draft: Draft, missing: readonly Step[]): Promise<QueuePosition[]> {
    const { wire } = session;
    const data = encodeClaim({ record: recordOfDraft(draft), fencingToken: null });
    const prefix = claimPrefix(draft);
    const folders = draft.locks.map((lock) => this.#layout.lock(lock));
    const [alone] = folders.length === 1 && missing.length === 0 ? folders : [];
    let paths: readonly (string | null)[] = [];
    const note = (created: readonly (string | null)[]): void => void (paths = created);
    const entering =
      alone === undefined
        ? wire.transaction(
            [...missing, ...folders.map((folder) => op.create(`${folder}/${prefix}`, data, MODE.EPHEMERAL_SEQUENTIAL))],
            (done) => note(done.slice(missing.length).map(({ path }) => path)),
          )
        : wire.create(`${alone}/${prefix}`, data, MODE.EPHEMERAL_SEQUENTIAL, (path) => note([path]));
    // By the time that the list is read, what stands in it for this claim has been.
    const listing = folders.map((folder, index) =>
      this.#standings.list(wire, folder, () => {
        const path = paths[index];
        return path ? refOf(path) : null;
      }),
    );
    const [entered, ...listed] = await Promise.allSettled([entering, ...listing]);
    if (entered.status === "rejected") throw entered.reason;
    let isDouble = false;
    const standings = draft.locks.map((lock, index) => {
      const list = listed[index] as PromiseSettledResult<QueueList>;
      if (list.status === "rejected") throw list.reason;
      const ref = refOf(paths[index] as string);
      isDouble ||= list.value.isDouble(draft.id, ref);
      return list.value.among({ lock, ref, revision: 0 });
    });
    return isDouble ? ((await this.#find(session, draft)) ?? standings) : standings;
  }

  /** Looks for entries that were made already, and removes doubles, and what an earlier session left, which is dead. */
  async #find(session: ZkSession, draft: Draft): Promise<QueuePosition[] | null> {
    const standings: QueuePosition[] = [];
    for (const lock of draft.locks) {
      const folder = this.#layout.lock(lock);
      const list = await this.#standings.list(session.wire, folder, () => null);
      let own: QueuePosition | null = null;
      for (const { ref, id } of list.claims) {
        if (id !== draft.id) continue;
        const stat = await session.wire.exists(`${folder}/${ref}`);
        if (own === null && stat?.ephemeralOwner === session.id) own = list.among({ lock, ref, revision: stat.version });
        else await removeUnsettled(session.wire, `${folder}/${ref}`);
      }
      if (own !== null) standings.push(own);
    }
    return standings.length === draft.locks.length ? standings : null;
  }

  /** Removes what a join that nobody waits for has left. */
  async clear(wire: Wire, draft: Draft): Promise<void> {
    for (const folder of draft.locks.map((lock) => this.#layout.lock(lock))) {
      const own = (await this.#standings.list(wire, folder, () => null)).claims.filter(({ id }) => id === draft.id);
      for (const { ref } of own) await removeUnsettled(wire, `${folder}/${ref}`);
    }
  }
}

function refOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
