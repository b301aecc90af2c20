// Watches over a command that must not outlive its claim, from a process and a session of its own. When the agent is dead, or
// has not confirmed its session in time, the watcher kills everything that was started under the claim. A frozen or starved
// agent could not do that itself.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Log } from "../../locks/log.js";
import type { Leader } from "../machine.js";
import { uptimeMs } from "../../uptime.js";
import { ownStat } from "../../proc.js";

// The agent writes to descriptor 3: deadlines, in hundredths of a second of /proc/uptime, which counts the time that the
// machine has slept; and at last `over`. If the pipe ends without that word, the agent is dead. A shell cannot read with a
// time limit, so each deadline gets a process that waits for it, and the next deadline ends that process. It looks at the
// clock twice a second, because `sleep` stands still while the machine sleeps.
// $1: the group's leader. $2: the text by which the environment of everything under the claim is known. $3: when the leader
// started, where it shares its agent's group; then the watcher ends the leader with its descendants, and has to know them
// all before it kills the first. $4: that group, where the agent leads it; what was left in it since is the command's.
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
/** Ends the reader when a deadline has passed, before the killing begins, so that a late word cannot end the killing half-way. */
const FIRED = "SIGUSR1";

// SIGKILL takes effect within milliseconds. The rest is for a busy machine.
const MARGIN_MS = 300;
const LOOK_MS = 200;
// If watchers end again and again, somebody ends them on purpose.
const MOST_WATCHERS = 5;

export interface Watched {
  /** The command's first process. */
  readonly leader: Leader;
  /** The command's claim; `null` for a command without one. */
  readonly claim: string | null;
  heldUntil(): number;
}

export interface Watchdog {
  /** Ends the watch. @returns whether the command was killed: a deadline had passed, or nothing watched over it any more */
  close(): Promise<boolean>;
}

/**
 * @param end must end the command at once; called when no watcher can be kept, or when this process sees itself that the time is over
 * @returns `null` when no watcher can be started
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
  // Also right after a gap in which this process did not run: what held before the gap proves nothing.
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
      // Without HOLDLINE_CLAIM and HOLDLINE_WITHIN: ending all under an outer claim must not end the watcher before its command.
      env: { PATH: process.env["PATH"] },
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    // Such a child has no pid, which says the same.
    child.on("error", () => undefined);
    if (child.pid === undefined) return null;
    // Writing to a watcher that has ended fails, which does not matter: its exit tells of it.
    child.stdio[3]?.on("error", () => undefined);
    return child;
  } catch {
    return null;
  }
}
