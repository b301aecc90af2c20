// Makes the man page, in man(7) macros, of the tables of commands, settings and exit codes.
import { OTHER_VARIABLES, SETTING_PATHS, SETTINGS, variableOf } from "../config/schema.js";
import { searchPath } from "../config/surroundings.js";
import { VERSION } from "../version.js";
import { COMMANDS, GLOBAL_OPTIONS, PARSER_OPTIONS } from "./command-table.js";
import { usageOf } from "./command.js";
import type { CommandArgument, CommandOption, CommandRow } from "./command.js";
import { EXIT_CODES } from "./exit-codes.js";

// Variables of other programs that Holdline heeds too.
const FOREIGN_VARIABLES = {
  XDG_CONFIG_HOME: "where a user's configuration is looked for, instead of ~/.config",
  XDG_STATE_HOME: "where a user's journal is kept, instead of ~/.local/state",
  NO_COLOR: "if not empty: no colours on a terminal",
};

/** @param date the date for the page's footer, such as 2026-01-31 */
export function manPage(date: string): string {
  return [
    '.\\" Made by scripts/build.mjs from the table of commands: changes here are lost.',
    `.TH HOLDLINE 1 "${date}" "holdline ${VERSION}" "User Commands"`,
    // Keeps command lines from being hyphenated or stretched.
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
      "A duration is a number of seconds, or a number and a unit or its beginning: `250 ms`, `30 s`, `10 min`, `1h30m`, `2 hours`, `1 day`, `2 weeks`. " +
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
      "`exec` ends with the command's own code (128 + the signal's number if it was killed; 127 if it could not be started), " +
        "and with 75 or 69 if the command never ran.",
    ),
    ".SH ENVIRONMENT",
    ...filled(
      "These variables win over the configuration file. The file's maps (`actions`, `locks`, `dependencies`, `access`, `groups`) have none.",
    ),
    ...SETTING_PATHS.flatMap((path) => {
      const { doc, default: value, defaultDoc } = SETTINGS[path];
      return item(variableOf(path), `${doc} (default: ${value ?? defaultDoc ?? ""})`);
    }),
    ".PP",
    ...filled("Besides these:"),
    ...Object.entries({ ...OTHER_VARIABLES, ...FOREIGN_VARIABLES }).flatMap(([name, doc]) => item(name, doc)),
    ".PP",
    ...filled("A guarded command also gets `HOLDLINE_NODE`."),
    ".SH FILES",
    ...filled("The configuration is the file that `--config` or `HOLDLINE_CONFIG` names, or the first of these that exists:"),
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

/** A paragraph indented under the tag that it explains. */
function item(tag: string, text: string): string[] {
  return [".TP", bold(tag), ...filled(text)];
}

// mandoc warns of longer input lines.
const LINE_LENGTH = 80;

/** Text that the formatter may break into lines; text in backquotes becomes bold, and literal. */
export function filled(text: string): string[] {
  const words = text.match(/(?:`[^`]*`|\S)+/g) ?? [];
  const lines: string[] = [];
  for (const word of words.map(spoken)) {
    const line = `${lines.at(-1) ?? ""} ${word}`;
    // Each sentence begins a line, so that formatters see where it ends.
    if (lines.length > 0 && line.length <= LINE_LENGTH && !/[.!?]$/.test(lines.at(-1) ?? "")) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines.map(guarded);
}

function spoken(word: string): string {
  const parts = word.split(/`([^`]*)`/);
  return parts.map((part, index) => (index % 2 === 1 ? bold(part) : escaped(part, /^\W*-|[\\@/]/.test(part)))).join("");
}

/** A line that comes out literally. */
function literal(text: string): string {
  return guarded(escaped(text, true));
}

function bold(text: string): string {
  return `\\fB${escaped(text, true)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${escaped(text, true)}\\fR`;
}

// Formatters change these: a hyphen becomes one that no shell knows, and quotes become curved.
const AS_TYPED: Readonly<Record<string, string>> = { "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti" };

/** @param asTyped whether people may copy the text to a command line, so that every character must come out as itself */
function escaped(text: string, asTyped: boolean): string {
  return Array.from(text, (character) => {
    if (character === "\\") return "\\(rs";
    if (asTyped && AS_TYPED[character] !== undefined) return AS_TYPED[character];
    const code = character.codePointAt(0) ?? 0;
    return code < 0x7f ? character : `\\[u${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  }).join("");
}

/** Protects a line that begins like a macro. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
