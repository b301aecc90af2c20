// The table of all commands, in the order of the help. A new command is a row in one of entries/ and a file in commands/.
import { CONCOURSE } from "./entries/concourse.js";
import { GUARDED } from "./entries/guarded.js";
import { HOSTS } from "./entries/hosts.js";
import { LEASES } from "./entries/leases.js";
import { RECORDS } from "./entries/records.js";
import { SERVE } from "./entries/serve.js";
import type { CommandEntry, CommandOption } from "./entry.js";

export const COMMANDS: readonly CommandEntry[] = [...GUARDED, ...LEASES, ...HOSTS, ...RECORDS, ...SERVE, ...CONCOURSE];

/** The options that every command takes. */
export const GLOBAL_OPTIONS: readonly CommandOption[] = [
  { form: "-c, --config <FILE>", doc: "the configuration file" },
  { form: "--coordinator <URL>", doc: "the store of the queues, instead of the configured one" },
  { form: "--json", doc: "print one JSON document on standard output" },
  { form: "-q, --quiet", doc: "say nothing on standard error but errors" },
  { form: "-v, --verbose", doc: "say more on standard error" },
];

/** The options that are answered without a command; the parser has them of its own. */
export const PARSER_OPTIONS = [
  { form: "-V, --version", doc: "print the version" },
  { form: "-h, --help", doc: "help, also for a command" },
] as const satisfies readonly CommandOption[];

/** A command's usage in one line, as the documents have it: `exec LOCK [--slots N] -- COMMAND…`. */
export function usageOf(entry: CommandEntry): string {
  const options = entry.options.map(({ form, required, repeatable }) => {
    const given = required === true ? form : `[${form}]`;
    return repeatable === true ? `${given}...` : given;
  });
  const parts = [
    entry.name,
    ...entry.arguments.map(({ form }) => form),
    ...options,
    ...(entry.rest === undefined ? [] : ["--", entry.rest]),
  ];
  return parts.join(" ").replace(/[<>]/g, "").replaceAll("...", "…");
}
