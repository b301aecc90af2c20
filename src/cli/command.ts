// What a command is: its row in the table, and the code that the row loads. Owns no command.
import type { StopRequests } from "../actions/stop.js";
import type { Context } from "./context.js";
import type { Io } from "./io.js";

/** A command line after its options have been told from its arguments. */
export interface Invocation {
  /** The arguments before "--". */
  readonly args: readonly string[];
  /** What follows the first "--"; `null` without one. */
  readonly rest: readonly string[] | null;
  /** The command's own options, by their long names in camel case. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** One verb. */
export interface Command {
  /** Does what needs neither configuration nor store, so that neither has to be right; `null` when it needs them after all. */
  runAlone?(io: Io, invocation: Invocation, stop: StopRequests): number | null | Promise<number>;
  /** Does the work and returns the exit code. */
  run(context: Context, invocation: Invocation): Promise<number>;
}

export interface CommandArgument {
  /** As in help: `[LOCK]` may be left out, `<LOCK>` may not, `[ACTION...]` may be given many times. */
  readonly form: string;
  readonly doc: string;
  /** Every value it takes, where these are a few words. */
  readonly choices?: readonly string[];
}

export interface CommandOption {
  /** As in help: `--limit <N>`. */
  readonly form: string;
  readonly doc: string;
  /** Every value it takes, where these are a few words. */
  readonly choices?: readonly string[];
  readonly required?: true;
  /** May be given several times: its value is the list of all that was given, in order. */
  readonly repeatable?: true;
}

/** A row of the table. */
export interface CommandRow {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly arguments: readonly CommandArgument[];
  readonly options: readonly CommandOption[];
  /** What follows "--", where the command takes that. */
  readonly rest?: string;
  /** Two command lines that work as they stand. */
  readonly examples: readonly [string, string];
  /** The command may be the first to lock something: it creates an embedded store that is not there. */
  readonly makesStore?: true;
  /** Loads the command's code; a run loads no other command's. */
  readonly load: () => Promise<Command>;
}

/** All commands in the order of the help, and the options that every command takes. */
export interface CommandTable {
  readonly commands: readonly CommandRow[];
  readonly options: readonly CommandOption[];
}

/** A command's usage in one line, as the documents have it: `exec LOCK [--slots N] -- COMMAND…`. */
export function usageOf(row: CommandRow): string {
  const options = row.options.map(({ form, required, repeatable }) => {
    const given = required === true ? form : `[${form}]`;
    return repeatable === true ? `${given}...` : given;
  });
  const parts = [
    row.name,
    ...row.arguments.map(({ form }) => form),
    ...options,
    ...(row.rest === undefined ? [] : ["--", row.rest]),
  ];
  return parts.join(" ").replace(/[<>]/g, "").replaceAll("...", "…");
}
