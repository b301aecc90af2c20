// Which gates an action has to pass, in which order, and what each of them answers: may it begin now? Pure.

// What says that nothing has to be done comes first. What costs little comes before what costs much, and is asked for nothing where
// one before it is shut.
const GATES = ["needed", "window", "freeze", "blockers"] as const;
export type Gate = (typeof GATES)[number];

/** What somebody has decided for a run beforehand. */
export interface Passes {
  /** Whether it is needed, windows and blockers do not count. */
  readonly force: boolean;
  /** Freezes do not count. */
  readonly despiteFreeze: boolean;
}

/** The gates that a run asks, in their order, up to the first that is shut. */
export function gatesToAsk({ force, despiteFreeze }: Passes): readonly Gate[] {
  return GATES.filter((gate) => (gate === "freeze" ? !despiteFreeze : !force));
}

/** Why an action does not begin now. */
export type ShutOutcome = "outside-window" | "frozen" | "blocked";

/** @property because why, in words; what says go has a reason as well, for whoever asks only to see */
export type GateAnswer =
  | { readonly answer: "go"; readonly because: string }
  /** Nothing has to be done: the wish is fulfilled. */
  | { readonly answer: "not-needed"; readonly because: string }
  /** @property untilMs milliseconds since 1970 by the node's wall clock; `null` where nobody can say */
  | { readonly answer: "not-now"; readonly outcome: ShutOutcome; readonly because: string; readonly untilMs: number | null };
