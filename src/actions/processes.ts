// The processes of this machine: which of them match a pattern, and whether a service has restarted since a moment. ps-list
// lists them; /proc, where there is one, gives what must be exact.
import { basename } from "node:path";
import { createProcessSight } from "../line/process-sight.js";
import { areOfTwoBoots, type BootMoment } from "../locks/claim.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { quoted, sanitize, shortened } from "../locks/text.js";
import { endCarriers, unseenCarriers } from "./commands/carriers.js";
import { endLeft } from "./commands/kin.js";
import type { ProcessPattern, Processes, RunningProcess } from "./machine.js";
import {
  isInInnerNamespace,
  listPids,
  ownIdentity,
  ownStat,
  readArguments,
  readStat,
  readUid,
  ticksNow,
  type ProcessStat,
} from "../proc.js";
import { resolveUser } from "./users.js";

export function createProcesses(): Processes {
  return {
    ...createProcessSight(),
    moment,
    matching,
    endGroup: endLeft,
    unseenCarriers,
    async endCarriers(claim, service, killAfterMs) {
      const spared = service === null ? [] : (await matching(service)).map(({ pid }) => pid);
      await endCarriers(claim, spared, killAfterMs);
    },
  };
}

/**
 * Whether a service has restarted since `since`: it has processes, and the eldest of them started after that, or the machine has
 * booted meanwhile. Equal is not after: neither the same tick nor, where ticks are unknown, the same second.
 */
export function hasRestarted(since: BootMoment, running: readonly RunningProcess[]): boolean {
  // The eldest started after it exactly when all of them did.
  return running.length > 0 && running.every((process) => isAfter(process.started, since));
}

/**
 * Whether an action that began at `begun` has restarted its service. Unlike in {@link hasRestarted}, the same tick counts: a
 * command may start its service within one tick, and hardly anybody else does just then.
 */
export function hasRestartedBy(begun: BootMoment, running: readonly RunningProcess[]): boolean {
  return running.length > 0 && running.every(({ started }) => !isAfter(begun, started));
}

/** The process that started first; `null` where there is none. */
export function eldestOf(running: readonly RunningProcess[]): RunningProcess | null {
  return running.reduce<RunningProcess | null>(
    (eldest, one) => (eldest === null || isAfter(eldest.started, one.started) ? one : eldest),
    null,
  );
}

function isAfter(started: BootMoment, since: BootMoment): boolean {
  if (areOfTwoBoots(started, since)) return true;
  if (started.ticks !== null && since.ticks !== null) return started.ticks > since.ticks;
  // Start times by the wall clock are whole seconds, rounded down.
  return Math.floor(started.wallMs / 1_000) > Math.floor(since.wallMs / 1_000);
}

function moment(): BootMoment {
  return { bootId: ownIdentity().bootId, ticks: ticksNow(), wallMs: Date.now() };
}

/** A process as ps-list has it. `name` is the name of its executable, where that is known. */
interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number | null;
  readonly name: string;
  readonly commandLine: string;
  readonly startedWallMs: number | null;
}

async function matching(pattern: ProcessPattern): Promise<readonly RunningProcess[]> {
  const isSought = await compilePattern(pattern.commandString);
  const uid = pattern.user === null ? null : await resolveUser(pattern.user);
  const listed = await listProcesses();
  const spared = agentsAndAncestors(listed);
  const candidates = listed.filter(({ pid }) => !spared.has(pid));
  const found = (ownStat() === null ? withoutProc : withProc)(candidates, pattern, isSought);
  const ofUser = new Set(candidates.filter((candidate) => uid === null || candidate.uid === uid).map(({ pid }) => pid));
  return found.filter(({ pid }) => ofUser.has(pid));
}

/** A function that says whether a text matches. @throws HoldlineError `configuration` for a text that is no pattern */
export async function compilePattern(commandString: string | null): Promise<(text: string) => boolean> {
  if (commandString === null) return () => true;
  const { RE2JS } = await import("re2js");
  try {
    const compiled = RE2JS.compile(commandString);
    return (text) => compiled.matcher(text).find();
  } catch (error) {
    // The configuration has refused such patterns before anything runs. This is for other callers.
    throw new HoldlineError(
      "configuration",
      `${quoted(commandString)} is no regular expression: ${shortened(sanitize(messageOf(error)), 100)}`,
      {
        hint: "`command_string` takes RE2 syntax, which has no look-around and no back-references",
        cause: error,
      },
    );
  }
}

type IsSought = (text: string) => boolean;

function withProc(listed: readonly Listed[], pattern: ProcessPattern, isSought: IsSought): RunningProcess[] {
  const found = listed.flatMap((each) => {
    const stat = readStat(each.pid);
    if (stat === null || stat.ended) return [];
    const given = readArguments(each.pid) ?? [];
    // Not the command line of ps: ps-list asks for the C locale, which puts "?" in place of everything that is not ASCII.
    const texts = pattern.fullCmd ? [given.length > 0 ? given.join(" ") : stat.comm] : [...namesOf(stat.comm, each.name, given)];
    return texts.some(isSought) ? [{ stat, process: started(each, stat.startTicks) }] : [];
  });
  // A process in a container belongs to another machine. So does its starter, which names it on its own command line
  // (`unshare`, `conmon`). A service that puts its own workers into a namespace runs the same program as they do, and counts.
  const inside = found.filter(({ stat }) => isInInnerNamespace(stat.pid)).map(({ stat }) => stat);
  const isStarter = ({ pid, comm }: ProcessStat) => inside.some((child) => child.parent === pid && child.comm !== comm);
  return found.filter(({ stat }) => !inside.includes(stat) && !isStarter(stat)).map(({ process }) => process);
}

function withoutProc(listed: readonly Listed[], pattern: ProcessPattern, isSought: IsSought): RunningProcess[] {
  return listed.filter((each) => isSought(pattern.fullCmd ? each.commandLine : each.name)).map((each) => started(each, null));
}

function started(listed: Listed, ticks: number | null): RunningProcess {
  // A process with an unknown start counts as old: then the action runs, perhaps needlessly, rather than never.
  return { pid: listed.pid, started: { bootId: ownIdentity().bootId, ticks, wallMs: listed.startedWallMs ?? 0 } };
}

// The kernel cuts its names of processes to this many bytes.
const COMM_BYTES = 15;

/**
 * The names of a process: the kernel's, as pgrep has it; the executable's, which stays when a process renames itself or its
 * threads (as newer Node does); and where the kernel has cut the name, the whole of it.
 */
function namesOf(comm: string, executable: string, given: readonly string[]): Set<string> {
  const names = new Set([comm, executable]);
  if (Buffer.byteLength(comm) < COMM_BYTES) return names;
  // The program itself, or the script right after its interpreter.
  for (const argument of given.slice(0, 2)) {
    if (basename(argument).startsWith(comm)) names.add(basename(argument));
  }
  return names;
}

/**
 * This process and its ancestors, and the other agents of this node with theirs. Agents that wait for the same lock have command
 * lines that name the service, and none of them is it.
 */
function agentsAndAncestors(listed: readonly Listed[]): Set<number> {
  const parents = new Map(listed.map(({ pid, parent }) => [pid, parent]));
  const spared = new Set<number>();
  for (const agent of [process.pid, ...listed.map(({ pid }) => pid).filter(isAgent)]) {
    // Ends at 0, above the first process. If the kernel has reused pids while the list was made, `has` ends it.
    for (let pid = agent; pid > 0 && !spared.has(pid); pid = parentOf(pid, parents)) spared.add(pid);
  }
  return spared;
}

/** Whether a process runs this process's program: the same interpreter with the same script. */
function isAgent(pid: number): boolean {
  const [interpreter, script] = readArguments(process.pid) ?? [];
  if (script === undefined) return false;
  const [otherInterpreter, otherScript] = readArguments(pid) ?? [];
  return otherInterpreter === interpreter && otherScript === script;
}

function parentOf(pid: number, parents: ReadonlyMap<number, number>): number {
  return (ownStat() === null ? null : readStat(pid)?.parent) ?? parents.get(pid) ?? 0;
}

async function listProcesses(): Promise<Listed[]> {
  const { default: psList } = await import("ps-list");
  try {
    const processes = await psList();
    return processes.map(({ pid, ppid, uid, name, cmd, startTime }) => ({
      pid,
      parent: ppid,
      uid: uid ?? null,
      name,
      commandLine: cmd ?? "",
      startedWallMs: startTime?.getTime() ?? null,
    }));
  } catch (error) {
    // Small container images have no `ps`, or one that lacks the options. /proc has it all.
    if (ownStat() !== null) return listFromProc();
    throw new HoldlineError("configuration", `the processes of this machine cannot be listed: ${messageOf(error)}`, {
      hint: "install `ps` (on Debian and Ubuntu it is in the package procps)",
      cause: error,
    });
  }
}

function listFromProc(): Listed[] {
  return listPids().flatMap((pid) => {
    const stat = readStat(pid);
    const given = readArguments(pid);
    if (stat === null || given === null) return [];
    const commandLine = given.length > 0 ? given.join(" ") : stat.comm;
    return [{ pid, parent: stat.parent, uid: readUid(pid), name: stat.comm, commandLine, startedWallMs: null }];
  });
}
