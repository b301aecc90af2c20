// `holdline resume`: finishes what earlier runs left on this node, and nothing else. Names what it cannot finish.
import type { ExecLeft } from "../../actions/execs-left.js";
import type { Resumed } from "../../actions/resuming.js";
import type { Command } from "../command.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { printResults } from "../results.js";
import { selectActions } from "./run.js";

export const resume: Command = {
  async run(context, { args }) {
    const names = args.length === 0 ? [] : selectActions(context.settings, args, false);
    const only = context.settings.actions.filter(({ name }) => names.includes(name));
    const resumed = await (await context.agent()).resume(only);
    for (const left of resumed.execs) context.log.warn({ lock: left.lock, claim: left.claim }, execWords(left));
    printResults(context, resumed.results, noneWords(resumed));
    return exitCodeOfResults(resumed.results);
  },
};

function noneWords({ undeclared, execs }: Resumed): string {
  const owners: string[] = [];
  if (undeclared.length > 0) owners.push(`actions that are no longer declared (${undeclared.join(", ")})`);
  if (execs.length > 0) owners.push(`durable execs (on ${[...new Set(execs.map(({ lock }) => lock))].join(", ")})`);
  return owners.length === 0
    ? "nothing was left to finish on this node"
    : `nothing was finished: what was left belongs to ${owners.join(" and to ")}`;
}

function execWords({ lock, claim, program, failure }: ExecLeft): string {
  const what = failure === null ? "its agent is gone" : `FAILED: ${failure}`;
  return (
    `${lock} is kept for a durable exec of ${program} (${what}), which resume does not finish: on this node run the same command again ` +
    `(holdline exec ${lock} --durable -- ${program} …), or holdline clear ${lock} --claim ${claim} --reason TEXT`
  );
}
