// Small changes of what goes on around a command and after it, each a mistake that someone could make, which the simulation must notice.
import type { Mutation } from "./mutations.js";

// Not here: forgetting that a claim's node is drained. Whoever takes the claim up drains anew, and undrains after that.
export const HOOK_MUTATIONS: readonly Mutation[] = [
  {
    name: "what a recovered run has drained stays drained",
    in: "undrainNode",
    find: "if (run.action.after === null)",
    replacement: 'if (run.action.after === null || held.endsAs === "recovered")',
  },
  {
    name: "a node that was drained for nothing stays drained",
    in: "undoDrain",
    find: "if (run.action.after === null || !isOwed) {",
    replacement: 'if (run.action.after === null || !isOwed || next.at === "given-back") {',
  },
  {
    name: "work comes back to a node whose action has failed",
    in: "keepOrLeave",
    find: 'action.after?.when === "always"',
    replacement: "action.after !== null",
  },
  {
    name: "the command runs although its node could not be drained",
    in: "drainNode",
    find: 'if (!end.succeeded) return undoing({ at: "failed", held, end, isAfterOver: false }, end.began);',
    replacement: "",
  },
  {
    name: "the command runs although its claim was cleared while its node was drained",
    in: "drainNode",
    find: "if (held.claim.isLost)",
    replacement: 'if (held.claim.isLost && action.name === "")',
  },
  {
    name: "the lock is let go of before it has soaked",
    in: "soakUnderLock",
    find: "if (action.soakMs > 0) {",
    replacement: "if (action.soakMs > 3_600_000) {",
  },
  {
    name: "a check that fails while it soaks does not count",
    in: "soakUnderLock",
    find: 'if (soaked.outcome === "failed") return',
    replacement: 'if (soaked.outcome === "failed" && soaked.end.lacksRoom) return',
  },
  {
    name: "what is left of a soak is left out",
    in: "finishVerified",
    find: "leftMs: Math.min(Math.max(0, leftMs), action.soakMs)",
    replacement: "leftMs: Math.min(0, leftMs)",
  },
  {
    name: "resume runs the command again whose check had passed",
    in: "takeUpLeftover",
    find: 'const finishes = come.isVerified && run.wish !== "wished";',
    replacement: 'const finishes = come.isVerified && run.wish === "if-in-line";',
  },
  {
    name: "a command that says not now keeps its claim",
    in: "giveBack",
    find: 'await claim.release(endingBy(run, "released", reason)',
    replacement: 'if (!("notNow" in why)) await claim.release(endingBy(run, "released", reason)',
  },
  {
    name: "a leftover that is given back loses what somebody has changed",
    in: "DurableClaim.returnAs",
    find: "this.#isChangedByOthers ?",
    replacement: "this.#isLost ?",
  },
  {
    name: "a node's document that has changed keeps a claim from its end",
    in: "NodeReport.leaveWith",
    find: 'error.code !== "not-allowed" && !(error instanceof DocumentChangedError)',
    replacement: 'error.code !== "not-allowed"',
  },
  {
    name: "a claim leaves without its node's document",
    in: "NodeReport.leaveWith",
    find: "const outcome = await leave([write]);",
    replacement: "const outcome = await leave([]);",
  },
  {
    name: "the end of a soak is counted from when the store's time was heard of",
    in: "DurableClaim.#latestStoreMs",
    find: "{ storeMs, askedAt }",
    replacement: "{ storeMs, heardAt: askedAt }",
  },
  {
    name: "what is left of a soak is counted from when the store was asked for its time",
    in: "DurableClaim.earliestStoreMs",
    find: "{ storeMs, heardAt }",
    replacement: "{ storeMs, askedAt: heardAt }",
  },
];
