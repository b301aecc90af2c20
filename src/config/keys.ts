// The keys of an action and of the lists in it: names, defaults and meanings for the reader, the documents and the samples.

/** One key of a map in the configuration, as the documents describe it. */
export interface KeyDoc {
  readonly key: string;
  readonly default: string;
  readonly doc: string;
}

/** The keys of an action. */
export const ACTION_KEYS: readonly KeyDoc[] = [
  {
    key: "mode",
    default: "serialize",
    doc: "serialize; serialize_process for a restart, which has failed if no process restarted; reboot, which is over when the machine has booted",
  },
  { key: "lock", default: "the action's name", doc: "the lock under which it runs" },
  {
    key: "command",
    default: "none; in mode reboot [systemctl, reboot]",
    doc: "the program and its arguments, as a list; no shell. Without one the work is the caller's, between begin and end",
  },
  { key: "shell", default: "", doc: "instead of command: a text for /bin/sh -c" },
  {
    key: "timeout",
    default: "none; in mode reboot 15 min",
    doc: "when this is over, its whole process group gets SIGTERM; in mode reboot: until when the machine must have booted",
  },
  { key: "kill_after", default: "10 s", doc: "how long after SIGTERM the group gets SIGKILL" },
  { key: "acquire.timeout", default: "the general one", doc: "how long to wait for the lock; 0: do not wait, none: for ever" },
  {
    key: "acquire.sleep_time",
    default: "the general one",
    doc: "the longest pause between two looks, unless something wakes the waiter sooner",
  },
  {
    key: "acquire.behind_failed",
    default: "the general one",
    doc: "wait, or leave: give up at once when the lock's holder has failed",
  },
  {
    key: "slots",
    default: "1, or unlimited with a key",
    doc: "how many claims may hold the lock at once; 10%: of the group's nodes, rounded down, at least 1",
  },
  { key: "key", default: "none", doc: "claims with the same key may hold the lock together: a rack at a time" },
  { key: "process.command_string", default: "none", doc: "a regular expression (RE2) for the process's name" },
  { key: "process.full_cmd", default: "false", doc: "true: match command_string against the full command line" },
  { key: "process.user", default: "any", doc: "the process's user, by name or number" },
  { key: "process.must_restart", default: "true", doc: "false: the action may succeed although no process restarted" },
  {
    key: "already_restarted",
    default: "run",
    doc: "run: always run the action; skip: not if an earlier run was left unfinished and the process has restarted since",
  },
  { key: "needed.file", default: "none", doc: "needed when this file is there" },
  {
    key: "needed.changed",
    default: "none",
    doc: "needed when a file that one of these patterns names is newer than the process; ** stands for folders of any depth",
  },
  {
    key: "needed.outdated",
    default: "false",
    doc: "true: needed when the process runs from files that have been replaced or deleted",
  },
  { key: "needed.command", default: "none", doc: "needed when this exits with 0, not needed when it exits with 1" },
  { key: "needed.shell", default: "", doc: "instead of needed.command: a text for /bin/sh -c" },
  { key: "windows", default: "the general ones", doc: "when it may begin: a list of windows; []: at any time" },
  { key: "blockers", default: "[]", doc: "what must be all right before it begins: a list of blockers" },
  { key: "before.command", default: "none", doc: "runs under the lock before the command, for example to drain the node" },
  { key: "before.shell", default: "", doc: "instead of before.command: a text for /bin/sh -c" },
  { key: "before.timeout", default: "none", doc: "how long it may take before the action fails" },
  { key: "after.command", default: "none", doc: "runs under the lock after the check, and undoes what `before` did" },
  { key: "after.shell", default: "", doc: "instead of after.command: a text for /bin/sh -c" },
  { key: "after.timeout", default: "none", doc: "how long it may take before the action fails" },
  { key: "after.when", default: "success", doc: "success: a node whose action failed stays drained; always: not so" },
  { key: "verify.command", default: "", doc: "a check of the service, as a list; it passes with exit code 0" },
  { key: "verify.shell", default: "", doc: "instead of verify.command: a text for /bin/sh -c" },
  { key: "verify.interval", default: "1 s", doc: "the pause between two checks" },
  { key: "verify.timeout", default: "30 s", doc: "how long the check may fail before the action fails" },
  { key: "verify.passes", default: "1", doc: "how often in a row the check must pass" },
  { key: "soak", default: "0", doc: "how long to keep the lock after success, while the check goes on" },
  {
    key: "not_now",
    default: "[]",
    doc: "exit codes of the command, and of `before`, that mean: not failed, not done, try later",
  },
  { key: "on_failure", default: "hold", doc: "hold: a failed action keeps the lock; release: it lets go" },
  { key: "env", default: "{}", doc: "added to the command's environment" },
  { key: "cwd", default: "the agent's", doc: "the command's working directory" },
  { key: "data", default: "none", doc: "shown with the claim; any YAML" },
];

/** The keys of a window. */
export const WINDOW_KEYS: readonly KeyDoc[] = [
  { key: "days", default: "all", doc: "the days on which it opens: mon, tue, wed, thu, fri, sat, sun, or mon-fri" },
  { key: "start", default: "", doc: "when it opens, from 00:00 to 23:59" },
  { key: "for", default: "", doc: "how long it is open, over midnight too: at most 7 days" },
  { key: "zone", default: "the node's own", doc: "the time zone of its days and hours, such as Europe/Berlin" },
];

/** The keys of a blocker. */
export const BLOCKER_KEYS: readonly KeyDoc[] = [
  { key: "name", default: "its command, or the server's name", doc: "what messages call it: what has to be all right" },
  { key: "command", default: "", doc: "a program and its arguments, as a list; with any exit code but 0 it blocks" },
  { key: "shell", default: "", doc: "instead of command: a text for /bin/sh -c" },
  { key: "prometheus", default: "", doc: "instead of command: the URL of a Prometheus server; an alert that fires blocks" },
  { key: "alerts", default: "all", doc: "with prometheus: a regular expression (RE2) for the names of the alerts that block" },
  { key: "ignore", default: "none", doc: "with prometheus: a regular expression (RE2) for the names of those that do not" },
  { key: "timeout", default: "30 s", doc: "how long it may take to answer; without an answer it blocks" },
];

/** The keys of one item of `notify`. */
export const NOTIFY_KEYS: readonly KeyDoc[] = [
  { key: "on", default: "all", doc: "of what: failed, stale, recovered, cleared, frozen (a freeze begins or ends)" },
  { key: "command", default: "", doc: "a program and its arguments, as a list; it reads the event as JSON on standard input" },
  { key: "shell", default: "", doc: "instead of command: a text for /bin/sh -c" },
  { key: "url", default: "", doc: "instead of command: where the event is posted as JSON" },
];

/** The names of the keys in a map, such as `process`; of the whole one without `parent`. */
export function keysOf(docs: readonly KeyDoc[], parent?: string): string[] {
  if (parent === undefined) return [...new Set(docs.map(({ key }) => key.split(".")[0] as string))];
  return docs.filter(({ key }) => key.startsWith(`${parent}.`)).map(({ key }) => key.slice(parent.length + 1));
}
