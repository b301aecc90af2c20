// What the table of commands says of each: its help, what it takes, and where its code is. Types only.
import type { Command } from "./context.js";

export interface CommandArgument {
  /** As in help: `[LOCK]` may be left out, `<LOCK>` may not, `[ACTION...]` may be many. */
  readonly form: string;
  readonly doc: string;
  /** All that it can be, where these are a few words. */
  readonly choices?: readonly string[];
}

export interface CommandOption {
  /** As in help: `--limit <N>`. */
  readonly form: string;
  readonly doc: string;
  /** All that its value can be, where these are a few words. */
  readonly choices?: readonly string[];
  readonly required?: true;
  /** May be given several times: its value is the list of all that was given, in order. */
  readonly repeatable?: true;
}

export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly arguments: readonly CommandArgument[];
  readonly options: readonly CommandOption[];
  /** What follows "--", where the command takes that. */
  readonly rest?: string;
  /** Two command lines that make sense as they are. */
  readonly examples: readonly [string, string];
  /** It may be the first to lock something: an embedded store that is not there is made. */
  readonly makesStore?: true;
  /** Loads its code: only what is run is loaded. */
  readonly load: () => Promise<Command>;
}
