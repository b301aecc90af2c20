// The table of all commands: what their help says, what they take, and where their code is. A new command is a row here
// and a file in commands/.
import type { Command } from "./context.js";

export interface CommandArgument {
  /** As in help: `[LOCK]` may be left out, `<LOCK>` may not, `[ACTION...]` may be many. */
  readonly form: string;
  readonly doc: string;
}

export interface CommandOption {
  /** As in help: `--limit <N>`. */
  readonly form: string;
  readonly doc: string;
  readonly required?: true;
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
  /** Loads its code: only what is run is loaded. */
  readonly load: () => Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "run",
    summary: "run declared actions, each under its lock; none named: all, in the file's order",
    arguments: [{ form: "[ACTION...]", doc: "names of actions of the configuration" }],
    options: [],
    examples: ["holdline run restart-nginx", "holdline run --json"],
    load: async () => (await import("./commands/run.js")).run,
  },
  {
    name: "resume",
    summary: "finish what earlier runs left on this node: pending attempts, stale and failed claims",
    arguments: [],
    options: [],
    examples: ["holdline resume", "holdline resume --quiet"],
    load: async () => (await import("./commands/resume.js")).resume,
  },
  {
    name: "exec",
    summary: "run a command under a lock",
    arguments: [{ form: "<LOCK>", doc: "the lock's name" }],
    options: [
      { form: "--slots <N>", doc: "how many may hold it at once (default: 1, or unlimited with a key)" },
      { form: "--key <K>", doc: "claims with the same key may be held together" },
      { form: "--timeout <D>", doc: "how long to wait for the lock; 0: do not wait, none: for ever" },
      { form: "--durable", doc: "keep the lock if this process dies or the command fails" },
      { form: "--data <YAML>", doc: "shown with the claim" },
    ],
    rest: "COMMAND...",
    examples: [
      "holdline exec backup -- /usr/local/bin/backup --full",
      "holdline exec deploy --slots 3 --timeout '5 min' -- ./deploy.sh",
    ],
    load: async () => (await import("./commands/exec.js")).exec,
  },
  {
    name: "locks",
    summary: "who holds, who waits, since when, why; a failed or stale holder stands out",
    arguments: [{ form: "[LOCK]", doc: "only this lock; exit code 1 when nobody is there" }],
    options: [],
    examples: ["holdline locks", "holdline locks restart/nginx --json"],
    load: async () => (await import("./commands/locks.js")).locks,
  },
  {
    name: "clear",
    summary: "an admin ends a durable claim; recorded in the history",
    arguments: [{ form: "<LOCK>", doc: "the lock's name" }],
    options: [
      { form: "--claim <ID>", doc: "which claim, where there are several" },
      { form: "--reason <TEXT>", doc: "why, for the history", required: true },
      { form: "--force", doc: "also a claim whose owner is running, or that waits" },
    ],
    examples: [
      "holdline clear restart/nginx --reason 'web-07 is out of service'",
      "holdline clear restart/nginx --claim 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --reason 'nginx fixed by hand'",
    ],
    load: async () => (await import("./commands/clear.js")).clear,
  },
  {
    name: "history",
    summary: "durable claims that have ended, newest first",
    arguments: [{ form: "[LOCK]", doc: "only of this lock" }],
    options: [{ form: "--limit <N>", doc: "how many at most (default: 20)" }],
    examples: ["holdline history", "holdline history restart/nginx --limit 5"],
    load: async () => (await import("./commands/history.js")).history,
  },
  {
    name: "check",
    summary: "validate the configuration and print what is in force, secrets hidden",
    arguments: [],
    options: [],
    examples: ["holdline check", "holdline check --config ./holdline.yaml --json"],
    load: async () => (await import("./commands/check.js")).check,
  },
];

/** The options that every command takes. */
export const GLOBAL_OPTIONS: readonly CommandOption[] = [
  { form: "-c, --config <FILE>", doc: "the configuration file" },
  { form: "--coordinator <URL>", doc: "the store of the queues, instead of the configured one" },
  { form: "--json", doc: "print one JSON document on standard output" },
  { form: "-q, --quiet", doc: "say nothing on standard error but errors" },
  { form: "-v, --verbose", doc: "say more on standard error" },
];

/** A command's usage in one line, as the documents have it: `exec LOCK [--slots N] -- COMMAND…`. */
export function usageOf(entry: CommandEntry): string {
  const options = entry.options.map(({ form, required }) => (required === true ? form : `[${form}]`));
  const parts = [
    entry.name,
    ...entry.arguments.map(({ form }) => form),
    ...options,
    ...(entry.rest === undefined ? [] : ["--", entry.rest]),
  ];
  return parts.join(" ").replace(/[<>]/g, "").replaceAll("...", "…");
}
