// Sessions: a lease each, and a key on it with the session's epoch. What is committed in a session checks that key.
import { encodeEpoch } from "./known.js";
import type { Layout } from "./layout.js";
import type { SessionRef } from "../../queue/store.js";
import type { TransactionResponse } from "./wire/messages.js";
import type { Link } from "./wire/link.js";
import type { Wire } from "./wire/wire.js";

export class Sessions {
  readonly #wire: Wire;
  readonly #layout: Layout;

  constructor(wire: Wire, layout: Layout) {
    this.#wire = wire;
    this.#layout = layout;
  }

  /** A lease has whole seconds: it may outlive the timeout by less than one, and never ends before. */
  async open(timeoutMs: number): Promise<string> {
    const lease = await this.#wire.grant(Math.ceil(timeoutMs / 1_000));
    const put = { key: this.#layout.session(lease), value: encodeEpoch(0), lease };
    await this.#wire.transact({ compares: [], success: [{ put }] });
    return lease;
  }

  /**
   * Renews a lease, and raises the epoch. The leader renews a lease without asking the others. One that was frozen and has another
   * leader after it would renew what the other one is about to end, until it hears of that. So a renewal counts only when the leader
   * was the same before and after it, by what a majority says to this very connection.
   */
  async renew({ id, epoch }: SessionRef): Promise<boolean> {
    for (;;) {
      const link = await this.#wire.links.current();
      const before = link.term ?? (await this.#raise(id, epoch, link)).header.term;
      if (!(await this.#wire.keepAlive(id, link))) return false;
      const { responses, header } = await this.#raise(id, epoch, link);
      if (responses.at(-1)?.pairs.length === 0) return false;
      if (header.term === before) return true;
    }
  }

  /** Ends with a look at the session's key. */
  #raise(id: string, epoch: number, link: Link): Promise<TransactionResponse> {
    const key = this.#layout.session(id);
    const value = encodeEpoch(epoch);
    const look = { range: { key } };
    const transaction = {
      compares: [{ key, is: "less", value } as const],
      success: [{ put: { key, value, keepsLease: true } } as const, look],
      failure: [look],
    };
    return this.#wire.transact(transaction, link);
  }
}
