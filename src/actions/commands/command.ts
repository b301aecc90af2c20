// Runs a command and gives its end as a value. The command waits behind a latch until the journal knows its process group.
// It leads a group of its own, or shares this process's on a terminal.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Log } from "../../locks/log.js";
import { messageOf } from "../../locks/errors.js";
import { createClock } from "../../line/clock.js";
import { carriersOf, claimsAround, endCarriers } from "./carriers.js";
import { createLatch, type Latch } from "./latch.js";
import { NOTHING_HANDED_DOWN, type HandedDown } from "../../handed-down.js";
import { createEnding, type CommandEnding } from "./ending.js";
import { membersEnd, membersOfGroup, type Members } from "./group.js";
import { kinOf } from "./kin.js";
import type { CommandEnd, CommandSpec, Commands, Leader } from "../machine.js";
import { readOutput, type Output } from "./output.js";
import { identityOf, ownStat, readArguments } from "../../proc.js";
import { findProgram } from "./program.js";
import { hasTerminal, isTyped, watchStops } from "./terminal.js";
import { openWatchdog, type Watchdog } from "./watchdog.js";
import { workingDirectory } from "../../working-directory.js";

export interface CommandsOptions {
  /** Where `relay` sends what a command prints to its standard output; by default to this process's own. */
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  readonly log: Log;
  /** What commands get beside arguments and environment; by default nothing. */
  readonly handedDown?: HandedDown;
  /** Whether commands share this process's group and session, so that they have its terminal. By default they do where there is one. */
  readonly onTerminal?: boolean;
}

/** The standard streams. A check has no input, because it may run again and again. */
const STANDARD = {
  inherit: ["inherit", "inherit", "inherit"],
  relay: ["inherit", "pipe", "pipe"],
  keep: ["ignore", "pipe", "pipe"],
} as const satisfies Readonly<Record<CommandSpec["output"], readonly string[]>>;

type Control = Parameters<Commands["run"]>[1];

export function createCommands(options: CommandsOptions): Commands {
  return { run: (spec, control) => run(options, spec, control) };
}

const CALLED_OFF = "it was called off before it started";

const clock = createClock();

async function run(options: CommandsOptions, spec: CommandSpec, control: Control): Promise<CommandEnd> {
  if (isAborted(control.signal) || isAborted(control.calledOff)) return neverStarted(CALLED_OFF);
  const latched = await openLatched(options, spec);
  if ("startProblem" in latched) return latched;

  const ending = createEnding(options.log, spec, latched.members, control, latched.hasReceived);
  const stopsWatched =
    latched.leader.sharesGroup === true ? watchStops(latched.members, (message) => control.tell?.(message)) : () => undefined;
  // From the very first: a signal that comes while the latch is closed ends the latch.
  const unsubscribe = control.relayed?.subscribe(ending.relay);
  const claim = spec.env["HOLDLINE_CLAIM"] ?? null;
  let watchdog: Watchdog | null = null;
  try {
    if (spec.endsWith !== undefined) {
      const { endsWith } = spec;
      const watched = { leader: latched.leader, claim, heldUntil: () => endsWith.heldUntil() };
      watchdog = openWatchdog(watched, options.log, ending.killNow);
      if (watchdog === null) {
        await latched.shut();
        return { ...neverStarted("the process that watches over it could not be started"), lacksRoom: true };
      }
    }
    await control.onGroup(latched.leader);
    if (isAborted(control.signal) || isAborted(control.calledOff)) {
      await latched.shut();
      return neverStarted(CALLED_OFF);
    }
    const end = await supervise(spec, control.signal, latched, ending);
    const outheld = (await watchdog?.close()) === true;
    // Nothing that was started under a lost claim may go on, whatever group it is in.
    const isLost = outheld || (spec.endsWith !== undefined && isAborted(control.signal));
    if (claim !== null && isLost) await endCarriers(claim, [], 0);
    // A check only finds again what its action has started.
    if (claim !== null && spec.output !== "keep") noteDaemons(options.log, claim);
    return outheld ? { ...end, outheld } : end;
  } catch (error) {
    await latched.shut();
    throw error;
  } finally {
    unsubscribe?.();
    stopsWatched();
    void watchdog?.close();
  }
}

/** Tells the log of processes that have left the command's group, as every daemon does that an action restarts: they go on when the command has ended. */
function noteDaemons(log: Log, claim: string): void {
  const pids = carriersOf(claim);
  if (pids.length > 0) log.debug({ pids, claim }, "processes that the command has started go on in process groups of their own");
}

// The latch becomes the command within about a millisecond.
const LATCH_LOOK_MS = 2;

/** A command that waits behind its latch. */
interface Latched {
  readonly leader: Leader;
  readonly members: Members;
  /** Whether a signal to this process has reached the command by itself. */
  readonly hasReceived: (signal: NodeJS.Signals) => boolean;
  readonly output: Output | null;
  /** How the leader has ended. Resolves at once when it has: the pipes may still hold output then. */
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Lets the command begin. */
  open(): void;
  /** Ends the latch, so that the command never runs. Does nothing to one that has ended. */
  shut(): Promise<void>;
}

async function openLatched(options: CommandsOptions, spec: CommandSpec): Promise<Latched | CommandEnd> {
  const env = { ...process.env, ...claimsAround(), ...spec.env };
  const cwd = spec.cwd ?? workingDirectory();
  // The latch always starts, so a program that cannot start must be found out before.
  const program = findProgram(spec.argv[0], cwd, env["PATH"]);
  if ("problem" in program) return neverStarted(program.problem);
  const handedDown = options.handedDown ?? NOTHING_HANDED_DOWN;
  const ownGroup = (options.onTerminal ?? hasTerminal()) ? ownStat()?.group : undefined;
  const isKin = ownGroup !== undefined;
  const latch = createLatch({ isOnTerminal: isKin, argv: spec.argv, program: program.path, cwd, env, handedDown });
  noteLost(options.log, latch);

  // Node's own `spawn`, not execa: this module looks after the streams, the end and the group itself, and execa takes longer
  // to load than most commands take to run.
  let child: ChildProcess;
  try {
    child = spawn(latch.file, latch.args, {
      argv0: "sh",
      ...(cwd === null ? {} : { cwd }),
      env: latch.env,
      detached: !isKin,
      stdio: [...STANDARD[spec.output], ...latch.descriptors],
    });
  } catch (error) {
    return refused(error);
  }
  const { pid } = child;
  if (pid === undefined) {
    const [error] = (await once(child, "error")) as [Error];
    return refused(error);
  }

  // No `await` from here on until every listener is in place.
  const exited = new Promise<Awaited<Latched["exited"]>>((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const relayed = spec.output === "relay";
  const { stdout, stderr } = child;
  const output =
    stdout === null || stderr === null
      ? null
      : readOutput([
          { source: stdout, sink: relayed ? (options.stdout ?? process.stdout) : null },
          { source: stderr, sink: relayed ? (options.stderr ?? process.stderr) : null },
        ]);
  // Node makes a pipe of this kind work both ways; its types know only of reading.
  const pipe = child.stdio[latch.waitsOn] as unknown as Writable;
  // Writing to a latch that was killed fails, which does not matter: `exited` tells of it.
  pipe.on("error", () => undefined);
  const leader: Leader = { ...identityOf(pid), ...(isKin ? { sharesGroup: true } : {}) };
  const members = isKin
    ? kinOf(leader, ownGroup, spec.env["HOLDLINE_CLAIM"] ?? null, ownGroup === process.pid)
    : membersOfGroup(leader);
  const isGate = (): boolean => readArguments(pid)?.[2] === latch.args[1];
  // The latch ignores a key that is pressed while it opens, so the command gets the signal once it has begun.
  const repeat = (signal: NodeJS.Signals): void => {
    if (isGate()) setTimeout(() => repeat(signal), LATCH_LOOK_MS);
    else if (!over) members.signal(signal);
  };
  let over = false;
  void exited.then(() => (over = true));
  return {
    leader,
    members,
    hasReceived(signal) {
      if (!isKin || !isTyped(signal)) return false;
      if (isGate()) repeat(signal);
      return true;
    },
    output,
    exited,
    open: () => void pipe.end("\n"),
    async shut() {
      pipe.destroy();
      // A latch whose pipe closes ends by itself, but not while it is stopped. It has run nothing, so nothing needs cleaning up.
      if (!over) members.signal("SIGKILL");
      await exited;
      await output?.finish();
    },
  };
}

// When the leader ends, its output may still be on its way through the rest of a pipe (`> >(tee log)`).
const GROUP_PATIENCE_MS = 100;

async function supervise(
  spec: CommandSpec,
  signal: AbortSignal | undefined,
  latched: Latched,
  ending: CommandEnding,
): Promise<CommandEnd> {
  const over = new AbortController();
  let timedOut = false;
  signal?.addEventListener("abort", ending.endInGrace, { once: true, signal: over.signal });

  latched.open();
  const begunAt = clock.now();
  if (spec.timeoutMs !== null) {
    const onTimeout = () => {
      timedOut = true;
      ending.end();
    };
    // The sleep rejects when the command ends first.
    clock.sleep(spec.timeoutMs, over.signal).then(onTimeout, () => undefined);
  }
  const { exitCode, signal: killedBy } = await latched.exited;
  const ranMs = clock.now() - begunAt;
  // The rest of the group may outlive the leader, and must not work on when this has returned: then nobody holds the claim.
  if (ending.hasBegun() || !(await membersEnd(latched.members, GROUP_PATIENCE_MS))) ending.end();
  await ending.done();
  over.abort();
  await latched.output?.finish();
  return { exitCode, signal: killedBy, timedOut, startProblem: null, tail: latched.output?.tail() ?? "", ranMs };
}

function neverStarted(startProblem: string): CommandEnd {
  return { exitCode: null, signal: null, timedOut: false, startProblem, tail: "", ranMs: 0 };
}

const ARGUMENTS_ARE_WRONG = ["E2BIG", "EINVAL", "ERR_INVALID_ARG_VALUE"];

/** The system did not start the latch: it lacks processes, descriptors or memory, unless the arguments are at fault. */
function refused(error: unknown): CommandEnd {
  const end = neverStarted(`it could not be started: ${messageOf(error)}`);
  // Such as an argument with a zero byte, or one of a megabyte.
  return ARGUMENTS_ARE_WRONG.includes((error as NodeJS.ErrnoException).code ?? "") ? end : { ...end, lacksRoom: true };
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What has been told already: a check runs again and again, and its warning should not. */
const told = new Set<string>();

function noteLost(log: Log, { lostNames, lostDescriptors }: Latch): void {
  const names = lostNames.filter((name) => !told.has(name));
  for (const name of names) told.add(name);
  if (names.length > 0)
    log.warn(
      { names },
      "these variables may not reach the command: this system's env(1) has no -S, and their names are not letters, digits and _",
    );
  if (lostDescriptors.length > 0 && !told.has("descriptors")) {
    told.add("descriptors");
    log.warn(
      { descriptors: lostDescriptors },
      "this descriptor does not reach the command: 3 to 9 are all in use, and there is no bash",
    );
  }
}
