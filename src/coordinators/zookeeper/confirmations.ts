// Since when the ensemble as a whole is known to have kept a session alive. A server that is cut off from the others goes
// on answering pings and reads by itself, and a leader that is cut off even a `sync`: none of these proves anything.
//
// What is relied on, read from the source of ZooKeeper 3.8 and the same since 3.4:
// - A write is answered only after a majority has it in its log, and fails when the leader has ended its session. A leader
//   that takes over gives every session its whole timeout anew.
// - But a write that comes by a follower does not prolong its session. Followers note which sessions they have heard from
//   (any request will do) and tell the leader when it pings them, which is every half tick, on the same connection that
//   carries the write: a write tells that everything arrived that the follower had said before.
// - Creating a session and taking it up again on another connection prolong it at the leader itself.
//
// So a write that is answered confirms the session as of the sending of an earlier request, one that was answered at least
// the pause between the leader's pings before the write was sent.

/**
 * The longest pause between a leader's pings to its followers, as a part of the session timeout. They are half a tick
 * apart, and a session timeout is two ticks at the least where nobody has set `minSessionTimeout` lower than that.
 */
export const LEADER_PING_PAUSE = 1 / 4;

/** All times are by one clock, in milliseconds. */
export class Confirmations {
  /** The ensemble has kept the session alive at least since then. */
  confirmedAt = 0;
  /** When the newest request was sent that was answered, by whatever server. */
  answeredAt = 0;
  /** When a request was sent that the leader must know of by the next write. */
  #known = 0;
  /** A request that the leader will know of later. */
  #next: { readonly sentAt: number; readonly answeredAt: number } | null = null;

  /** A server has taken the session up: the leader knows of it. */
  connected(sentAt: number, isNewSession: boolean): void {
    this.answeredAt = Math.max(this.answeredAt, sentAt);
    this.#known = sentAt;
    this.#next = null;
    // That was a write.
    if (isNewSession) this.confirmedAt = sentAt;
  }

  /** As of when a write confirms the session that is sent now. */
  confirmedByWrite(now: number, pauseMs: number): number {
    if (this.#next !== null && now - this.#next.answeredAt > pauseMs) {
      this.#known = this.#next.sentAt;
      this.#next = null;
    }
    return this.#known;
  }

  /** @param confirms for a write, as of when it confirms; `null` for any other request */
  answered(sentAt: number, confirms: number | null, now: number, pauseMs: number): void {
    this.answeredAt = Math.max(this.answeredAt, sentAt);
    this.confirmedAt = Math.max(this.confirmedAt, confirms ?? 0);
    this.confirmedByWrite(now, pauseMs);
    this.#next ??= { sentAt, answeredAt: now };
  }
}
