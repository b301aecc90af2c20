// Watches, from a process and a session of its own, over a command that must not outlive its claim: when the agent is
// dead, or has not said in time that its session lives, all that was started under the claim is killed. An agent that is
// frozen, or starved, could not do that itself.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Log } from "../locks/coordinator.js";
import type { Leader } from "./machine.js";
import { uptimeMs } from "../uptime.js";
import { ownStat } from "../proc.js";

// What the watcher is sent on descriptor 3: deadlines, in hundredths of a second of /proc/uptime, which counts the time that
// the machine has slept; and `over`. The end of the pipe without that word is the agent's death. A shell cannot read with a
// time limit, so that each deadline gets a process that waits for it, and the next one ends that. It looks at the clock
// twice a second, because `sleep` stands still while the machine sleeps.
// $1 is the group's leader, $2 what stands in the environment of everything that was started under the claim, and $3, where
// the leader shares its agent's group, when it was started: then it is ended with its descendants, all of which have to be
// known before the first is killed. $4 is that group where the agent leads it: what has been left in it since is the command's.
const WATCH = `
stat_of() {
  read -r line <"/proc/$1/stat" || line=
  line="\${line##*) }"
}
is_left_in() {
  [ -n "$1" ] || return 1
  group=$1
  since=$2
  set -- $line
  [ "$3" = "$group" ] && [ "\${20:-0}" -ge "$since" ] || return 1
  stat_of "$2"
  set -- $line
  [ "$3" != "$group" ]
}
end_kin() {
  stat_of "$1"
  set -- "$1" "$2" "$3" $line
  kin=
  [ "\${23}" != "$2" ] || kin=" $1 "
  more=1
  while [ -n "$more" ]; do
    more=
    for folder in /proc/[0-9]*; do
      stat_of "\${folder#/proc/}"
      parent="\${line#* }"
      case "$kin" in
        *" \${folder#/proc/} "*) continue ;;
        *" \${parent%% *} "*) kin="\${kin:- }\${folder#/proc/} " more=1 ;;
        *) ! is_left_in "$3" "$2" || kin="\${kin:- }\${folder#/proc/} " more=1 ;;
      esac
    done
  done
  for pid in $kin; do kill -s KILL "$pid"; done
}
end_all() {
  round=0
  while [ $round -lt 200 ]; do
    [ -z "$3" ] || end_kin "$1" "$3" "$4"
    kill -s KILL -- "-$1"
    [ -n "$2" ] || return
    pids=$(cd /proc && grep -lsF -e "$2" [0-9]*/environ)
    [ -n "$pids" ] || return
    for pid in $pids; do kill -s KILL "\${pid%/environ}"; done
    sleep 0.05
    round=$((round + 1))
  done
}
await_deadline() {
  while read -r up idle < /proc/uptime; do
    left=$(($1 - \${up%.*}\${up#*.}))
    [ $left -gt 0 ] || break
    if [ $left -ge 50 ]; then sleep 0.5; elif [ $left -ge 10 ]; then sleep 0.$left; else sleep 0.0$left; fi
  done
}
timer=
while read -r word <&3; do
  [ -z "$timer" ] || kill -s KILL $timer
  [ "$word" != over ] || exit 0
  { await_deadline "$word"; kill -s USR1 $$; end_all "$1" "$2" "$3" "$4"; } 3<&- &
  timer=$!
done
[ -z "$timer" ] || kill -s KILL $timer
end_all "$1" "$2" "$3" "$4"
`;
const NAME = "holdline-watch";
/** What the reader is ended by when a deadline has passed: before the killing begins, so that it cannot end that half-way. */
const FIRED = "SIGUSR1";

// SIGKILL takes effect within milliseconds where the system gets to it at all; the rest is for a machine that is busy.
const MARGIN_MS = 300;
const LOOK_MS = 200;
// One that is ended again and again is ended on purpose.
const MOST_WATCHERS = 5;

export interface Watched {
  /** The command's first process. */
  readonly leader: Leader;
  /** The claim that it runs under; `null` for a command without one. */
  readonly claim: string | null;
  heldUntil(): number;
}

export interface Watchdog {
  /** Ends the watch. @returns whether the command was killed, since a deadline had passed or nothing watched over it any more */
  close(): Promise<boolean>;
}

/**
 * @param end called when nothing watches over the command any more, or its time is over by this process's own look: it is to be ended at once
 * @returns `null` when no process can be started for it
 */
export function openWatchdog(watched: Watched, log: Log, end: () => void): Watchdog | null {
  const { leader, claim } = watched;
  const carried = claim === null ? "" : `HOLDLINE_CLAIM=${claim}`;
  let isOver = false;
  let fired = false;
  let watchers = 0;
  let sent = -1;
  let child: ChildProcess | null = null;
  let exited: Promise<unknown> = Promise.resolve();

  const begin = (): boolean => {
    watchers += 1;
    sent = -1;
    const isKin = leader.sharesGroup === true;
    const group = isKin && ownStat()?.group === process.pid ? String(process.pid) : "";
    child = startWatcher([String(leader.pid), carried, isKin ? String(leader.startTicks) : "", group]);
    if (child === null) return false;
    exited = once(child, "exit");
    child.once("exit", (_code, signal) => {
      child = null;
      if (signal === FIRED) fired = true;
      else if (!isOver) {
        log.warn({ group: leader.pid }, "the process that watches over the command has ended: starting another");
        if (watchers >= MOST_WATCHERS || !begin()) giveUp();
      }
    });
    look();
    return true;
  };
  const giveUp = (): void => {
    fired = true;
    end();
  };
  const say = (word: string): void => void (child?.stdio[3] as unknown as Writable | undefined)?.write(`${word}\n`);
  // Also after a gap in which this process did not run: nothing may go on by what held before it.
  const look = (): void => {
    const until = watched.heldUntil();
    if (!Number.isFinite(until)) return;
    if (uptimeMs() >= until) giveUp();
    const deadline = Math.floor((until - MARGIN_MS) / 10);
    if (deadline <= sent) return;
    sent = deadline;
    say(String(deadline));
  };

  if (!begin()) return null;
  const looks = setInterval(look, LOOK_MS);
  return {
    async close() {
      clearInterval(looks);
      isOver = true;
      say("over");
      await exited;
      return fired;
    },
  };
}

function startWatcher(args: readonly string[]): ChildProcess | null {
  try {
    const child = spawn("/bin/sh", ["-c", WATCH, NAME, ...args], {
      detached: true,
      cwd: "/",
      // Nothing that a claim is found by: who ends what runs under an outer claim is not to end this before what it watches.
      env: { PATH: process.env["PATH"] },
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    // It has no pid then, which tells the same.
    child.on("error", () => undefined);
    if (child.pid === undefined) return null;
    // One that has ended takes no word any more: its exit tells.
    child.stdio[3]?.on("error", () => undefined);
    return child;
  } catch {
    return null;
  }
}
