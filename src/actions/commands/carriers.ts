// The processes that were started under a claim, wherever they have gone since. They carry the claim in their environment: in
// HOLDLINE_CLAIM, or in HOLDLINE_WITHIN where the command was holdline again. So an agent finds a claim's orphans without the
// journal of the agent that started them.
//
// Between the fork of a latch and its exec the child still has the agent's own environment, and this search misses it. That
// does no harm: once the agent is dead, the latch finds its pipe closed and ends without having run anything.
import type { BootMoment } from "../../locks/claim.js";
import { HoldlineError, messageOf } from "../../locks/errors.js";
import { createClock } from "../../line/clock.js";
import { listPids, ownIdentity, ownStat, readEnvironment, readStat, type ProcessStat } from "../../proc.js";
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS } from "./group.js";

const VARIABLE = "HOLDLINE_CLAIM";
/** Where holdline runs under holdline: the claims around the innermost, each written as {@link VARIABLE} has it, so that one search finds both. */
const AROUND = "HOLDLINE_WITHIN";

const clock = createClock();

/** The pids of the processes that were started under a claim and have not ended, without this process. */
export function carriersOf(claim: string): number[] {
  if (ownStat() === null) return [];
  return listPids().filter((pid) => pid !== process.pid && isCarrier(pid, claim));
}

/** Whether a process carries the claim in its environment. */
export function isCarrier(pid: number, claim: string): boolean {
  // A process that has ended has no environment any more, even while it is a zombie.
  const environment = readEnvironment(pid);
  const carried = `${VARIABLE}=${claim}`;
  if (environment == null || !environment.includes(carried)) return false;
  return environment.split("\0").some((entry) => entry === carried || (entry.startsWith(`${AROUND}=`) && entry.includes(carried)));
}

/** What a command gets beside its own claim, so that a search for any claim around it finds it as well. */
export function claimsAround(): Readonly<Record<string, string>> {
  const { [VARIABLE]: own, [AROUND]: around } = process.env;
  return own === undefined ? {} : { [AROUND]: [around, `${VARIABLE}=${own}`].filter((each) => each !== undefined).join(" ") };
}

function isOwn(claim: string): boolean {
  const { [VARIABLE]: own, [AROUND]: around = "" } = process.env;
  return own === claim || around.includes(`${VARIABLE}=${claim}`);
}

/**
 * Ends the processes that were started under a claim: SIGTERM, after `killAfterMs` SIGKILL, in rounds until none is left.
 * @param spared stay alive, with everything that they have started and everything in their process groups
 * @throws HoldlineError `not-allowed` when this process may not end one of them, or is one of them itself
 */
export async function endCarriers(claim: string, spared: readonly number[], killAfterMs: number): Promise<void> {
  const left = () => withoutSpared(carriersOf(claim), spared);
  let pids = left();
  if (pids.length === 0) return;
  if (isOwn(claim)) {
    throw new HoldlineError("not-allowed", `what runs under the claim ${claim} cannot be ended: it has started this process`, {
      hint: "run holdline outside of the action",
    });
  }
  for (const pid of pids) for (const signal of ["SIGTERM", "SIGCONT"] as const) send(pid, signal);
  const killAt = clock.now() + killAfterMs;
  for (let pauseMs = FIRST_PAUSE_MS; (pids = left()).length > 0; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const leftMs = killAt - clock.now();
    if (leftMs <= 0) for (const pid of pids) send(pid, "SIGKILL");
    await clock.sleep(leftMs > 0 ? Math.min(pauseMs, leftMs) : pauseMs);
  }
}

/** Those of `pids` that are not in `spared`, were not started by one of these, and share no process group with one. */
export function withoutSpared(pids: readonly number[], spared: readonly number[]): number[] {
  if (spared.length === 0) return [...pids];
  const groups = new Set(spared.map((pid) => readStat(pid)?.group));
  const isSpared = ({ pid, group, parent }: ProcessStat, depth = 0): boolean => {
    if (spared.includes(pid) || groups.has(group)) return true;
    // A bound: the kernel may reuse pids while this looks.
    const above = parent > 1 && depth < 64 ? readStat(parent) : null;
    return above !== null && isSpared(above, depth + 1);
  };
  return pids.filter((pid) => {
    const stat = readStat(pid);
    return stat !== null && !isSpared(stat);
  });
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
    throw new HoldlineError("not-allowed", `${signal} could not be sent to process ${pid}: ${messageOf(error)}`, {
      hint: "it runs as another user: run holdline as root, or end it by hand",
      cause: error,
    });
  }
}

// The parent of all kernel threads, which belong to no command.
const KTHREADD = 2;

/** Why this process may not see all processes that were started under a claim since `made`; `null` when it sees them all. */
export function unseenCarriers(made: BootMoment | null): string | null {
  if (made !== null && made.bootId !== null && made.bootId !== ownIdentity().bootId) return null;
  if (ownStat() === null) return "this system does not show what runs on it";
  if (process.getuid?.() === 0) return null;
  // Every user sees the first process, unless /proc hides the processes of others.
  if (readStat(1) === null) return "/proc hides the processes of other users here";
  const isUnseen = (pid: number): boolean => {
    if (readEnvironment(pid) !== undefined) return false;
    const stat = readStat(pid);
    if (stat === null || stat.ended || pid === KTHREADD || stat.parent === KTHREADD) return false;
    return made?.ticks == null || stat.startTicks >= made.ticks;
  };
  const unseen = listPids().filter(isUnseen);
  if (unseen.length === 0) return null;
  const shown = unseen.slice(0, 5).join(", ");
  return `processes of other users that have started since do not show this user what started them (pid ${shown}${unseen.length > 5 ? ", …" : ""})`;
}
