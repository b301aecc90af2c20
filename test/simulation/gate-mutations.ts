// Small changes of when the gates of an action are asked, each a mistake that someone could make, which the simulation must notice.
import type { Mutation } from "./mutations.js";

export const GATE_MUTATIONS: readonly Mutation[] = [
  {
    name: "a run joins the line whatever its gates say",
    in: "lookForLeftovers",
    find: "const shut = await firstShut(run);",
    replacement: 'const shut = await firstShut(run, ["freeze"]);',
  },
  {
    name: "a run that has its turn does not look at its windows again",
    in: "settleBehindGates",
    find: 'await firstShut(run, ["needed", "window"])',
    replacement: 'await firstShut(run, ["needed"])',
  },
  {
    name: "a run that has its turn does not look again whether it is blocked",
    in: "settleBehindGates",
    find: 'await firstShut(run, ["blockers"])',
    replacement: "await firstShut(run, [])",
  },
  {
    name: "a run that has its turn does not look again whether it is needed",
    in: "settleBehindGates",
    find: 'await firstShut(run, ["needed", "window"])',
    replacement: 'await firstShut(run, ["window"])',
  },
  {
    name: "a leftover is taken up outside its windows",
    in: "firstShutUnder",
    find: '["window", "freeze", "blockers"]',
    replacement: '["freeze", "blockers"]',
  },
  {
    name: "who is outside its windows does not note that it has still to run",
    in: "resultOf",
    find: "const result = report.notRun(shut.outcome, shut.because);",
    replacement: "const result = report.result(shut.outcome, shut.because, null);",
  },
  {
    name: "what is not needed any more stays to be done",
    in: "resultOf",
    find: "if (action.isOfExec !== true) context.machine.journal.clearAttempts(action.name);",
    replacement: "",
  },
];
