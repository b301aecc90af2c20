// What a gate answers: may an action begin now? Pure.

/** Why an action does not begin now. */
export type ShutOutcome = "outside-window" | "frozen" | "blocked";

/** @property because why, in words; what says go has a reason as well, for whoever asks only to see */
export type GateAnswer =
  | { readonly answer: "go"; readonly because: string }
  /** Nothing has to be done: the wish is fulfilled. */
  | { readonly answer: "not-needed"; readonly because: string }
  /** @property untilMs milliseconds since 1970 by the node's wall clock; `null` where nobody can say */
  | { readonly answer: "not-now"; readonly outcome: ShutOutcome; readonly because: string; readonly untilMs: number | null };
