// The latest time at which the ensemble as a whole is known to have kept a session alive. A server that is cut off from the others
// goes on answering pings and reads by itself, and a leader that is cut off answers even a `sync`: none of these proves anything.
//
// This rests on the following, read from the source of ZooKeeper 3.8 and the same since 3.4:
// - A write is answered only after a majority has it in its log, and fails when the leader has ended its session. A leader
//   that takes over gives every session its whole timeout anew.
// - But a write that comes through a follower does not prolong its session. Followers note which sessions they have heard from (any
//   request will do) and report them to the leader when it pings them, every half tick, on the same connection that carries the
//   write. So a write that succeeds proves that everything arrived that the follower had reported before it.
// - Creating a session, or taking it up on another connection, prolongs it at the leader itself.
//
// So the answer to a write confirms the session as of the sending of an earlier request: one that was answered before the write was
// sent, by at least the pause between the leader's pings.
//
// The times are uptimes, machine sleep included. They may be behind the truth by UPTIME_ERROR_MS but never ahead of it. For the sending
// of a request, too early is on the safe side. For the pause that has passed since an answer it is not, so the error is added to it.

/**
 * The longest pause between a leader's pings to its followers, as a part of the session timeout. They are half a tick
 * apart, and a session timeout is two ticks at the least where nobody has set `minSessionTimeout` lower than that.
 */
export const LEADER_PING_PAUSE = 1 / 4;

/** All times are by one clock, in milliseconds. */
export class Confirmations {
  /** At this time the ensemble still kept the session alive: its timeout runs from here at the earliest. */
  confirmedAt = 0;
  /** When the newest request was sent that any server has answered. */
  answeredAt = 0;
  /** When the request was sent that the leader must know of by the next write. */
  #known = 0;
  /** A later request, which the leader may not know of yet. */
  #next: { readonly sentAt: number; readonly answeredAt: number } | null = null;

  /** A server has taken the session up, so the leader knows of it. */
  connected(sentAt: number, isNewSession: boolean): void {
    this.answeredAt = Math.max(this.answeredAt, sentAt);
    this.#known = sentAt;
    this.#next = null;
    // Creating a session is a write.
    if (isNewSession) this.confirmedAt = sentAt;
  }

  /** The time as of which a write that is sent now will confirm the session. */
  confirmedByWrite(now: number, pauseMs: number): number {
    if (this.#next !== null && now - this.#next.answeredAt > pauseMs) {
      this.#known = this.#next.sentAt;
      this.#next = null;
    }
    return this.#known;
  }

  /** @param confirms for a write, the time as of which it confirms; `null` for any other request */
  answered(sentAt: number, confirms: number | null, now: number, pauseMs: number): void {
    this.answeredAt = Math.max(this.answeredAt, sentAt);
    this.confirmedAt = Math.max(this.confirmedAt, confirms ?? 0);
    this.confirmedByWrite(now, pauseMs);
    this.#next ??= { sentAt, answeredAt: now };
  }
}
