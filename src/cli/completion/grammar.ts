// What can be completed where: turns the table of commands into the form that the scripts of all shells are made from.
import type { CommandOption, CommandRow, CommandTable } from "../command.js";

/** The kinds of names that scripts ask `holdline completion` for. */
export const NAME_KINDS = ["actions", "locks", "hosts", "names", "claims", "freezes"] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** A value: names to ask for, one of a few words, a file, or free text. */
export type Value =
  | { readonly kind: "names"; readonly names: NameKind }
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "files" }
  | { readonly kind: "text" };

export interface GrammarOption {
  /** All its spellings, with their dashes. */
  readonly spellings: readonly string[];
  readonly doc: string;
  /** `null` if the option takes none. */
  readonly value: Value | null;
}

export interface GrammarCommand {
  readonly name: string;
  readonly doc: string;
  readonly options: readonly GrammarOption[];
  readonly arguments: readonly Value[];
  /** Whether the last argument may be repeated. */
  readonly isMany: boolean;
  /** Whether another program's command line follows "--". */
  readonly hasRest: boolean;
}

export interface Grammar {
  readonly commands: readonly GrammarCommand[];
  /** The options that every command takes. */
  readonly options: readonly GrammarOption[];
}

// By the placeholders of the table.
const OF_PLACEHOLDER: Readonly<Record<string, Value>> = {
  ACTION: { kind: "names", names: "actions" },
  LOCK: { kind: "names", names: "locks" },
  HOST: { kind: "names", names: "hosts" },
  NAME: { kind: "names", names: "names" },
  ID: { kind: "names", names: "claims" },
  "LOCK-PATTERN": { kind: "names", names: "locks" },
  FREEZE_ID: { kind: "names", names: "freezes" },
  LEASE_ID: { kind: "names", names: "claims" },
  FILE: { kind: "files" },
  PATH: { kind: "files" },
};

/** The grammar of the command line. */
export function grammarOf(table: CommandTable): Grammar {
  const commands = table.commands.map(commandOf);
  const help: GrammarCommand = {
    name: "help",
    doc: "help for a command",
    options: [],
    arguments: [{ kind: "words", words: commands.map(({ name }) => name) }],
    isMany: false,
    hasRest: false,
  };
  return { commands: [...commands, help], options: table.options.map(optionOf) };
}

function commandOf({ name, summary, options, arguments: taken, rest }: CommandRow): GrammarCommand {
  return {
    name,
    doc: summary,
    options: options.map(optionOf),
    arguments: taken.map(({ form, choices }) => valueOf(form.replace(/[<>[\].]/g, ""), choices)),
    isMany: taken.at(-1)?.form.includes("...") ?? false,
    hasRest: rest !== undefined,
  };
}

function optionOf({ form, doc, choices }: CommandOption): GrammarOption {
  const placeholder = /<(.*)>/.exec(form)?.[1];
  return {
    spellings: form.match(/(?<=^|, )-{1,2}[\w-]+/g) ?? [],
    doc,
    value: placeholder === undefined ? null : valueOf(placeholder, choices),
  };
}

function valueOf(placeholder: string, choices: readonly string[] | undefined): Value {
  return choices === undefined ? (OF_PLACEHOLDER[placeholder] ?? { kind: "text" }) : { kind: "words", words: choices };
}
