// Runs a command line, from argv to an exit code: options, help, usage errors, and how errors are reported. Ends no process.
import { Command as Parser, CommanderError } from "commander";
import { redactUrlsIn } from "../config/secrets.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { shortened } from "../locks/text.js";
import { VERSION } from "../version.js";
import { COMMANDS, GLOBAL_OPTIONS, PARSER_OPTIONS } from "./command-table.js";
import { usageOf } from "./command.js";
import type { CommandOption, CommandRow, Invocation } from "./command.js";
import type { GlobalFlags, WithContext } from "./context.js";
import { exitCodeOfError } from "./exit-codes.js";
import type { Io } from "./io.js";
import { isReaderGone, paintFor } from "./io.js";
import { outputLost } from "./output.js";
import { sanitize } from "./render.js";
import type { StopRequests } from "../actions/stop.js";

export interface ProgramOptions {
  /** The words after the program's name. */
  readonly argv: readonly string[];
  readonly io: Io;
  readonly stop: StopRequests;
  readonly withContext: WithContext;
}

/** Runs a command line and returns the exit code. Reports errors on the streams and throws none. */
export async function runProgram(options: ProgramOptions): Promise<number> {
  const code = await runCommand(options);
  const failure = await options.io.stdout.flushed();
  // A reader may leave when it has seen enough. A failed command's own code matters more.
  if (code !== 0 || failure === null || isReaderGone(failure)) return code;
  const error = outputLost(failure);
  tellError(error, options.io, { json: false, verbose: false });
  return exitCodeOfError(error);
}

async function runCommand(options: ProgramOptions): Promise<number> {
  const { argv, io, stop } = options;
  const divider = argv.indexOf("--");
  // The parser must not see the guarded command: its options are not ours.
  const head = divider < 0 ? argv : argv.slice(0, divider);
  const rest = divider < 0 ? null : argv.slice(divider + 1);
  try {
    const parsed = parse(head, rest, io);
    if (parsed === "told") return 0;
    const { row, flags, invocation } = parsed;
    const command = await row.load();
    const alone = (await command.runAlone?.(io, invocation, stop)) ?? null;
    if (alone !== null) return alone;
    const makesStore = row.makesStore === true && invocation.options["dryRun"] !== true;
    const request = { flags, io, stop, command: row.name, makesStore };
    return await options.withContext(request, (context) => command.run(context, invocation));
  } catch (error) {
    tellError(error, io, {
      json: head.includes("--json"),
      verbose: head.includes("--verbose") || head.some((word) => /^-[a-z]*v/.test(word)),
    });
    return exitCodeOfError(error);
  }
}

/** Reports an error: in words on standard error and, with --json, as JSON on standard output. */
export function tellError(error: unknown, io: Io, { json, verbose }: { readonly json: boolean; readonly verbose: boolean }): void {
  const paint = paintFor(io, "stderr");
  const isOurs = error instanceof HoldlineError && error.code !== "bug";
  const code = error instanceof HoldlineError ? error.code : "bug";
  // Any message may quote a coordinator's URL: somebody may have typed one in the wrong place.
  const message = redactUrlsIn(isOurs ? messageOf(error) : `bug in holdline: ${messageOf(error)}`);
  const hint = error instanceof HoldlineError ? error.hint : null;
  if (json) io.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
  for (const line of message.split("\n")) io.stderr.write(`${paint("red", `holdline: ${sanitize(line)}`)}\n`);
  if (hint !== null) for (const line of hint.split("\n")) io.stderr.write(`  ${sanitize(line)}\n`);
  if (!verbose) {
    if (!isOurs) io.stderr.write("  --verbose shows more for a bug report\n");
    return;
  }
  const told = isOurs ? causesOf(error).map((cause) => `because: ${messageOf(cause)}`) : [error, ...causesOf(error)].map(stackOf);
  for (const line of told.join("\n").split("\n")) if (line !== "") io.stderr.write(`  ${sanitize(line)}\n`);
}

function causesOf(error: unknown): unknown[] {
  return error instanceof Error && error.cause !== undefined ? [error.cause, ...causesOf(error.cause)] : [];
}

function stackOf(error: unknown): string {
  return (error instanceof Error ? error.stack : undefined) ?? messageOf(error);
}

interface Parsed {
  readonly row: CommandRow;
  readonly flags: GlobalFlags;
  readonly invocation: Invocation;
}

const [VERSION_OPTION] = PARSER_OPTIONS;

/** Parses the words before "--"; `told` if the parser printed help or the version. @throws HoldlineError `usage` */
function parse(head: readonly string[], rest: readonly string[] | null, io: Io): Parsed | "told" {
  let parsed: Parsed | null = null;
  const program = configure(new Parser("holdline"), io)
    .description("Runs guarded actions one node at a time under a distributed lock.")
    .usage("[options] COMMAND")
    .version(VERSION, VERSION_OPTION.form, VERSION_OPTION.doc)
    .helpCommand("help [COMMAND]", "help for a command")
    .configureHelp({ showGlobalOptions: true });
  addOptions(program, GLOBAL_OPTIONS);
  // A line that begins with a command's name needs no other command in the parser.
  const named = COMMANDS.find(({ name }) => name === head[0]);
  for (const row of named === undefined ? COMMANDS : [named]) {
    const sub = configure(program.command(row.name), io)
      .summary(row.summary)
      .description(`${row.summary[0]?.toUpperCase()}${row.summary.slice(1)}.`)
      .usage(usageOf(row).slice(row.name.length + 1))
      .addHelpText("after", `\nExamples:\n${row.examples.map((example) => `  ${example}`).join("\n")}`);
    // People often forget the "--"; checked() has a better message for that.
    sub.allowExcessArguments(row.rest !== undefined);
    for (const { form, doc } of row.arguments) sub.argument(form, doc);
    addOptions(sub, row.options);
    sub.action(() => {
      parsed = { row, flags: flagsOf(program.opts()), invocation: { args: sub.args, rest, options: sub.opts() } };
    });
  }
  try {
    program.parse(head, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return "told";
    throw usageError(error, head);
  }
  if (parsed === null) throw new HoldlineError("usage", "no command was given", { hint: "holdline --help lists them" });
  return checked(parsed);
}

function checked(parsed: Parsed): Parsed {
  const { row, flags, invocation } = parsed;
  if (flags.quiet && flags.verbose) throw new HoldlineError("usage", "--quiet and --verbose exclude each other");
  if (row.rest === undefined) {
    // After "--" every word is an argument, as in other programs.
    const args = [...invocation.args, ...(invocation.rest ?? [])];
    const isMany = row.arguments.some(({ form }) => form.includes("..."));
    if (!isMany && args.length > row.arguments.length) {
      throw new HoldlineError("usage", `too many arguments for ${row.name}`, { hint: `usage: holdline ${usageOf(row)}` });
    }
    return { ...parsed, invocation: { ...invocation, args, rest: null } };
  }
  if (invocation.args.length > row.arguments.length || invocation.rest === null || invocation.rest.length === 0) {
    throw new HoldlineError("usage", `the command to run is missing: it follows "--"`, {
      hint: `usage: holdline ${usageOf(row)}`,
    });
  }
  return parsed;
}

function configure(parser: Parser, io: Io): Parser {
  return parser
    .exitOverride()
    .showSuggestionAfterError(true)
    .allowExcessArguments(false)
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // The parser's errors come back as exceptions, and get our own words.
      writeErr: () => undefined,
      getOutHelpWidth: () => (io.stdout.isTerminal ? io.stdout.columns : 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function addOptions(parser: Parser, options: readonly CommandOption[]): void {
  for (const { form, doc, required, repeatable } of options) {
    if (repeatable === true) parser.option(form, doc, collect);
    else if (required === true) parser.requiredOption(form, doc);
    else parser.option(form, doc);
  }
}

function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

function flagsOf(options: Readonly<Record<string, unknown>>): GlobalFlags {
  const text = (name: string) => (typeof options[name] === "string" ? options[name] : null);
  return {
    config: text("config"),
    coordinator: text("coordinator"),
    json: options["json"] === true,
    quiet: options["quiet"] === true,
    verbose: options["verbose"] === true,
  };
}

// The parser quotes its input, however long.
const LONGEST_SAID = 200;

/** The parser's error in our form: one line, with a suggestion as the hint. */
function usageError(error: CommanderError, head: readonly string[]): HoldlineError {
  if (error.code === "commander.help")
    return new HoldlineError("usage", "no command was given", { hint: "holdline --help lists them" });
  const words = error.message.replace(/^error: /, "");
  // The parser appends its suggestion to the quoted input, which may have several lines.
  const meant = /\n\((Did you mean [^\n]*)\)$/.exec(words);
  const said = sanitize(meant === null ? words : words.slice(0, meant.index));
  const command = COMMANDS.find(({ name }) => head.includes(name));
  const help = command === undefined ? "holdline --help lists the commands" : `usage: holdline ${usageOf(command)}`;
  const elsewhere = error.code === "commander.unknownCommand" ? head.map((word) => ELSEWHERE.get(word)).find(Boolean) : undefined;
  const hint = elsewhere === undefined ? (meant?.[1] ?? help) : `Did you mean ${elsewhere}?`;
  return new HoldlineError("usage", shortened(said, LONGEST_SAID), { hint });
}

// What other tools call our commands.
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["list", "locks"],
  ["ls", "locks"],
  ["ps", "locks"],
  ["show", "locks"],
  ["queue", "locks"],
  ["log", "history"],
  ["audit", "history"],
  ["force-unlock", "clear"],
  ["validate", "check"],
]);
