// What a run says of its node in the store, beside the queues: what became of each action last. It goes with the claim, in the same
// transaction, or is written afterwards. Bookkeeping: it never keeps a claim from its end, and its failure is only logged.
import { decodeNode, documentOfNode, encodeNode, type NodeDocument } from "../fleet/node.js";
import { notedOf, type RunNote, saysNothingNew, withNote } from "../fleet/noting.js";
import { within } from "../line/clock.js";
import type { BootMoment } from "../locks/claim.js";
import type { Coordinator, WriteOutcome } from "../locks/coordinator.js";
import type { DocumentWrite } from "../locks/documents.js";
import { bestEffort, DocumentChangedError, HoldlineError } from "../locks/errors.js";
import { LONGEST_NAME_BYTES } from "../locks/names.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import { aboutOf, type FleetContext } from "./fleet-context.js";
import type { Outcome, Result } from "./result.js";

/** The end of a run as far as the document tells it. */
export type Told = Pick<Result, "outcome" | "message" | "ranMs">;

// Nothing of these is anything that became of an action: nothing was to be done, or the store cannot be told of it.
const UNTOLD: ReadonlySet<Outcome> = new Set<Outcome>(["unreachable", "would-run", "would-wait"]);

// Runs of other actions of this node write the same document. There are few of them at once.
const MOST_TRIES = 4;
// A run that is over waits no longer than this for its note.
const NOTE_TIMEOUT_MS = 5_000;
// A node whose timer finds nothing to do every few minutes says so once an hour.
const REPEATED_AFTER_MS = 3_600_000;
// The kernel counts a node's running time in hundredths of a second.
const TICK_MS = 10;

/** Begins with the run: its wish is as old as that. */
export class NodeReport {
  readonly #action: GuardedAction;
  readonly #context: GuardContext;
  readonly #coordinator: Coordinator;
  readonly #hasWish: boolean;
  readonly #startedAt: number;
  /** A moment by both clocks, from which the store's time is reckoned. */
  #moment: { readonly storeMs: number; readonly at: number } | null = null;
  #document: Read | null = null;
  #preparing: Promise<void> = Promise.resolve();
  #isTold = false;

  /** @param hasWish whether the run's own wish was made now; else it finishes what was wished before */
  constructor(action: GuardedAction, context: GuardContext, coordinator: Coordinator, hasWish: boolean) {
    this.#action = action;
    this.#context = context;
    this.#coordinator = coordinator;
    this.#hasWish = hasWish;
    this.#startedAt = context.machine.clock.now();
  }

  /**
   * The claim is in hand: while the command runs, reads what has to be known when the claim leaves.
   * @param since when the claim settled, by the store's clock; `null` for one that was adopted
   */
  prepare(since: number | null): void {
    if (!this.#isTelling) return;
    if (since !== null) this.#noteTime(since);
    const read = Promise.all([this.#readDocument(), ...(since === null ? [this.#readTime()] : [])]);
    this.#preparing = bestEffort(this.#context.log, "the node's document could not be read, and is read again later", () => read);
  }

  /**
   * Ends the claim and tells of its run in one transaction. If that cannot be done, ends the claim alone.
   * @param leave ends the claim, with documents to write
   */
  async leaveWith(
    told: Told,
    leave: (writes: readonly DocumentWrite[]) => Promise<WriteOutcome>,
    signal?: AbortSignal,
  ): Promise<WriteOutcome> {
    if (!this.#isTelling || UNTOLD.has(told.outcome)) return leave([]);
    await this.#preparing;
    for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
      const write = await this.#writeOf(told, signal);
      if (write === null) return leave([]);
      try {
        const outcome = await leave([write]);
        if (outcome === "done") await this.#remember(told);
        return outcome;
      } catch (error) {
        if (!(error instanceof HoldlineError) || (error.code !== "not-allowed" && !(error instanceof DocumentChangedError)))
          throw error;
        await bestEffort(this.#context.log, "the claim leaves without the node's document, or with a newer one", () => {
          throw error;
        });
        // Whoever may not write documents may end the claim all the same.
        if (error.code === "not-allowed") return leave([]);
        this.#document = null;
      }
    }
    return leave([]);
  }

  /** The run is over. Tells what became of it, unless that has left with the claim, or was told lately and has not changed. */
  async note(told: Told): Promise<void> {
    if (!this.#isTelling || this.#isTold || UNTOLD.has(told.outcome)) return;
    await bestEffort(
      this.#context.log,
      "the node's document could not be written: the fleet does not hear of this run",
      async () => {
        if (this.#wasToldLately(this.#noteOf(told))) return;
        await within(this.#context.machine.clock, NOTE_TIMEOUT_MS, tooLate, async (signal) => {
          await this.#preparing;
          this.#document = null;
          for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
            const [node] = await Promise.all([this.#readDocument(signal), this.#moment ?? this.#readTime(signal)]);
            const { name, value, revision } = this.#encode(told, node);
            if ((await this.#coordinator.writeDocument(name, value, revision, signal)) === "done") return this.#remember(told);
          }
          throw new DocumentChangedError(this.#name);
        });
      },
    );
  }

  /** Of an exec, and of a node whose name is too long for one, there is no document. */
  get #isTelling(): boolean {
    const { fleet } = this.#context;
    return fleet !== null && this.#action.isOfExec !== true && Buffer.byteLength(this.#name) <= LONGEST_NAME_BYTES;
  }

  get #name(): string {
    return documentOfNode(this.#context.node);
  }

  get #fleet(): FleetContext {
    if (this.#context.fleet === null) throw new HoldlineError("bug", "there is no fleet to tell");
    return this.#context.fleet;
  }

  async #writeOf(told: Told, signal?: AbortSignal): Promise<DocumentWrite | null> {
    let write: DocumentWrite | null = null;
    await bestEffort(this.#context.log, "the node's document could not be read: the claim leaves without it", async () => {
      if (this.#document === null) await this.#readDocument(signal);
      if (this.#moment === null) await this.#readTime(signal);
      write = this.#encode(told, this.#document);
    });
    return write;
  }

  #encode(told: Told, read: Read | null): DocumentWrite & { readonly value: string } {
    const { declared } = this.#fleet;
    const next = withNote(read?.node ?? null, this.#noteOf(told), { declared, now: this.#now() });
    return { name: this.#name, value: encodeNode(next), revision: read?.revision ?? 0 };
  }

  #noteOf({ outcome, message, ranMs }: Told): RunNote {
    const { node, group, machine } = this.#context;
    const { name: action, lock } = this.#action;
    return {
      ...{ node, group, action, lock, outcome, message, ranMs, version: this.#fleet.version },
      machine: this.#coordinator.isShared ? machine.id : null,
      wishedMsAgo: this.#hasWish ? machine.clock.now() - this.#startedAt : null,
      isPending: ATTEMPTED.has(outcome) && machine.journal.attempts(action) !== null,
    };
  }

  async #readDocument(signal?: AbortSignal): Promise<Read> {
    const document = await this.#coordinator.document(this.#name, signal);
    const read = { node: document === null ? null : decodeNode(document.value), revision: document?.revision ?? 0 };
    this.#document = read;
    return read;
  }

  async #readTime(signal?: AbortSignal): Promise<void> {
    this.#noteTime((await this.#coordinator.sync(signal)).ms);
  }

  #noteTime(storeMs: number): void {
    this.#moment = { storeMs, at: this.#context.machine.clock.now() };
  }

  #now(): number {
    if (this.#moment === null) throw new HoldlineError("bug", "the store's time is not known");
    return Math.round(this.#moment.storeMs + this.#context.machine.clock.now() - this.#moment.at);
  }

  #wasToldLately(note: RunNote): boolean {
    const last = this.#fleet.memory.latest(this.#about);
    if (last === null || !saysNothingNew(last, note)) return false;
    const ageMs = msBetween(last.moment, this.#context.machine.processes.moment());
    return ageMs !== null && ageMs >= 0 && ageMs < REPEATED_AFTER_MS;
  }

  async #remember(told: Told): Promise<void> {
    this.#isTold = true;
    const remembered = { ...notedOf(this.#noteOf(told)), moment: this.#context.machine.processes.moment() };
    await bestEffort(this.#context.log, "what was told of this node could not be remembered, and is told again", () =>
      this.#fleet.memory.save(this.#about, remembered),
    );
  }

  get #about(): string {
    return aboutOf(this.#coordinator, this.#context.node, this.#action.name);
  }
}

const tooLate = (): Error => new HoldlineError("unreachable", "the coordinator did not answer in time");

/** The document as it was read; `null` and 0 where there was none. */
interface Read {
  readonly node: NodeDocument | null;
  readonly revision: number;
}

/** After these a wish may still wait for its turn. */
const ATTEMPTED: ReadonlySet<Outcome> = new Set<Outcome>(["timed-out", "outside-window", "frozen", "blocked", "not-now"]);

/** The time between two moments of one boot; `null` where they are of two. */
function msBetween(one: BootMoment, other: BootMoment): number | null {
  if (one.bootId !== other.bootId) return null;
  return one.ticks !== null && other.ticks !== null ? (other.ticks - one.ticks) * TICK_MS : other.wallMs - one.wallMs;
}
