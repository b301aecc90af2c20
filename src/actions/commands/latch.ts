// The latch in front of a command: a shell that waits for a line on a descriptor and then becomes the command. The command
// gets the world that this process got from its caller: the latch puts back what node has changed (a limit, descriptors,
// signals) and what a shell would change (variables). Starts nothing itself.
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { HandedDown } from "../../handed-down.js";
import { rawEnvironment, type RawText, rawTextOf } from "./raw-text.js";
import { workingDirectory } from "../../working-directory.js";

export interface LatchRequest {
  /** The command as its caller names it. */
  readonly argv: readonly string[];
  /** Where its program is. */
  readonly program: string;
  /** `null`: this process's own directory, which is gone. */
  readonly cwd: string | null;
  /** The whole environment that the command is to see. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly handedDown: HandedDown;
  /** Whether the latch is in a group that a terminal talks to. Then it ignores keys, which are meant for the command. */
  readonly isOnTerminal?: boolean;
  /** By default the system's. */
  readonly shell?: string;
}

/** How to start a latch. */
export interface Latch {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The descriptor on which it waits for a line. */
  readonly waitsOn: number;
  /** What stands at each descriptor from 3 on, as `spawn` takes it. */
  readonly descriptors: readonly ("pipe" | "ignore" | number)[];
  /** Variables that may not reach the command. */
  readonly lostNames: readonly string[];
  readonly lostDescriptors: readonly number[];
}

/** The latch's own variables. No command sees them. */
const PREFIX = "HOLDLINE_LATCH";
const OWN = /^HOLDLINE_LATCH(_[0-9]+)?$/;
// The shell's name in a message such as "holdline: 1: exec: /opt/x: not found".
const NAME = "holdline";
const SYSTEM_SHELL = "/bin/sh";
const ENV = "/usr/bin/env";

const KEYS = "INT QUIT TSTP";

// These name a process. Where they name this one, the caller means the program that it has started.
const PID_VARIABLES = ["LISTEN_PID", "WATCHDOG_PID"];
/** Proves the process of LISTEN_PID in a way that no shell can write anew. */
const PID_PROOF = "LISTEN_PIDFDID";

export function createLatch({
  argv,
  program,
  cwd,
  env,
  handedDown,
  isOnTerminal = false,
  shell = SYSTEM_SHELL,
}: LatchRequest): Latch {
  const { waitsOn, lost: lostDescriptors } = placeOf(handedDown.descriptors);
  const file = waitsOn > LAST_DIGIT ? MANY_DIGITS : shell;
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && !OWN.test(entry[0]));
  const ofPid = given
    .filter(([name, value]) => PID_VARIABLES.includes(name) && value === String(process.pid))
    .map(([name]) => name);
  const variables = given.filter(([name]) => ofPid.length === 0 || name !== PID_PROOF);
  // `exec` takes a leading dash for an option, and without PATH each shell looks elsewhere: then the full path is named.
  const [name = program, ...rest] = argv;
  const words = [name.startsWith("-") || env["PATH"] === undefined ? program : name, ...rest];

  const before = [
    ...(isOnTerminal ? [`trap '' ${KEYS}`] : []),
    // If the agent dies, even by SIGKILL, its end of the pipe closes: there is no line, and the command never starts.
    `read -r ${PREFIX} <&${waitsOn} || exit 125`,
    `exec ${waitsOn}<&-`,
  ];
  const last = [
    ...(isOnTerminal ? [`trap - ${KEYS}`] : []),
    ...(handedDown.ignored.length === 0 ? [] : [`trap '' ${handedDown.ignored.join(" ")}`]),
    ...(handedDown.openFiles === null ? [] : [`ulimit -S -n ${handedDown.openFiles}`]),
  ];
  const raw = [...rawArguments(words), ...rawEnvironment(variables)];
  const isKept = raw.length === 0 && passesUnaltered(variables, cwd, file);
  const isHandedOver = !isKept && knowsSplitting() && !words[0]?.includes("=");
  const how = isHandedOver ? handOver(words, variables, ofPid, cwd) : passOn(words, variables, ofPid);
  const script = [...before, ...how.script, ...last, how.become].join("\n");
  return {
    file,
    // The shell interprets nothing in its arguments, so the command stands there.
    args: ["-c", script, NAME, ...how.args],
    env: how.env,
    waitsOn,
    descriptors: descriptorsOf(handedDown.descriptors, waitsOn, lostDescriptors),
    lostNames: isHandedOver ? [] : variables.map(([each]) => each).filter((each) => !isShellName(each)),
    lostDescriptors,
  };
}

interface Passage {
  readonly script: readonly string[];
  /** The last line: what the shell becomes. `exec` keeps the pid and the start time. */
  readonly become: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

type Variables = readonly (readonly [name: string, value: string])[];

/** The shell has the environment itself and passes it on. */
function passOn(words: readonly string[], variables: Variables, ofPid: readonly string[]): Passage {
  return { script: ofPid.map((name) => `${name}=$$`), become: 'exec "$@"', args: words, env: Object.fromEntries(variables) };
}

/**
 * Hands each variable over as the value of another one that every shell leaves alone; env(1) makes the environment of those
 * and of nothing else. env(1) reads the values itself, so that none of them stands in a process list.
 */
function handOver(words: readonly string[], variables: Variables, ofPid: readonly string[], cwd: string | null): Passage {
  // Without PWD the shell complains of a folder that is gone.
  const env: Record<string, string> = cwd === null ? { PWD: "/proc/self/cwd" } : {};
  const script: string[] = [];
  let count = 0;
  const refer = ({ text, escaped }: RawText): string => {
    const name = `${PREFIX}_${count}`;
    count += 1;
    env[name] = escaped ?? text;
    // The dot keeps the line ends that a substitution strips.
    if (escaped !== null) script.push(`${name}=$(printf '%b.' "$${name}")`, `${name}=\${${name}%.}`);
    return `"\${${name}}"`;
  };
  const entries = variables.map(([name, value]) => {
    if (ofPid.includes(name)) script.push(`${PREFIX}_${count}=${name}=$$`);
    return refer(rawTextOf("environ", `${name}=${value}`));
  });
  const isRaw = rawArguments(words).length > 0;
  const split = ["-i", "--", ...entries, ...(isRaw ? words.map((word) => refer(rawTextOf("cmdline", word))) : [])].join(" ");
  // carriers.ts finds what runs under a claim by these.
  for (const [name, value] of variables) if (KEPT.includes(name)) env[name] = value;
  return { script, become: `exec ${ENV} -S "$@"`, args: [split, ...(isRaw ? [] : words)], env };
}

const KEPT = ["HOLDLINE_CLAIM", "HOLDLINE_WITHIN"];

function rawArguments(words: readonly string[]): RawText[] {
  return words.map((word) => rawTextOf("cmdline", word)).filter(({ escaped }) => escaped !== null);
}

function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

// Known to leave all variables but a few alone. Other shells do not: bash alters a dozen.
const CAREFUL_SHELL = "dash";
/** The variables that dash sets to values of its own. */
const DASH_SETS = ["IFS", "OPTIND", "PPID"];

function passesUnaltered(variables: Variables, cwd: string | null, shell: string): boolean {
  if (shellBehind(shell) !== CAREFUL_SHELL) return false;
  const pwd = variables.find(([name]) => name === "PWD")?.[1];
  return (
    pwd !== undefined &&
    cwd !== null &&
    isSameFolder(pwd, cwd) &&
    variables.every(([name]) => isShellName(name) && !DASH_SETS.includes(name))
  );
}

const behind = new Map<string, string>();

/** The name of the program that a path leads to: `dash` for /bin/sh on Debian. */
function shellBehind(path: string): string {
  const known = behind.get(path) ?? basename(realPathOf(path));
  behind.set(path, known);
  return known;
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Dash replaces a PWD that is relative or leads elsewhere by its own idea of the folder. */
function isSameFolder(pwd: string, cwd: string): boolean {
  if (!pwd.startsWith("/")) return false;
  if (pwd === cwd && pwd === workingDirectory()) return true;
  try {
    const [one, other] = [statSync(pwd), statSync(cwd)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false;
  }
}

/** Whether env(1) takes `-S`. On small systems, where one program has many names, it does not. */
function knowsSplitting(): boolean {
  return !["busybox", "toybox"].includes(shellBehind(ENV)) && mayExecute(ENV);
}

function mayExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// A redirection of a plain shell names one digit; bash takes more.
const LAST_DIGIT = 9;
const MANY_DIGITS = "/bin/bash";

/** The first descriptor that is free. */
function placeOf(taken: readonly number[]): { readonly waitsOn: number; readonly lost: readonly number[] } {
  let waitsOn = 3;
  while (taken.includes(waitsOn)) waitsOn += 1;
  if (waitsOn <= LAST_DIGIT || mayExecute(MANY_DIGITS)) return { waitsOn, lost: [] };
  return { waitsOn: LAST_DIGIT, lost: [LAST_DIGIT] };
}

function descriptorsOf(handed: readonly number[], waitsOn: number, lost: readonly number[]): Latch["descriptors"] {
  const places: ("pipe" | "ignore" | number)[] = Array.from({ length: Math.max(waitsOn, ...handed) - 2 }, () => "ignore");
  for (const number of handed) if (!lost.includes(number)) places[number - 3] = number;
  places[waitsOn - 3] = "pipe";
  return places;
}
