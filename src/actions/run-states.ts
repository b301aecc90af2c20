// The states of a guarded run, and what all of them share. How one state leads to the next is claiming-states.ts's up to the
// claim in hand, and holding-states.ts's from there on.
//
//   looking → in line → granted → settled → before → command → verify → after → soak → succeeded → leaving → over
//      │                             ↑         └───────┴────────┴────────┴───────┴→ failed → over: the claim is kept, and is toxic
//      └→ leftover → adopted ────────┘                                                └→ leaving, where the action says so
//             │         └→ after: the process has restarted since the wish that was left
//             └→ after, or soak: the check had passed
//
//   command → over, with `begin`: the work is the caller's; `end` begins with verify, or failed
//   command → rebooting → over: the machine goes down; leftover → verify when it is back
//
//   before, command → undo → given back → over: they have said "not now", or this process was asked to end before the command
//                       └→ failed: the hook `after` undoes a `before` that has failed, and may be wanted after any failure
//
// Two more kinds of arrows: back to looking, where a claim was lost before it settled, or another process was faster to take
// up a leftover; and straight to over, where nothing is to be done, the turn does not come, or the store does not answer.
//
// Anything that may refuse a run (a gate) is asked in looking, before the run joins the line; in granted, before it settles, where
// withdrawing the claim leaves nothing behind; and in adopted, before settled, where the leftover stays as it was. The hooks and the
// soak are hook-states.ts's.
import type { BootMoment, Claim, Owner, ProcessIdentity } from "../locks/claim.js";
import type { Coordinator, Draft, Joined } from "../locks/coordinator.js";
import type { EndEvent, Ending } from "../locks/history.js";
import type { Perspective } from "../line/perspective.js";
import type { GuardedAction } from "./action.js";
import type { GuardContext } from "./context.js";
import type { DurableClaim } from "./durable-claim.js";
import type { ActionEnd } from "./execution.js";
import type { Orders, Shut } from "./gating.js";
import type { Outcome, Result } from "./result.js";
import type { NodeReport } from "./node-report.js";
import type { RunNotes } from "./run-notes.js";
import type { RunReport, Wish } from "./run-report.js";

/** For whom a claim is opened, who does the work of its action. */
export interface Caller {
  /** As long as it lives, the claim is not stale; `null`: the claim depends on no process. */
  readonly process: ProcessIdentity | null;
}

/** One run: what each of its states works with. */
export interface Run {
  readonly action: GuardedAction;
  readonly context: GuardContext;
  readonly wish: Wish;
  readonly orders: Orders;
  readonly isDry: false;
  /** Whether a restart since the latest wish ends this run. What was before a wish that is made now does not fulfil it. */
  readonly mayBeFulfilled: boolean;
  readonly coordinator: Coordinator;
  readonly perspective: Perspective;
  /** This process, as its claims name it. */
  readonly owner: Owner;
  readonly report: RunReport;
  readonly nodeReport: NodeReport;
  readonly notes: RunNotes;
  /** Who does the work instead of the command; `null`: nobody else. */
  readonly caller: Caller | null;
}

/** A claim in hand, and where it comes from. */
export interface Held {
  readonly claim: DurableClaim;
  /**
   * How the claim ends when all is well: `released` as this run's own, `recovered` as a leftover. A run that cannot begin
   * gives its own claim back, while a leftover stays one.
   */
  readonly endsAs: "released" | "recovered";
  /** What it was before this run took it up; `null` for this run's own. */
  readonly leftover: Claim | null;
  /** An earlier run had begun its command on the drained node: the node stays drained until the action succeeds. */
  readonly staysDrained: boolean;
}

/** How an action has succeeded, or was found to have. */
export interface Done {
  readonly event: EndEvent;
  readonly outcome: Outcome;
  readonly message: string;
  /** `null` where the command did not run. */
  readonly end: ActionEnd | null;
  /** This was an earlier wish: the run looks for its own from the beginning. */
  readonly goesOn?: boolean;
}

/** Why a claim is given back without the action: something has said "not now", a gate is shut, or this is thrown. */
export type WhyGivenBack = { readonly notNow: ActionEnd } | { readonly shut: Shut } | { readonly thrown: unknown };

/** `wishedAt`: when the latest wish stood that a restart of the process since then fulfils; `null` where there is none such. */
export type State =
  | { readonly at: "looking" }
  | { readonly at: "leftover"; readonly leftover: Claim; readonly wishedAt: BootMoment | null }
  | { readonly at: "adopted"; readonly held: Held; readonly wishedAt: BootMoment | null }
  | { readonly at: "in-line"; readonly wishedAt: BootMoment | null }
  | { readonly at: "granted"; readonly draft: Draft; readonly joined: Joined; readonly wishedAt: BootMoment | null }
  | { readonly at: "settled"; readonly held: Held }
  | { readonly at: "before"; readonly held: Held }
  | { readonly at: "command"; readonly held: Held }
  | { readonly at: "rebooting"; readonly held: Held; readonly ran: ActionEnd }
  /** `how` it has succeeded if the check passes; by default as its claim ends. */
  | {
      readonly at: "verify";
      readonly held: Held;
      readonly ran: ActionEnd;
      readonly how?: Pick<Done, "event" | "message" | "goesOn">;
    }
  | { readonly at: "after"; readonly held: Held; readonly done: Done }
  /** `leftMs`: how long the lock is kept yet. */
  | { readonly at: "soak"; readonly held: Held; readonly done: Done; readonly leftMs: number }
  | { readonly at: "succeeded"; readonly held: Held; readonly done: Done }
  /** `isAfterOver`: the hook `after` has run, however it ended. */
  | { readonly at: "failed"; readonly held: Held; readonly end: ActionEnd; readonly isAfterOver: boolean }
  /** `isOwed`: whether `after` has anything to undo. */
  | { readonly at: "undo"; readonly held: Held; readonly next: At<"failed"> | At<"given-back">; readonly isOwed: boolean }
  | { readonly at: "given-back"; readonly held: Held; readonly why: WhyGivenBack }
  | ({ readonly at: "leaving"; readonly held: Held } & Done)
  /** `null`: there was nothing to do. */
  | { readonly at: "over"; readonly result: Result | null };

/** The states named, with what they carry. */
export type At<Name extends State["at"]> = Extract<State, { readonly at: Name }>;

export function over(result: Result | null): At<"over"> {
  return { at: "over", result };
}

/** How this run ends a claim, for the history. */
export function endingBy({ context, orders }: Run, event: EndEvent, reason: string | null): Ending {
  return { event, by: context.principal, reason: reason ?? orders.reason };
}
