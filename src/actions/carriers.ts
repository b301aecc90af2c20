// The processes that were started under a claim, wherever they have gone since: they carry HOLDLINE_CLAIM in their
// environment, or HOLDLINE_WITHIN where a command of theirs is holdline again. So a claim's orphans are found without the journal of the agent that started them.
//
// Nothing is missed between the fork of a gate and its exec, when the child still has the agent's own environment: such a
// gate finds its pipe closed once the agent is dead, and ends without having run anything.
import type { BootMoment } from "../locks/claim.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { createClock } from "../line/clock.js";
import { listPids, ownIdentity, ownStat, readEnvironment, readStat, type ProcessStat } from "../proc.js";
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS } from "./group.js";

const VARIABLE = "HOLDLINE_CLAIM";
/** The claims around that one, where holdline runs under holdline: each as it stands in {@link VARIABLE}, so that one search finds both. */
const AROUND = "HOLDLINE_WITHIN";

const clock = createClock();

/** The pids of the processes that were started under a claim and have not ended. This process is none of them. */
export function carriersOf(claim: string): number[] {
  if (ownStat() === null) return [];
  return listPids().filter((pid) => pid !== process.pid && isCarrier(pid, claim));
}

/** Does a process carry the claim in its environment? */
export function isCarrier(pid: number, claim: string): boolean {
  // What has ended has no environment any more, even while its parent has not noticed.
  const environment = readEnvironment(pid);
  const carried = `${VARIABLE}=${claim}`;
  if (environment == null || !environment.includes(carried)) return false;
  return environment.split("\0").some((entry) => entry === carried || (entry.startsWith(`${AROUND}=`) && entry.includes(carried)));
}

/** What a command is given beside its own claim, so that it is also found by those under which this process itself runs. */
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
 * @param spared these are left alone, with all that they have started and what is in their process groups
 * @throws HoldlineError `not-allowed` when one of them may not be ended by this process, or this process is one itself
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

/** Those of `pids` that are none of `spared`, were not started by one of them and are not in its process group. */
export function withoutSpared(pids: readonly number[], spared: readonly number[]): number[] {
  if (spared.length === 0) return [...pids];
  const groups = new Set(spared.map((pid) => readStat(pid)?.group));
  const isSpared = ({ pid, group, parent }: ProcessStat, depth = 0): boolean => {
    if (spared.includes(pid) || groups.has(group)) return true;
    // A bound, because pids may be reused while this looks.
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

// The parent of all kernel threads, which are nobody's command.
const KTHREADD = 2;

/** Why carriers of a claim that was made at `made` may run on this node and not be seen by this process, or `null`. */
export function unseenCarriers(made: BootMoment | null): string | null {
  if (made !== null && made.bootId !== null && made.bootId !== ownIdentity().bootId) return null;
  if (ownStat() === null) return "this system does not show what runs on it";
  if (process.getuid?.() === 0) return null;
  // The first process is there for all to see, unless /proc hides the processes of others.
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
