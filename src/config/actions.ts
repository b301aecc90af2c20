// Parses the `actions` of a configuration into settings, or into problems that say what is wrong with each key. Reads no file
// and asks the machine nothing.
import { NO_ROLLOUT } from "../actions/action.js";
import type { ProcessPattern } from "../actions/machine.js";
import { plainData } from "../locks/data.js";
import { canonicalLock } from "../locks/names.js";
import { defaultSlots } from "../locks/rule.js";
import {
  readBoolean,
  readChoice,
  readDurationMs,
  readDurationOrNoneMs,
  readIfThere,
  readKnownMap,
  readLabel,
  readLockName,
  readMap,
  readSlots,
  readText,
} from "./field.js";
import type { Field } from "./field.js";
import { readArgv, readEnvironment } from "./command.js";
import type { AcquireSettings, ActionSettings, VerifySettings } from "./settings.js";

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
    doc: "serialize, or serialize_process for a restart, which has failed if no process restarted",
  },
  { key: "lock", default: "the action's name", doc: "the lock under which it runs" },
  { key: "command", default: "", doc: "the program and its arguments, as a list; no shell" },
  { key: "shell", default: "", doc: "instead of command: a text for /bin/sh -c" },
  { key: "timeout", default: "none", doc: "when this is over, its whole process group gets SIGTERM" },
  { key: "kill_after", default: "10 s", doc: "how long after SIGTERM the group gets SIGKILL" },
  { key: "acquire.timeout", default: "the general one", doc: "how long to wait for the lock; 0: do not wait, none: for ever" },
  {
    key: "acquire.sleep_time",
    default: "the general one",
    doc: "the longest pause between two looks, unless something wakes the waiter sooner",
  },
  { key: "slots", default: "1, or unlimited with a key", doc: "how many claims may hold the lock at once" },
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
  { key: "verify.command", default: "", doc: "a check of the service, as a list; it passes with exit code 0" },
  { key: "verify.shell", default: "", doc: "instead of verify.command: a text for /bin/sh -c" },
  { key: "verify.interval", default: "1 s", doc: "the pause between two checks" },
  { key: "verify.timeout", default: "30 s", doc: "how long the check may fail before the action fails" },
  { key: "on_failure", default: "hold", doc: "hold: a failed action keeps the lock; release: it lets go" },
  { key: "env", default: "{}", doc: "added to the command's environment" },
  { key: "cwd", default: "the agent's", doc: "the command's working directory" },
  { key: "data", default: "none", doc: "shown with the claim; any YAML" },
];

const DEFAULT_KILL_AFTER_MS = 10_000;
const DEFAULT_VERIFY_INTERVAL_MS = 1_000;
const DEFAULT_VERIFY_TIMEOUT_MS = 30_000;

/** What parsing actions needs from elsewhere. */
export interface ActionContext {
  /** The general `acquire`, for actions without their own. */
  readonly acquire: AcquireSettings;
  /** Makes a directory absolute; a relative one starts at the file's own directory. */
  readonly directory: (path: string) => string;
  /** Takes each regular expression, to check it later: the package for that is loaded only when there is one. */
  readonly onPattern: (field: Field, pattern: string) => void;
}

/** Parses `actions:`. Records the problems of a wrong action and leaves it out. */
export function parseActions(field: Field | undefined, context: ActionContext): readonly ActionSettings[] {
  const actions: ActionSettings[] = [];
  for (const [name, child] of (field && readMap(field)) ?? []) {
    const action = readName(child, name) ? parseAction(child, name, context) : undefined;
    if (action !== undefined) actions.push(action);
  }
  return actions;
}

function parseAction(field: Field, name: string, context: ActionContext): ActionSettings | undefined {
  if (field.value === null) return field.refuse(`is empty; write for example { command: [systemctl, restart, nginx.service] }`);
  const keys = readKnownMap(field, topKeys(ACTION_KEYS));
  if (keys === undefined) return undefined;
  const mode = readIfThere(
    keys.get("mode"),
    (f) => readChoice(f, ["serialize", "serialize_process"] as const),
    "serialize" as const,
  );
  const sought = readIfThere(keys.get("process"), (f) => readProcess(f, context), NO_PROCESS);
  const process = sought?.process;
  if (mode === "serialize_process" && process === null) {
    field.refuse("mode serialize_process needs `process`, with a command_string, a user or both");
  }
  const key = readIfThere(keys.get("key"), readLabel, null);
  const parts = {
    mode,
    lock: readIfThere(keys.get("lock"), readLockName, canonicalLock(name)),
    argv: readArgv(field, keys),
    timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationOrNoneMs(f), null),
    killAfterMs: readIfThere(keys.get("kill_after"), (f) => readDurationMs(f, { zero: true }), DEFAULT_KILL_AFTER_MS),
    acquire: readIfThere(keys.get("acquire"), (f) => readAcquire(f, context.acquire), context.acquire),
    slots: readIfThere(keys.get("slots"), readSlots, defaultSlots(key ?? null)),
    key,
    process,
    mustRestart: sought?.mustRestart,
    alreadyRestarted: readIfThere(keys.get("already_restarted"), (f) => readChoice(f, ["run", "skip"] as const), "run" as const),
    verify: readIfThere(keys.get("verify"), readVerify, null),
    ...NO_ROLLOUT,
    onFailure: readIfThere(keys.get("on_failure"), (f) => readChoice(f, ["hold", "release"] as const), "hold" as const),
    env: readIfThere(keys.get("env"), readEnvironment, {}),
    cwd: readIfThere(keys.get("cwd"), (f) => readDirectory(f, context), null),
    data: readIfThere(keys.get("data"), readData, null),
  };
  const action = complete(parts);
  return action && { name, ...action };
}

function readAcquire(field: Field, general: AcquireSettings): AcquireSettings | undefined {
  const keys = readKnownMap(field, subKeys(ACTION_KEYS, "acquire"));
  return (
    keys &&
    complete({
      sleepTimeMs: readIfThere(keys.get("sleep_time"), (f) => readDurationMs(f), general.sleepTimeMs),
      timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationOrNoneMs(f, { zero: true }), general.timeoutMs),
    })
  );
}

/** What `process:` says: which processes are meant, and whether one must restart. */
interface Sought {
  readonly process: ProcessPattern | null;
  readonly mustRestart: boolean;
}

const NO_PROCESS: Sought = { process: null, mustRestart: true };

function readProcess(field: Field, context: ActionContext): Sought | undefined {
  const keys = readKnownMap(field, subKeys(ACTION_KEYS, "process"));
  if (keys === undefined) return undefined;
  const pattern = complete({
    commandString: readIfThere(keys.get("command_string"), (f) => readPattern(f, context), null),
    fullCmd: readIfThere(keys.get("full_cmd"), readBoolean, false),
    user: readIfThere(keys.get("user"), readLabel, null),
  });
  if (pattern?.commandString === null && pattern.user === null) return field.refuse("needs a command_string, a user or both");
  const mustRestart = readIfThere(keys.get("must_restart"), readBoolean, NO_PROCESS.mustRestart);
  return pattern === undefined || mustRestart === undefined ? undefined : { process: pattern, mustRestart };
}

function readPattern(field: Field, context: ActionContext): string | undefined {
  const pattern = readText(field);
  if (pattern === undefined) return undefined;
  if (pattern === "") return field.refuse("must not be empty: it would match every process");
  context.onPattern(field, pattern);
  return pattern;
}

function readVerify(field: Field): VerifySettings | undefined {
  const keys = readKnownMap(field, subKeys(ACTION_KEYS, "verify"));
  return (
    keys &&
    complete({
      argv: readArgv(field, keys),
      intervalMs: readIfThere(keys.get("interval"), (f) => readDurationMs(f, { zero: true }), DEFAULT_VERIFY_INTERVAL_MS),
      timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationMs(f), DEFAULT_VERIFY_TIMEOUT_MS),
      passes: 1,
    })
  );
}

function readDirectory(field: Field, context: ActionContext): string | undefined {
  const path = readText(field);
  if (path === "") return field.refuse("must not be empty");
  return path === undefined ? undefined : context.directory(path);
}

/** Any YAML that JSON can carry, as plain values. */
export function readData(field: Field): unknown {
  const plain = plainData(field.value);
  return "data" in plain ? plain.data : field.refuse(plain.problem);
}

// An action's name stands on command lines, and is also its lock's name by default.
function readName(field: Field, name: string): boolean {
  const named: Field = { ...field, value: name };
  if (name.startsWith("-")) return field.refuse('an action\'s name must not begin with "-"') !== undefined;
  return readLabel(named) !== undefined && readLockName(named) !== undefined;
}

/** The parts; `undefined` if a reader refused one. */
function complete<T extends Record<string, unknown>>(parts: T): { [K in keyof T]: Exclude<T[K], undefined> } | undefined {
  return Object.values(parts).includes(undefined) ? undefined : (parts as { [K in keyof T]: Exclude<T[K], undefined> });
}

function topKeys(docs: readonly KeyDoc[]): string[] {
  return [...new Set(docs.map(({ key }) => key.split(".")[0] as string))];
}

function subKeys(docs: readonly KeyDoc[], parent: string): string[] {
  return docs.filter(({ key }) => key.startsWith(`${parent}.`)).map(({ key }) => key.slice(parent.length + 1));
}
