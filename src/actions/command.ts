// Runs commands, each as the leader of a process group of its own or, on a terminal, in this process's own, behind a gate: a command does nothing at all before
// its group is known to whoever must be able to end it. However it ends, the end is a value.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Log } from "../locks/coordinator.js";
import { messageOf } from "../locks/errors.js";
import { createClock } from "../line/clock.js";
import { carriersOf, claimsAround, endCarriers } from "./carriers.js";
import { createGate, type Gate } from "./gate.js";
import { NOTHING_HANDED_DOWN, type HandedDown } from "../handed-down.js";
import { createEnding, type CommandEnding } from "./ending.js";
import { membersEnd, membersOfGroup, type Members } from "./group.js";
import { kinOf } from "./kin.js";
import type { CommandEnd, CommandSpec, Commands, Leader } from "./machine.js";
import { readOutput, type Output } from "./output.js";
import { identityOf, ownStat, readArguments } from "../proc.js";
import { findProgram } from "./program.js";
import { hasTerminal, isTyped, watchStops } from "./terminal.js";
import { openWatchdog, type Watchdog } from "./watchdog.js";
import { workingDirectory } from "../working-directory.js";

export interface CommandsOptions {
  /** Where `relay` sends what a command prints to its standard output; by default to this process's own. */
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  readonly log: Log;
  /** What commands are handed down beside arguments and environment; by default nothing. */
  readonly handedDown?: HandedDown;
  /** Do commands share this process's group and session, so that they have its terminal? By default where there is one. */
  readonly onTerminal?: boolean;
}

/** The standard streams. A command that is only looked at, as a check is, has no input: it may run again and again. */
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
  const gated = await openGated(options, spec);
  if ("startProblem" in gated) return gated;

  const ending = createEnding(options.log, spec, gated.members, control, gated.hasReceived);
  const stopsWatched =
    gated.leader.sharesGroup === true ? watchStops(gated.members, (message) => control.tell?.(message)) : () => undefined;
  // From the very first, so that a signal which comes while the gate is closed ends the gate.
  const unsubscribe = control.relayed?.subscribe(ending.relay);
  const claim = spec.env["HOLDLINE_CLAIM"] ?? null;
  let watchdog: Watchdog | null = null;
  try {
    if (spec.endsWith !== undefined) {
      const { endsWith } = spec;
      const watched = { leader: gated.leader, claim, heldUntil: () => endsWith.heldUntil() };
      watchdog = openWatchdog(watched, options.log, ending.killNow);
      if (watchdog === null) {
        await gated.shut();
        return { ...neverStarted("the process that watches over it could not be started"), lacksRoom: true };
      }
    }
    await control.onGroup(gated.leader);
    if (isAborted(control.signal) || isAborted(control.calledOff)) {
      await gated.shut();
      return neverStarted(CALLED_OFF);
    }
    const end = await supervise(spec, control.signal, gated, ending);
    const outheld = (await watchdog?.close()) === true;
    // With the claim, all that was started under it has lost its right, in whatever group it is.
    const isLost = outheld || (spec.endsWith !== undefined && isAborted(control.signal));
    if (claim !== null && isLost) await endCarriers(claim, [], 0);
    if (claim !== null) noteDaemons(options.log, claim);
    return outheld ? { ...end, outheld } : end;
  } catch (error) {
    await gated.shut();
    throw error;
  } finally {
    unsubscribe?.();
    stopsWatched();
    void watchdog?.close();
  }
}

/** What has left the command's group goes on when the command has ended, as a daemon does; that is said. */
function noteDaemons(log: Log, claim: string): void {
  const pids = carriersOf(claim);
  if (pids.length > 0) log.info({ pids, claim }, "processes that the command has started go on in process groups of their own");
}

// The gate becomes the command within about a millisecond.
const GATE_LOOK_MS = 2;

/** A command that waits behind its gate. */
interface Gated {
  readonly leader: Leader;
  readonly members: Members;
  /** Has a signal that this process was sent reached the command by itself? */
  readonly hasReceived: (signal: NodeJS.Signals) => boolean;
  readonly output: Output | null;
  /** How the leader has ended, at once when it has: what is in the pipes is still to be read then. */
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Lets the command begin. */
  open(): void;
  /** Ends the gate, so that the command never runs. Does nothing to one that has ended. */
  shut(): Promise<void>;
}

async function openGated(options: CommandsOptions, spec: CommandSpec): Promise<Gated | CommandEnd> {
  const env = { ...process.env, ...claimsAround(), ...spec.env };
  const cwd = spec.cwd ?? workingDirectory();
  // The gate always starts, so that a program which cannot has to be found out before.
  const program = findProgram(spec.argv[0], cwd, env["PATH"]);
  if ("problem" in program) return neverStarted(program.problem);
  const handedDown = options.handedDown ?? NOTHING_HANDED_DOWN;
  const ownGroup = (options.onTerminal ?? hasTerminal()) ? ownStat()?.group : undefined;
  const isKin = ownGroup !== undefined;
  const gate = createGate({ isOnTerminal: isKin, argv: spec.argv, program: program.path, cwd, env, handedDown });
  noteLost(options.log, gate);

  // Node's own `spawn`: the streams, the end and the group are all looked after here, so that execa, which takes longer to
  // load than most commands to run, would have nothing to do.
  let child: ChildProcess;
  try {
    child = spawn(gate.file, gate.args, {
      argv0: "sh",
      ...(cwd === null ? {} : { cwd }),
      env: gate.env,
      detached: !isKin,
      stdio: [...STANDARD[spec.output], ...gate.descriptors],
    });
  } catch (error) {
    return refused(error);
  }
  const { pid } = child;
  if (pid === undefined) {
    const [error] = (await once(child, "error")) as [Error];
    return refused(error);
  }

  // Nothing may be awaited from here on before all is listened to.
  const exited = new Promise<Awaited<Gated["exited"]>>((resolve) => {
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
  const pipe = child.stdio[gate.waitsOn] as unknown as Writable;
  // A gate that was killed takes no line any more: `exited` tells.
  pipe.on("error", () => undefined);
  const leader: Leader = { ...identityOf(pid), ...(isKin ? { sharesGroup: true } : {}) };
  const members = isKin
    ? kinOf(leader, ownGroup, spec.env["HOLDLINE_CLAIM"] ?? null, ownGroup === process.pid)
    : membersOfGroup(leader);
  const isGate = (): boolean => readArguments(pid)?.[2] === gate.args[1];
  // A key that is pressed while the gate opens goes to the gate, which takes no notice of it.
  const repeat = (signal: NodeJS.Signals): void => {
    if (isGate()) setTimeout(() => repeat(signal), GATE_LOOK_MS);
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
      // It would end by itself now, were it not stopped; what has run nothing has nothing to clean up.
      if (!over) members.signal("SIGKILL");
      await exited;
      await output?.finish();
    },
  };
}

// What a command has printed may still be on its way through the rest of a pipe (`> >(tee log)`) when its leader ends.
const GROUP_PATIENCE_MS = 100;

async function supervise(
  spec: CommandSpec,
  signal: AbortSignal | undefined,
  gated: Gated,
  ending: CommandEnding,
): Promise<CommandEnd> {
  const over = new AbortController();
  let timedOut = false;
  signal?.addEventListener("abort", ending.endInGrace, { once: true, signal: over.signal });

  gated.open();
  const begunAt = clock.now();
  if (spec.timeoutMs !== null) {
    const onTimeout = () => {
      timedOut = true;
      ending.end();
    };
    // It rejects when the command has ended first.
    clock.sleep(spec.timeoutMs, over.signal).then(onTimeout, () => undefined);
  }
  const { exitCode, signal: killedBy } = await gated.exited;
  const ranMs = clock.now() - begunAt;
  // The leader may be gone before the rest of its group, which works on under nobody's claim once this has returned.
  if (ending.hasBegun() || !(await membersEnd(gated.members, GROUP_PATIENCE_MS))) ending.end();
  await ending.done();
  over.abort();
  await gated.output?.finish();
  return { exitCode, signal: killedBy, timedOut, startProblem: null, tail: gated.output?.tail() ?? "", ranMs };
}

function neverStarted(startProblem: string): CommandEnd {
  return { exitCode: null, signal: null, timedOut: false, startProblem, tail: "", ranMs: 0 };
}

const ARGUMENTS_ARE_WRONG = ["E2BIG", "EINVAL", "ERR_INVALID_ARG_VALUE"];

/** The system did not start the gate: for want of processes, descriptors or memory, unless the arguments are at fault. */
function refused(error: unknown): CommandEnd {
  const end = neverStarted(`it could not be started: ${messageOf(error)}`);
  // Such as a zero byte in an argument, or a megabyte of it.
  return ARGUMENTS_ARE_WRONG.includes((error as NodeJS.ErrnoException).code ?? "") ? end : { ...end, lacksRoom: true };
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What each is said once: a check is run again and again. */
const told = new Set<string>();

function noteLost(log: Log, { lostNames, lostDescriptors }: Gate): void {
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
