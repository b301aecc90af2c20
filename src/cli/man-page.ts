// The man page, in the man(7) macros, out of the tables that the help, the settings and the exit codes come from.
import { OTHER_VARIABLES, SETTING_PATHS, SETTINGS, variableOf } from "../config/schema.js";
import { searchPath } from "../config/surroundings.js";
import { VERSION } from "../version.js";
import { COMMANDS, GLOBAL_OPTIONS, PARSER_OPTIONS } from "./command-table.js";
import { usageOf } from "./command.js";
import type { CommandArgument, CommandOption, CommandRow } from "./command.js";
import { EXIT_CODES } from "./exit-codes.js";

// Of other families, and heeded as everywhere.
const FOREIGN_VARIABLES = {
  XDG_CONFIG_HOME: "where a user's configuration is looked for, instead of ~/.config",
  XDG_STATE_HOME: "where a user's journal is kept, instead of ~/.local/state",
  NO_COLOR: "not empty: no colours on a terminal",
};

/** @param date when this version was made, as 2026-01-31: the page's footer has it */
export function manPage(date: string): string {
  return [
    '.\\" Made by scripts/build.mjs out of the table of commands: what is changed here is lost.',
    `.TH HOLDLINE 1 "${date}" "holdline ${VERSION}" "User Commands"`,
    // Command lines are neither hyphenated nor stretched.
    ".nh",
    ".ad l",
    ".SH NAME",
    "holdline \\- run guarded actions one node at a time under a distributed lock",
    ".SH SYNOPSIS",
    `${bold("holdline")} [${italic("options")}] ${italic("COMMAND")} [${italic("arguments")}]`,
    ".SH DESCRIPTION",
    ...filled(
      "An agent for every node of a fleet. It waits its turn in a lock's queue, runs a risky action while it holds the lock, " +
        "checks that the service is healthy again, and only then lets the next node go. A failed action keeps the lock. " +
        "People and scripts take the same locks by hand, as leases.",
    ),
    ".PP",
    ...filled(
      "Durations are a number of seconds, or a number and a unit or the beginning of one: `250 ms`, `30 s`, `10 min`, `1h30m`, `2 hours`, `1 day`, `2 weeks`. " +
        "Options may stand before and after a command's arguments.",
    ),
    ".SH COMMANDS",
    ...COMMANDS.flatMap(command),
    ".SH OPTIONS",
    ...filled("Every command takes these."),
    ...[...GLOBAL_OPTIONS, ...PARSER_OPTIONS].flatMap(option),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT_CODES).flatMap(([code, meaning]) => item(code, meaning)),
    ".PP",
    ...filled(
      "`exec` ends with the command's own code (128 + the signal's number when it was killed; 127 when it could not be started), " +
        "and with 75 or 69 where it never ran.",
    ),
    ".SH ENVIRONMENT",
    ...filled(
      "Each setting of the configuration outside `actions`, `locks` and `dependencies` has a variable, which wins over the file:",
    ),
    ...SETTING_PATHS.flatMap((path) => {
      const { doc, default: value, defaultDoc } = SETTINGS[path];
      return item(variableOf(path), `${doc} (default: ${value ?? defaultDoc ?? ""})`);
    }),
    ".PP",
    ...filled("Besides these:"),
    ...Object.entries({ ...OTHER_VARIABLES, ...FOREIGN_VARIABLES }).flatMap(([name, doc]) => item(name, doc)),
    ".PP",
    ...filled("A guarded command is given `HOLDLINE_NODE` as well."),
    ".SH FILES",
    ...filled("The configuration is what `--config` or `HOLDLINE_CONFIG` names, or the first of these that is there:"),
    ...searchPath({ env: {}, cwd: "$PWD", homedir: "~", etc: "/etc" }).flatMap(({ path }) => [".br", literal(path)]),
    "",
  ].join("\n");
}

function command(row: CommandRow): string[] {
  const { name, summary, arguments: taken, options, examples } = row;
  return [
    `.SS ${escaped(name, true)}`,
    ...filled(`\`holdline ${usageOf(row)}\``),
    ".PP",
    ...filled(`${summary[0]?.toUpperCase() ?? ""}${summary.slice(1)}.`),
    ...[...taken, ...options].flatMap(option),
    ".PP",
    "Examples:",
    ".PP",
    ".nf",
    ...examples.map((example) => literal(`    ${example}`)),
    ".fi",
  ];
}

function option({ form, doc }: CommandArgument | CommandOption): string[] {
  return item(form.replace(/[<>[\]]/g, "").replace("...", "…"), doc);
}

/** A paragraph that hangs under what it explains. */
function item(tag: string, text: string): string[] {
  return [".TP", bold(tag), ...filled(text)];
}

// As long as mandoc likes a line of its input to be.
const LINE_LENGTH = 80;

/** Text whose lines the formatter breaks anew; what stands in backquotes is bold, and as it is typed. */
export function filled(text: string): string[] {
  const words = text.match(/(?:`[^`]*`|\S)+/g) ?? [];
  const lines: string[] = [];
  for (const word of words.map(spoken)) {
    const line = `${lines.at(-1) ?? ""} ${word}`;
    // A sentence begins a line, so that formatters know where one ends.
    if (lines.length > 0 && line.length <= LINE_LENGTH && !/[.!?]$/.test(lines.at(-1) ?? "")) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines.map(guarded);
}

function spoken(word: string): string {
  const parts = word.split(/`([^`]*)`/);
  return parts.map((part, index) => (index % 2 === 1 ? bold(part) : escaped(part, /^\W*-|[\\@/]/.test(part)))).join("");
}

/** A line as it is typed. */
function literal(text: string): string {
  return guarded(escaped(text, true));
}

function bold(text: string): string {
  return `\\fB${escaped(text, true)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${escaped(text, true)}\\fR`;
}

// What formatters take for something else: they turn a hyphen into one that no shell knows, and quotes into curved ones.
const AS_TYPED: Readonly<Record<string, string>> = { "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti" };

/** @param asTyped it may be copied to a command line: every character has to come out as itself */
function escaped(text: string, asTyped: boolean): string {
  return Array.from(text, (character) => {
    if (character === "\\") return "\\(rs";
    if (asTyped && AS_TYPED[character] !== undefined) return AS_TYPED[character];
    const code = character.codePointAt(0) ?? 0;
    return code < 0x7f ? character : `\\[u${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  }).join("");
}

/** A line that begins like a macro is none. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
