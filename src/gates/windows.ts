// Windows: the times at which an action may begin. Pure: the time is handed in.

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time of the week, again and again. It may go over midnight, and then belongs to the day on which it starts. */
export interface WindowSettings {
  readonly days: readonly Weekday[];
  /** Minutes since midnight, by the wall clock of the zone. */
  readonly startMinute: number;
  readonly forMs: number;
  /** An IANA time zone; `null`: the node's own. */
  readonly zone: string | null;
}
