// The log: numbered entries in a ring of items. Entry n stands in slot n modulo the ring's size, in the place of the entry of one round
// before, and is written only if that is what stands there. So an entry lands only behind the one that its writer has read last: however
// late a write arrives, it has no effect once another one has its number. Entries that were deleted would leave holes in which the writer
// that was frozen longest could still write; a slot of the ring never becomes empty again.
import { HoldlineError } from "../../locks/errors.js";
import { decode, encode, type LogEntry } from "./codec.js";
import type { Item, Table } from "./table.js";

/** An entry as it stands in the log. */
export interface Logged {
  readonly n: number;
  /** Chosen by its writer, who can tell by it that a write whose reply was lost has landed. */
  readonly id: string;
  /** The store's time when it was written. */
  readonly at: number;
  readonly entry: LogEntry;
}

/** What stands in the log behind an entry: the next ones, in order; `lapped`: those have been written over, and only a snapshot helps. */
export type Followers = readonly Logged[] | "lapped";

// Entries of the former round are paid for as well. Whoever only looks whether something new is there reads so little that it costs as
// much as one item; behind a snapshot more is expected. Each page more is larger.
const FEW = 2;
const MANY = 64;
const PAGE_GROWTH = 4;

// DynamoDB's limit, less what stands in the item beside the entry.
const MOST_BLOB_BYTES = 400 * 1024 - 1_024;

export class Log {
  readonly #table: Table;
  readonly #slots: number;

  constructor(table: Table, slots: number) {
    this.#table = table;
    this.#slots = slots;
  }

  /** @returns whether it has landed; otherwise there is another entry with this number. An entry may have landed although this rejects */
  append({ n, id, at, entry }: Logged): Promise<boolean> {
    const blob = encode(entry);
    if (blob.length > MOST_BLOB_BYTES) {
      const message = `a commit of ${blob.length} bytes is too large for DynamoDB, which takes ${MOST_BLOB_BYTES}`;
      throw new HoldlineError("usage", message, { hint: "give the claim less data, or lock fewer hosts at once" });
    }
    const condition = n <= this.#slots ? { exists: false } : { equals: ["n", n - this.#slots] as const };
    return this.#table.put("log", this.#keyOf(n), { n, id, at, entry: blob }, condition);
  }

  /** What follows entry `n`, up to the end of the log as it is at some moment after the call. @param many whether to expect a lot */
  async after(n: number, many: boolean): Promise<Followers> {
    const found: Logged[] = [];
    for (let limit = many ? MANY : FEW; ; limit *= PAGE_GROWTH) {
      const next = n + found.length + 1;
      const { items, isCut } = await this.#table.query("log", this.#keyOf(next), this.#keyOf(this.#slots - 1), limit);
      const isLast = this.#take(items, next, found);
      if (isLast === "lapped") return "lapped";
      // At the end of the ring it goes on at its beginning.
      const hasTurned = (n + found.length + 1) % this.#slots === 0 && found.length > 0;
      if (isLast || (!isCut && !hasTurned)) return found;
    }
  }

  /** Takes those that follow each other; gives whether the end of the log is among the items. */
  #take(items: readonly Item[], first: number, found: Logged[]): boolean | "lapped" {
    let next = first;
    for (const { key, attributes } of items) {
      const n = attributes["n"] as number;
      if (n > next) return "lapped";
      if (n < next || key !== this.#keyOf(next)) return true;
      const { id, at, entry } = attributes as { readonly id: string; readonly at: number; readonly entry: Buffer };
      found.push({ n, id, at, entry: decode(entry) as LogEntry });
      next += 1;
    }
    return false;
  }

  #keyOf(n: number): string {
    return String(n % this.#slots).padStart(6, "0");
  }
}
