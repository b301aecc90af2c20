// `holdline run`: runs declared actions, each under its lock.
import { problemWithoutCommand } from "../../actions/action.js";
import type { Orders } from "../../actions/gating.js";
import type { Result } from "../../actions/result.js";
import { type Field, readLabel } from "../../config/field.js";
import { suggestion } from "../../locks/nearest.js";
import type { ActionSettings, Settings } from "../../config/settings.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { exitCodeOfResults } from "../exit-codes.js";
import { readOption } from "../options.js";
import { printResults } from "../results.js";

export const run: Command = {
  async run(context, { args, options }) {
    const names = selectToRun(context.settings, args, options["all"] === true);
    const results = await runInTurn(context, names, ordersOf(options));
    printResults(context, results, noneWords(context.settings));
    return exitCodeOfResults(results);
  },
};

export interface RunOrders extends Orders {
  readonly isDry: boolean;
  readonly stopsOnFailure: boolean;
}

/** @throws HoldlineError `usage` where a freeze is to be passed by and nobody says why */
export function ordersOf(options: Invocation["options"]): RunOrders {
  const isGiven = (name: string): boolean => options[name] === true;
  const reason = readOption(options, "reason", readReason, null);
  if (isGiven("despiteFreeze") && reason === null) {
    throw new HoldlineError("usage", "--despite-freeze needs a --reason", {
      hint: "it is shown with the claim and in the history: --reason 'OPS-123: the fix for what was frozen'",
    });
  }
  return {
    ...{ force: isGiven("force"), despiteFreeze: isGiven("despiteFreeze"), reason },
    ...{ isDry: isGiven("dryRun"), stopsOnFailure: isGiven("stopOnFailure") },
  };
}

function readReason(field: Field): string | undefined {
  return String(field.value).trim() === "" ? field.refuse("must not be empty: others see it with the claim") : readLabel(field);
}

/** Goes on after a failure unless it was told to stop there, but not after a stop request. */
async function runInTurn(
  context: Context,
  names: readonly string[],
  { isDry, stopsOnFailure, ...orders }: RunOrders,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const name of names) {
    const action = context.settings.actions.find((declared) => declared.name === name);
    if (action === undefined) continue;
    const agent = await context.agent();
    results.push(await (isDry ? agent.dryRun(action, orders) : agent.run(action, orders)));
    if (context.stop.signal.aborted || (stopsOnFailure && !isDry && exitCodeOfResults(results) !== 0)) break;
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

/** As `selectActions`, of those that can be run: not those whose work is their caller's. @throws HoldlineError `configuration` */
export function selectToRun(
  settings: Pick<Settings, "actions" | "file">,
  named: readonly string[],
  all: boolean,
): readonly string[] {
  const names = selectActions(settings, named, all);
  const problems = new Map(settings.actions.map((action) => [action.name, problemWithoutCommand(action)]));
  if (all) return names.filter((name) => problems.get(name) === null);
  const problem = names.map((name) => problems.get(name)).find((words) => words != null);
  // Before anything runs.
  if (problem != null) throw new HoldlineError("configuration", problem);
  return names;
}

/** The one action that a command is given. @throws HoldlineError `usage` when it is not declared */
export function actionNamed(settings: Pick<Settings, "actions" | "file">, named: readonly string[]): ActionSettings {
  const [name] = selectActions(settings, named, false);
  return settings.actions.find((action) => action.name === name) as ActionSettings;
}

function noneWords({ file }: Pick<Settings, "file">): string {
  return file === null
    ? "nothing to run: without a configuration file there are no actions"
    : `nothing to run: ${file} declares no action`;
}
