// A durable claim in this process's hand, and the two ways to be done with it: release it, or mark it as failed and keep it.
// Tries either until the release timeout, and never touches a claim that has become somebody else's.
import { isSameProcess } from "../locks/claim.js";
import type { ClaimRecord, Failure } from "../locks/claim.js";
import type { Coordinator, Settled, WriteOutcome } from "../locks/coordinator.js";
import type { DocumentWrite } from "../locks/documents.js";
import type { Ending, HistoryRecord } from "../locks/history.js";
import { HoldlineError, messageOf, UnreachableError } from "../locks/errors.js";
import type { BootMoment } from "../locks/claim.js";
import type { Clock } from "../line/clock.js";

/** What came of it. `lost`: the claim was no longer ours. `unreachable`: it still is ours, and the store did not answer, or refuses. */
export type LetGo =
  | { readonly outcome: "done" }
  | { readonly outcome: "lost"; readonly why: string }
  | { readonly outcome: "unreachable"; readonly why: string };

// The pause between two tries. A try at a silent store takes its time anyway; this keeps a store that refuses connections from
// being tried in a tight loop.
const PAUSE_MS = 250;

/** A claim that this process has just settled or adopted, and what the store has of it. */
export interface Taken {
  readonly id: string;
  readonly lock: string;
  readonly settled: Settled;
  readonly record: ClaimRecord;
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

  constructor(coordinator: Coordinator, { id, lock, settled, record }: Taken, patience: Patience) {
    this.id = id;
    this.lock = lock;
    this.fencingToken = settled.fencingToken;
    this.#coordinator = coordinator;
    this.#patience = patience;
    this.#settled = settled;
    this.#record = record;
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

  async #untilTimeout(attempt: (signal: AbortSignal) => Promise<"done" | "gone" | "changed">): Promise<LetGo> {
    const { clock, releaseTimeoutMs } = this.#patience;
    const deadline = new AbortController();
    const over = new AbortController();
    // A store may answer each time, and be full. People need to hear that to mend it.
    let problem: string | null = null;
    clock.sleep(releaseTimeoutMs, over.signal).then(
      () => deadline.abort(new UnreachableError(`${problem ?? "the coordinator did not answer"} (until the release timeout)`)),
      () => undefined, // Done before the timeout.
    );
    try {
      for (;;) {
        try {
          const outcome = await attempt(deadline.signal);
          if (outcome === "done") return { outcome: "done" };
          const why = outcome === "gone" ? await this.#whyGone(deadline.signal) : await this.#takeUpChange(deadline.signal);
          if (why !== null) return { outcome: "lost", why };
        } catch (error) {
          if (isRefusal(error)) return { outcome: "unreachable", why: messageOf(error) };
          if (!(error instanceof UnreachableError)) throw error;
          if (deadline.signal.aborted) return { outcome: "unreachable", why: messageOf(error) };
          problem = messageOf(error);
          await clock.sleep(PAUSE_MS, deadline.signal);
        }
      }
    } catch (error) {
      if (deadline.signal.aborted && error === deadline.signal.reason) return { outcome: "unreachable", why: messageOf(error) };
      throw error;
    } finally {
      over.abort();
    }
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
    return null;
  }
}

// The record of a claim that has just ended is among the newest of its lock.
const RECENT_RECORDS = 100;

/** Whether the store answers and says no: asking again until the release timeout would not change that. */
function isRefusal(error: unknown): error is HoldlineError {
  return error instanceof HoldlineError && (error.code === "not-allowed" || error.code === "configuration");
}
