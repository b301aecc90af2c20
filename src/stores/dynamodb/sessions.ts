// Sessions. That there is one, and which epoch it has, stands in the log; that it lives is shown by an item beside it, whose counter is
// written anew with each renewal. A session has ended when somebody else has seen one counter for its whole timeout on a clock of their
// own. Then they mark the item, on condition that it still has that counter, and only after that say so in the log. The owner's renewal
// has the condition that there is no mark. So one of the two fails, and no clock is compared with another.
import { randomUUID } from "node:crypto";
import { lives } from "../../queue/model/contents.js";
import type { SessionRef } from "../../queue/store.js";
import { uptimeMs } from "../../uptime.js";
import type { Replica } from "./replica.js";
import type { Attributes, Item, Table } from "./table.js";
import type { Writer } from "./writer.js";

// Counters are looked at so often in a timeout: an end is noticed by so much later.
const LOOKS_PER_TIMEOUT = 4;

// More are read all together, which costs less than each for itself.
const MOST_SINGLE_READS = 4;

// An item without a session in the log may belong to one that is just being opened. After so many entries it does not.
const OPENED_WITHIN = 4_096;

/** A counter as it was first seen, and when it was looked at last; both by the time since boot. */
interface Sight {
  readonly counter: string | null;
  readonly firstAt: number;
  readonly lastAt: number;
}

export class Sessions {
  readonly #table: Table;
  readonly #replica: Replica;
  readonly #writer: Writer;
  /** Those of this process, which looks after them itself. */
  readonly #own = new Set<string>();
  readonly #seen = new Map<string, Sight>();

  constructor(table: Table, replica: Replica, writer: Writer) {
    this.#table = table;
    this.#replica = replica;
    this.#writer = writer;
  }

  async open(timeoutMs: number): Promise<string> {
    await this.#writer.begin();
    const id = randomUUID();
    const since = this.#replica.contents.revision;
    await Promise.all([
      this.#writer.commit({ do: "open", session: id, timeoutMs }),
      this.#table.put("sessions", id, { counter: randomUUID(), since }, { exists: false }),
    ]);
    this.#own.add(id);
    return id;
  }

  /** @returns whether it lives */
  async renew({ id, epoch }: SessionRef): Promise<boolean> {
    const session = this.#replica.contents.sessions.get(id);
    const raise = async (): Promise<boolean> => (await this.#writer.commit({ do: "raise", session: id, epoch })).isDone;
    const [isRenewed, isRaised] = await Promise.all([
      this.#renewItem(id),
      session === undefined || session.epoch < epoch ? raise() : true,
    ]);
    return isRenewed && isRaised && lives(this.#replica.contents, id);
  }

  /** Looks after sessions that others have opened, as far as it is time, and says in the log which of them have ended. */
  async tend(ids: Iterable<string>): Promise<void> {
    const due = [...new Set(ids)].filter((id) => this.#isDue(id));
    if (due.length === 0) return;
    const askedAt = uptimeMs();
    const items = await this.#read(due);
    const ended = await Promise.all(
      due.map(async (id) => ((await this.#hasEnded(id, items.get(id) ?? null, askedAt)) ? id : null)),
    );
    for (const id of ended) if (id !== null) await this.expire(id);
  }

  /** Ends a session whose item is marked. */
  async expire(id: string): Promise<void> {
    await this.#writer.commit({ do: "expire", session: id });
    this.#seen.delete(id);
  }

  /** Marks a session's item, if it is as it was seen: it is not renewed any more. @returns whether it is marked */
  mark(id: string, counter: string | null): Promise<boolean> {
    const condition = counter === null ? { exists: false } : { equals: ["counter", counter] as const, without: "ended" };
    return this.#table.put(
      "sessions",
      id,
      { counter: counter ?? "none", since: this.#replica.contents.revision, ended: 1 },
      condition,
    );
  }

  /** Removes items of sessions that are over. */
  async sweep(): Promise<void> {
    const { sessions, revision } = this.#replica.contents;
    for (const { key, attributes } of await this.#all()) {
      const isOver = !sessions.has(key) && (attributes["since"] as number) < revision - OPENED_WITHIN;
      if (isOver) await this.#table.delete("sessions", key);
    }
    for (const id of this.#seen.keys()) if (!sessions.has(id)) this.#seen.delete(id);
  }

  #renewItem(id: string): Promise<boolean> {
    const attributes = { counter: randomUUID(), since: this.#replica.contents.revision };
    return this.#table.put("sessions", id, attributes, { exists: true, without: "ended" });
  }

  #isDue(id: string): boolean {
    const session = this.#replica.contents.sessions.get(id);
    if (session === undefined || session.hasEnded || this.#own.has(id)) return false;
    const sight = this.#seen.get(id);
    return sight === undefined || uptimeMs() - sight.lastAt >= session.timeoutMs / LOOKS_PER_TIMEOUT;
  }

  async #hasEnded(id: string, item: Attributes | null, askedAt: number): Promise<boolean> {
    if (item?.["ended"] !== undefined) return true;
    const counter = (item?.["counter"] as string | undefined) ?? null;
    const sight = this.#seen.get(id);
    const timeoutMs = this.#replica.contents.sessions.get(id)?.timeoutMs ?? Number.POSITIVE_INFINITY;
    if (sight === undefined || sight.counter !== counter) {
      const now = uptimeMs();
      this.#seen.set(id, { counter, firstAt: now, lastAt: now });
      return false;
    }
    this.#seen.set(id, { ...sight, lastAt: askedAt });
    return askedAt - sight.firstAt >= timeoutMs && this.mark(id, counter);
  }

  async #read(ids: readonly string[]): Promise<ReadonlyMap<string, Attributes>> {
    if (ids.length > MOST_SINGLE_READS) return new Map((await this.#all()).map(({ key, attributes }) => [key, attributes]));
    const found = await Promise.all(ids.map(async (id) => [id, await this.#table.get("sessions", id)] as const));
    return new Map(found.flatMap(([id, attributes]) => (attributes === null ? [] : [[id, attributes] as const])));
  }

  #all(): Promise<readonly Item[]> {
    // Ids are hexadecimal.
    return this.#table.queryAll("sessions", "0", "g");
  }
}
