// A durable claim in this process's hand: what it says of its work meanwhile, and the ways to be done with it: release it, keep it
// marked as failed, or make it the leftover again that it was. Tries these until the release timeout, and never touches a claim that
// has become somebody else's.
import { type BootMoment, type ClaimRecord, type Failure, isSameProcess, type Owner, type Stage } from "../locks/claim.js";
import type { Coordinator, Settled, WriteOutcome } from "../locks/coordinator.js";
import type { DocumentWrite } from "../locks/documents.js";
import type { Ending, HistoryRecord } from "../locks/history.js";
import { ClaimLostError, HoldlineError, messageOf, UnreachableError } from "../locks/errors.js";
import { type Clock, within } from "../line/clock.js";

/** What came of it. `lost`: the claim was no longer ours. `unreachable`: it still is ours, and the store did not answer, or refuses. */
export type LetGo =
  | { readonly outcome: "done" }
  | { readonly outcome: "lost"; readonly why: string }
  | { readonly outcome: "unreachable"; readonly why: string };

// The pause between two tries. A try at a silent store takes its time anyway; this keeps a store that refuses connections from
// being tried in a tight loop.
const PAUSE_MS = 250;

// A store that answers at all answers sooner, and a drained node should not wait for a note about it.
const NOTE_PATIENCE_MS = 5_000;

/** What the store has told of its time, in milliseconds since 1970, and when it was asked, by this process's clock. */
export interface ToldTime {
  readonly storeMs: number;
  readonly askedAt: number;
}

/** A claim that this process has just settled or adopted, and what the store has of it. */
export interface Taken {
  readonly id: string;
  readonly lock: string;
  readonly settled: Settled;
  readonly record: ClaimRecord;
  /** When it settled just now; missing where it was adopted. */
  readonly since?: ToldTime;
}

/** A stage that begins now. */
export interface NewStage extends Pick<Stage, "name" | "drained"> {
  /** How long it will take, in milliseconds; `null` where nobody can say. */
  readonly forMs: number | null;
}

/** The stage as a claim says it. @param since by the store's clock */
export function stageAt(since: number, { name, drained, forMs }: NewStage): Stage {
  return { name, since, until: forMs === null ? null : since + forMs, drained };
}

/** Ends a claim by `leave`, with documents to write in the same transaction. */
export type WithDocuments = (
  leave: (writes: readonly DocumentWrite[]) => Promise<WriteOutcome>,
  signal: AbortSignal,
) => Promise<WriteOutcome>;

/** How long the end of a claim is tried at a store that does not answer. */
interface Patience {
  readonly clock: Clock;
  readonly releaseTimeoutMs: number;
}

export class DurableClaim {
  readonly id: string;
  readonly lock: string;
  readonly fencingToken: number;
  readonly #coordinator: Coordinator;
  readonly #patience: Patience;
  #settled: Settled;
  #record: ClaimRecord;
  #isLost = false;
  #isChangedByOthers = false;
  /** It was that time at the store at some moment between the question and the answer, which may be late; `null`: not known yet. */
  #told: (ToldTime & { readonly heardAt: number }) | null;

  constructor(coordinator: Coordinator, { id, lock, settled, record, since }: Taken, patience: Patience) {
    this.id = id;
    this.lock = lock;
    this.fencingToken = settled.fencingToken;
    this.#coordinator = coordinator;
    this.#patience = patience;
    this.#settled = settled;
    this.#record = record;
    this.#told = since === undefined ? null : { ...since, heardAt: patience.clock.now() };
  }

  /** Whether the store has said, when a stage was noted, that the claim is no longer this process's own. Another may hold the lock then. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** The stage that the claim stands in as far as this process knows, whether the store has heard of it or not. */
  get stage(): Stage | undefined {
    return this.#record.stage;
  }

  /** The moment of the wish that it stands for, by the node's running time. */
  get made(): BootMoment | null {
    return this.#record.made;
  }

  /**
   * The earliest that it may be now by the store's clock, in milliseconds since 1970. Asks the store only where nothing has told its
   * time yet.
   * @throws UnreachableError when it has to ask and gets no answer
   */
  earliestStoreMs(): Promise<number> {
    return this.#soon(async (signal) => {
      const { storeMs, heardAt } = await this.#toldTime(signal);
      return Math.floor(storeMs + this.#patience.clock.now() - heardAt);
    });
  }

  /** The latest that it may be now by the store's clock. An end that is counted from here comes too late rather than too early. */
  async #latestStoreMs(signal: AbortSignal): Promise<number> {
    const { storeMs, askedAt } = await this.#toldTime(signal);
    return Math.ceil(storeMs + this.#patience.clock.now() - askedAt);
  }

  async #toldTime(signal: AbortSignal): Promise<ToldTime & { readonly heardAt: number }> {
    const { clock } = this.#patience;
    const askedAt = clock.now();
    return (this.#told ??= { askedAt, storeMs: (await this.#coordinator.sync(signal)).ms, heardAt: clock.now() });
  }

  /**
   * Writes into the claim how far its work has come. Tries once: nobody's work waits for long for this.
   * @throws HoldlineError when the store does not answer, or no longer has the claim as this process's
   */
  noteStage(stage: NewStage): Promise<void> {
    // Whatever is written next has it as well, should this not succeed.
    this.#record = { ...this.#record, stage: stageAt(this.#record.stage?.since ?? 0, stage) };
    return this.#soon(async (signal) => {
      this.#record = { ...this.#record, stage: stageAt(await this.#latestStoreMs(signal), stage) };
      const write = () => this.#coordinator.update(this.id, this.#settled, this.#record, signal);
      let written = await write();
      if (written === "changed" && (await this.#takeUpChange(signal)) === null) written = await write();
      if (typeof written === "string") {
        this.#isLost = true;
        throw new ClaimLostError("the claim is no longer this process's own");
      }
      this.#settled = written;
    });
  }

  /**
   * Writes a stage on which everything else depends: it has been confirmed when the outcome is `done`.
   * @param owner whose claim it is from then on; by default it stays this process's
   */
  confirmStage(stage: NewStage, owner: Owner = this.#record.owner): Promise<LetGo> {
    return this.#untilTimeout(async (signal) => {
      this.#record = { ...this.#record, stage: stageAt(await this.#latestStoreMs(signal), stage) };
      const written = await this.#coordinator.update(this.id, this.#settled, { ...this.#record, owner }, signal);
      if (typeof written === "string") return written;
      this.#settled = written;
      return "done";
    });
  }

  /** Makes the claim the leftover again that it was when this process took it up. */
  returnAs(leftover: ClaimRecord): Promise<LetGo> {
    return this.#untilTimeout(async (signal) => {
      // What somebody has written into the claim since then stays in it.
      const { data, reason } = this.#isChangedByOthers ? this.#record : leftover;
      const written = await this.#coordinator.update(this.id, this.#settled, { ...leftover, data, reason }, signal);
      return typeof written === "string" ? written : "done";
    });
  }

  #soon<T>(attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new UnreachableError("the coordinator did not answer soon");
    return within(this.#patience.clock, NOTE_PATIENCE_MS, late, attempt);
  }

  /**
   * Ends the claim.
   * @param failed why its action has failed, for the history; `null` when it has not
   * @param withDocuments ends it with what else is to be written in the same transaction; by default there is nothing
   */
  release(
    ending: Ending,
    failed: Omit<Failure, "at"> | null = null,
    withDocuments: WithDocuments = (leave) => leave([]),
  ): Promise<LetGo> {
    const coordinator = this.#coordinator;
    return this.#untilTimeout(async (signal) => {
      const failure = failed === null ? null : { ...failed, at: (await coordinator.sync(signal)).ms };
      const told = failure === null ? ending : { ...ending, failure };
      return withDocuments((writes) => coordinator.leave(this.id, this.#settled.entries, told, signal, writes), signal);
    });
  }

  /**
   * Keeps the claim and writes into it why: it is toxic from now on.
   * @param moment now, by the node's running time: only a process started later counts as restarted since
   * @param by the principal whose run has failed
   */
  fail(failure: Omit<Failure, "at">, moment: BootMoment, by: string): Promise<LetGo> {
    const coordinator = this.#coordinator;
    return this.#untilTimeout(async (signal) => {
      const record: ClaimRecord = {
        ...this.#record,
        made: moment,
        failure: { ...failure, at: (await coordinator.sync(signal)).ms },
      };
      const keeping = { event: "failed", by, reason: failure.message } as const;
      const written = await coordinator.update(this.id, this.#settled, record, signal, keeping);
      return typeof written === "string" ? written : "done";
    });
  }

  #untilTimeout(attempt: (signal: AbortSignal) => Promise<"done" | "gone" | "changed">): Promise<LetGo> {
    const { clock, releaseTimeoutMs } = this.#patience;
    // A store may answer each time, and be full. People need to hear that to mend it.
    let problem: string | null = null;
    const late = () => new UnreachableError(`${problem ?? "the coordinator did not answer"} (until the release timeout)`);
    return within(clock, releaseTimeoutMs, late, async (signal) => {
      try {
        for (;;) {
          try {
            const outcome = await attempt(signal);
            if (outcome === "done") return { outcome: "done" };
            const why = outcome === "gone" ? await this.#whyGone(signal) : await this.#takeUpChange(signal);
            if (why !== null) return { outcome: "lost", why };
          } catch (error) {
            if (isRefusal(error)) return { outcome: "unreachable", why: messageOf(error) };
            if (!(error instanceof UnreachableError)) throw error;
            if (signal.aborted) return { outcome: "unreachable", why: messageOf(error) };
            problem = messageOf(error);
            await clock.sleep(PAUSE_MS, signal);
          }
        }
      } catch (error) {
        if (signal.aborted && error === signal.reason) return { outcome: "unreachable", why: messageOf(error) };
        throw error;
      }
    });
  }

  /** Who ended the claim, in words. */
  async #whyGone(signal: AbortSignal): Promise<string> {
    let records: readonly HistoryRecord[];
    try {
      records = await this.#coordinator.history(this.lock, RECENT_RECORDS, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return `the claim was removed from the store, and its history cannot be read: ${messageOf(error)}`;
    }
    const record = records.find(({ claim, isKept }) => claim === this.id && !isKept);
    if (record === undefined) return "the claim was removed from the store, and its history does not say by whom";
    return `the claim was ${record.event}${record.by === null ? "" : ` by ${record.by}`}${record.reason === null ? "" : `: ${record.reason}`}`;
  }

  /** Somebody has written to the entry. If this process still owns the claim, takes up its new revision; else says why not. */
  async #takeUpChange(signal: AbortSignal): Promise<string | null> {
    const claim = (await this.#coordinator.queue(this.lock, signal)).find(({ id }) => id === this.id);
    if (claim === undefined) return this.#whyGone(signal);
    // Our claims name their process. If this one does not, it can no longer be read, and what we cannot read is not ours to end.
    if (claim.owner.process === null) return "somebody has written something else into the claim, which is left as it is";
    if (!isSameProcess(this.#record.owner.process, claim.owner.process)) {
      return `the claim was taken over by ${claim.owner.principal} on ${claim.owner.node}`;
    }
    this.#settled = { ...this.#settled, entries: [claim] };
    this.#record = { ...this.#record, data: claim.data, reason: claim.reason };
    this.#isChangedByOthers = true;
    return null;
  }
}

// The record of a claim that has just ended is among the newest of its lock.
const RECENT_RECORDS = 100;

/** Whether the store answers and says no: asking again until the release timeout would not change that. */
function isRefusal(error: unknown): error is HoldlineError {
  return error instanceof HoldlineError && (error.code === "not-allowed" || error.code === "configuration");
}
