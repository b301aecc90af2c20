// `holdline run`: runs declared actions, each under its lock.
import type { Result } from "../../actions/result.js";
import { suggestion } from "../../locks/nearest.js";
import type { Settings } from "../../config/settings.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { printResults } from "../results.js";

export const run: Command = {
  async run(context, { args, options }) {
    const names = selectActions(context.settings, args, options["all"] === true);
    const results = await runInTurn(context, names);
    printResults(context, results, noneWords(context.settings));
    return exitCodeOfResults(results);
  },
};

/** Goes on after a failure, but not after a stop request. */
async function runInTurn(context: Context, names: readonly string[]): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const name of names) {
    const action = context.settings.actions.find((declared) => declared.name === name);
    if (action !== undefined) results.push(await (await context.agent()).run(action));
    if (context.stop.signal.aborted) break;
  }
  return results;
}

/**
 * The names of the actions to run: the named ones, or all of them with `--all`.
 * @throws HoldlineError `usage` when an action is not declared, none is named, or some are named beside `--all`
 */
export function selectActions(
  settings: Pick<Settings, "actions" | "file">,
  named: readonly string[],
  all: boolean,
): readonly string[] {
  const declared = settings.actions.map(({ name }) => name);
  if (all && named.length > 0) throw new HoldlineError("usage", "--all runs every action: name actions or give --all, not both");
  if (!all && named.length === 0) {
    const known = declared.length > 0 ? `declared are ${declared.join(", ")}; --all runs all of them` : noneWords(settings);
    throw new HoldlineError("usage", "no action was named", { hint: known });
  }
  const unknown = named.find((name) => !declared.includes(name));
  if (unknown === undefined) return all ? declared : named;
  const where = settings.file === null ? "there is no configuration file" : `${settings.file} declares no such action`;
  throw new HoldlineError("usage", `unknown action ${quoted(unknown)}: ${where}`, {
    hint: declared.length > 0 ? suggestion(unknown, declared) : "actions are declared under `actions:` in the configuration",
  });
}

function noneWords({ file }: Pick<Settings, "file">): string {
  return file === null
    ? "nothing to run: without a configuration file there are no actions"
    : `nothing to run: ${file} declares no action`;
}
