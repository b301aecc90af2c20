// Committing steps: one transaction that says what it expects to find. What this process has written itself it need not read before;
// where something else is found, the transaction has had no effect and has read what is there, and the next one goes by that.
import type { Committed, Step } from "../../queue/store.js";
import { type Known, knownFrom, looksAt, refusalOf, type Subjects, subjectsOf } from "./known.js";
import type { Layout } from "./layout.js";
import { type FoundPlace, parseRef } from "./places.js";
import { planOf } from "./plan.js";
import { LeaseGoneError, NoSpaceError } from "./wire/errors.js";
import type { Wire } from "./wire/wire.js";

export class Commits {
  readonly #wire: Wire;
  readonly #layout: Layout;
  /** By the key of their place: entries as this process has written them last. Others may have written since. */
  readonly #written = new Map<string, FoundPlace>();

  constructor(wire: Wire, layout: Layout) {
    this.#wire = wire;
    this.#layout = layout;
  }

  async commit(steps: readonly Step[]): Promise<Committed> {
    const at = (await this.#now()).ms;
    if (steps.length > 0 && steps.every((step) => step.do === "end" && !step.isEnded)) return this.#end(steps, at);
    try {
      const committed = await this.#transact(steps, at);
      if (committed.isDone) await this.#revoke(steps);
      return committed;
    } catch (error) {
      const refused = error instanceof NoSpaceError ? steps.findIndex(isBookkeeping) : -1;
      if (refused < 0) throw error;
      return { isDone: false, step: refused, why: "no-room" };
    }
  }

  /** A new session: nothing that was written in the one before is written to again soon. */
  forget(): void {
    this.#written.clear();
  }

  async #transact(steps: readonly Step[], at: number): Promise<Committed> {
    const subjects = subjectsOf(this.#layout, steps);
    let known = this.#expected(subjects, steps);
    if (known === null || refusalOf(this.#layout, known, steps) !== null) known = await this.#look(subjects);
    for (;;) {
      const refusal = refusalOf(this.#layout, known, steps);
      if (refusal !== null) return { isDone: false, ...refusal };
      const plan = planOf(this.#layout, subjects, known, steps, at);
      const response = await this.#wire.transact(plan.transaction);
      if (response.isDone) {
        this.#note(steps, plan.written(response.header.revision));
        return plan.committed(response);
      }
      known = knownFrom(this.#layout, subjects, response.responses);
    }
  }

  /** What is there as far as this process knows; `null` where it does not know enough. */
  #expected(subjects: Subjects, steps: readonly Step[]): Known | null {
    const entries = new Map<string, FoundPlace | null>();
    const sessions = new Map<string, number | null>();
    const documents = new Map<string, number>();
    const joining = new Set(steps.flatMap((step) => (step.do === "append" ? [this.#layout.place(step.lock, step.claim)] : [])));
    for (const place of subjects.entries.keys()) {
      const written = joining.has(place) ? null : this.#written.get(place);
      if (written === undefined) return null;
      entries.set(place, written);
    }
    for (const step of steps) {
      if (step.do === "append" || step.do === "check") sessions.set(step.session.id, step.session.epoch);
      else if (step.do === "end") sessions.set(step.session, step.isEnded ? null : 0);
      else if (step.do === "document" || step.do === "check-document") documents.set(step.name, step.revision);
    }
    // One that is only named is expected to live: the transaction finds out.
    for (const id of subjects.sessions) if (!sessions.has(id)) sessions.set(id, 0);
    return { entries, sessions, documents };
  }

  async #look(subjects: Subjects): Promise<Known> {
    const { responses } = await this.#wire.transact({ compares: [], success: looksAt(this.#layout, subjects) });
    return knownFrom(this.#layout, subjects, responses);
  }

  #note(steps: readonly Step[], written: readonly FoundPlace[]): void {
    for (const step of steps) {
      if (step.do !== "remove" && step.do !== "withdraw") continue;
      this.#written.delete(this.#layout.place(step.lock, parseRef(step.ref).claim));
    }
    for (const place of written) this.#written.set(this.#layout.place(place.lock, place.claim), place);
  }

  /** Ends sessions alone, which needs no transaction: a lease goes with all that hangs on it. */
  async #end(steps: readonly Step[], at: number): Promise<Committed> {
    await this.#revoke(steps);
    const { header } = await this.#wire.range({ key: this.#layout.root, only: "count" });
    return { isDone: true, revision: header.revision, at, appended: [], kept: [] };
  }

  async #revoke(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (step.do !== "end") continue;
      try {
        await this.#wire.revoke(step.session);
      } catch (error) {
        if (!(error instanceof LeaseGoneError)) throw error;
      }
    }
  }

  async #now() {
    return (await this.#wire.links.current()).clock.current();
  }
}

/** What a full cluster may leave out. */
function isBookkeeping(step: Step): boolean {
  return step.do === "archive" || (step.do === "document" && step.value !== null);
}
