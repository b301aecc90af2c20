// Writing the history: the steps that add records to a transaction, what can be done where the server refuses them, and trimming behind it.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { type HistoryBounds, historyBoundsOf } from "../../locks/history-bounds.js";
import type { Background } from "./background.js";
import { isTrimDue, trimHistory } from "./history.js";
import type { Layout } from "./layout.js";
import { type EndedClaim, encodeEnded } from "./records.js";
import { isConnectionLoss } from "./wire/errors.js";
import { MODE, op, type Step, WireError, ZK } from "./wire/protocol.js";
import type { Wire } from "./wire/wire.js";
import { ensure, type Refusal } from "./writes.js";

export class Recording {
  readonly bounds: HistoryBounds;
  readonly #layout: Layout;
  readonly #background: Background;
  readonly #log: CoordinatorOptions["log"];

  constructor(layout: Layout, background: Background, options: CoordinatorOptions) {
    this.bounds = historyBoundsOf(options);
    this.#layout = layout;
    this.#background = background;
    this.#log = options.log;
  }

  /** The steps that write a record to the history of each lock. */
  stepsFor(locks: readonly string[], ended: EndedClaim): readonly Step[] {
    const record = encodeEnded(ended);
    return locks.map((lock) => op.create(this.#layout.recordsOf(lock), record, MODE.PERSISTENT_SEQUENTIAL));
  }

  /** Repairs a missing folder, or a record that already has the number of the next one. */
  async repair(wire: Wire, { error: refused }: Refusal): Promise<void> {
    try {
      await ensure(wire, this.#layout.history);
      if (refused.zk !== ZK.nodeExists) return;
      // The server numbers children by how many a znode has had: after one more child it gives the next number.
      const bump = `${this.#layout.history}/_next`;
      await ensure(wire, bump);
      await wire.remove(bump);
    } catch (error) {
      // Then the caller goes on without a record.
      if (!(error instanceof WireError) || isConnectionLoss(error)) throw error;
      this.#log.debug({ error: error.message }, "the history could not be repaired");
    }
  }

  /** Goes on behind a write. @param written the paths of the history records that it wrote */
  trimBehind(wire: Wire, written: readonly string[]): void {
    if (!isTrimDue(written)) return;
    this.#background.run("the history was not trimmed; a later release tries again", () =>
      trimHistory(wire, this.#layout, this.bounds, this.#log),
    );
  }
}
