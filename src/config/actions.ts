// Parses the `actions` of a configuration into settings, or into problems that say what is wrong with each key. Reads no file
// and asks the machine nothing. gates.ts has the keys that decide whether an action may begin, hooks.ts those of what goes on
// around its command.
import type { ProcessPattern } from "../actions/machine.js";
import type { WindowSettings } from "../gates/windows.js";
import { plainData } from "../locks/data.js";
import { EXEC_PREFIX } from "../locks/exec-actions.js";
import { canonicalLock } from "../locks/names.js";
import { defaultSlots } from "../locks/rule.js";
import {
  complete,
  readBoolean,
  readChoice,
  readDurationMs,
  readDurationOrNoneMs,
  readIfThere,
  readItems,
  readKnownMap,
  readLabel,
  readLockName,
  readMap,
  readSlots,
  readText,
  readWhole,
} from "./field.js";
import type { Field } from "./field.js";
import { readArgv, readEnvironment } from "./command.js";
import { type GateContext, readBlockers, readNeeded, readWindows } from "./gates.js";
import { readAfter, readBefore, readVerify } from "./hooks.js";
import { ACTION_KEYS, keysOf } from "./keys.js";
import { shownValue } from "./problems.js";
import type { AcquireSettings, ActionSettings } from "./settings.js";

const DEFAULT_KILL_AFTER_MS = 10_000;
const REBOOT_COMMAND = ["systemctl", "reboot"];
// Large servers take minutes to test their memory.
const REBOOT_TIMEOUT_MS = 15 * 60_000;

/** What parsing actions needs from elsewhere. */
export interface ActionContext extends GateContext {
  /** The general `acquire`, for actions without their own. */
  readonly acquire: AcquireSettings;
  /** The general `windows`, for actions without their own. */
  readonly windows: readonly WindowSettings[];
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
  const keys = readKnownMap(field, keysOf(ACTION_KEYS));
  if (keys === undefined) return undefined;
  const mode = readIfThere(
    keys.get("mode"),
    (f) => readChoice(f, ["serialize", "serialize_process", "reboot"] as const),
    "serialize" as const,
  );
  const sought = readIfThere(keys.get("process"), (f) => readProcess(f, context), NO_PROCESS);
  const process = sought?.process;
  if (mode === "serialize_process" && process === null) {
    field.refuse("mode serialize_process needs `process`, with a command_string, a user or both");
  }
  const isReboot = mode === "reboot";
  const key = readIfThere(keys.get("key"), readLabel, null);
  const share = readIfThere(keys.get("slots"), readShare, { slots: defaultSlots(key ?? null), percent: null });
  const parts = {
    mode,
    lock: readIfThere(keys.get("lock"), readLockName, canonicalLock(name)),
    argv: readArgv(field, keys, isReboot ? REBOOT_COMMAND : []),
    timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationOrNoneMs(f), isReboot ? REBOOT_TIMEOUT_MS : null),
    killAfterMs: readIfThere(keys.get("kill_after"), (f) => readDurationMs(f, { zero: true }), DEFAULT_KILL_AFTER_MS),
    acquire: readIfThere(keys.get("acquire"), (f) => readAcquire(f, context.acquire), context.acquire),
    slots: share?.slots,
    percent: share?.percent,
    key,
    process,
    mustRestart: sought?.mustRestart,
    alreadyRestarted: readIfThere(keys.get("already_restarted"), (f) => readChoice(f, ["run", "skip"] as const), "run" as const),
    needed: readIfThere(keys.get("needed"), (f) => readNeeded(f, keys.has("process"), context), null),
    windows: readIfThere(keys.get("windows"), readWindows, context.windows),
    blockers: readIfThere(keys.get("blockers"), (f) => readBlockers(f, context), []),
    before: readIfThere(keys.get("before"), readBefore, null),
    after: readIfThere(keys.get("after"), readAfter, null),
    verify: readIfThere(keys.get("verify"), readVerify, null),
    soakMs: readIfThere(keys.get("soak"), (f) => readDurationMs(f, { zero: true }), 0),
    notNow: readIfThere(keys.get("not_now"), readNotNow, []),
    onFailure: readIfThere(keys.get("on_failure"), (f) => readChoice(f, ["hold", "release"] as const), "hold" as const),
    env: readIfThere(keys.get("env"), readEnvironment, {}),
    cwd: readIfThere(keys.get("cwd"), (f) => readDirectory(f, context), null),
    data: readIfThere(keys.get("data"), readData, null),
  };
  const action = complete(parts);
  return action && { name, ...action };
}

function readAcquire(field: Field, general: AcquireSettings): AcquireSettings | undefined {
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "acquire"));
  return (
    keys &&
    complete({
      sleepTimeMs: readIfThere(keys.get("sleep_time"), (f) => readDurationMs(f), general.sleepTimeMs),
      timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationOrNoneMs(f, { zero: true }), general.timeoutMs),
      behindFailed: readIfThere(
        keys.get("behind_failed"),
        (f) => readChoice(f, ["wait", "leave"] as const),
        general.behindFailed ?? "wait",
      ),
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
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "process"));
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

/** How many may hold the lock at once. Percent stand in for slots, which are reckoned when the claim joins. */
interface Share {
  readonly slots: number;
  readonly percent: number | null;
}

function readShare(field: Field): Share | undefined {
  const { value } = field;
  if (typeof value !== "string" || !value.includes("%")) {
    const slots = readSlots(field);
    return slots === undefined ? undefined : { slots, percent: null };
  }
  const percent = Number(/^(\d{1,3})\s*%$/.exec(value.trim())?.[1] ?? 0);
  if (percent >= 1 && percent <= 100) return { slots: 1, percent };
  return field.refuse(`must be a whole percentage from 1% to 100%, or a whole number from 1, not ${shownValue(value)}`);
}

function readNotNow(field: Field): readonly number[] | undefined {
  const codes = readItems(field, (item) => readWhole(item, 1, 255), "write for example [75]");
  return codes && [...new Set(codes)];
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
  if (name.startsWith(EXEC_PREFIX)) {
    return (
      field.refuse(`an action's name must not begin with "${EXEC_PREFIX}", as those of holdline exec's claims do`) !== undefined
    );
  }
  return readLabel(named) !== undefined && readLockName(named) !== undefined;
}
