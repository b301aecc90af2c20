// Parses what goes on around an action's command: `before`, `after` and `verify`.
import type { AfterSettings, HookSettings, VerifySettings } from "../actions/action.js";
import { readArgv } from "./command.js";
import { complete, readChoice, readDurationMs, readDurationOrNoneMs, readIfThere, readKnownMap, readWhole } from "./field.js";
import type { Field } from "./field.js";
import { ACTION_KEYS, keysOf } from "./keys.js";

/** Parses `before`. */
export function readBefore(field: Field): HookSettings | undefined {
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "before"));
  return keys && complete(hookParts(field, keys));
}

/** Parses `after`. */
export function readAfter(field: Field): AfterSettings | undefined {
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "after"));
  return (
    keys &&
    complete({
      ...hookParts(field, keys),
      when: readIfThere(keys.get("when"), (f) => readChoice(f, ["success", "always"] as const), "success" as const),
    })
  );
}

function hookParts(field: Field, keys: ReadonlyMap<string, Field>) {
  return {
    argv: readArgv(field, keys),
    timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationOrNoneMs(f), null),
  };
}

const DEFAULT_VERIFY_INTERVAL_MS = 1_000;
const DEFAULT_VERIFY_TIMEOUT_MS = 30_000;

/** Parses `verify`. */
export function readVerify(field: Field): VerifySettings | undefined {
  const keys = readKnownMap(field, keysOf(ACTION_KEYS, "verify"));
  const verify =
    keys &&
    complete({
      argv: readArgv(field, keys),
      intervalMs: readIfThere(keys.get("interval"), (f) => readDurationMs(f, { zero: true }), DEFAULT_VERIFY_INTERVAL_MS),
      timeoutMs: readIfThere(keys.get("timeout"), (f) => readDurationMs(f), DEFAULT_VERIFY_TIMEOUT_MS),
      passes: readIfThere(keys.get("passes"), (f) => readWhole(f, 1, Number.MAX_SAFE_INTEGER), 1),
    });
  if (verify === undefined) return undefined;
  const { passes, intervalMs, timeoutMs } = verify;
  if (passes > 1 && (passes - 1) * intervalMs >= timeoutMs)
    return (keys?.get("passes") ?? field).refuse(
      "can never be reached: the pauses between so many checks take as long as the timeout; make `interval` shorter or `timeout` longer",
    );
  return verify;
}
