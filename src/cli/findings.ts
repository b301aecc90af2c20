// What `check` has to say beyond the settings in force: of actions as they are declared, and with --live as they stand on this node
// and of the stores. An error decides the exit code; a warning does not.
import { statSync } from "node:fs";
import { startProblems, type Trial } from "../actions/trial.js";
import { coordinatorsInForce } from "../config/locks.js";
import { redactUrl, redactUrlsIn } from "../config/secrets.js";
import type { ActionSettings, Settings } from "../config/settings.js";
import type { Finding, StoreReport } from "../locks/coordinator.js";
import { HoldlineError, messageOf } from "../locks/errors.js";

/** A finding, and what it is about. */
export interface About extends Finding {
  readonly about: string;
}

/** A store of the configuration, as it was found. */
export interface FoundStore extends StoreReport {
  /** Its URL without secrets. */
  readonly coordinator: string;
  /** What was mended; `null` where that was not asked for. */
  readonly mended: readonly string[] | null;
  /** What was tidied away; `null` where that was not asked for. */
  readonly tidied: readonly string[] | null;
}

/** What can be said of an action without running anything. */
export function ofAction(action: ActionSettings): About[] {
  const about = `action ${action.name}`;
  const findings = startProblems(action).map((message) =>
    warning(about, message, "name a program of this node, or set `cwd` or `env.PATH`"),
  );
  if (action.slots > 1) {
    const nodes = action.slots === Number.POSITIVE_INFINITY ? "any number of" : action.slots;
    const message = `\`slots: ${action.slots === Number.POSITIVE_INFINITY ? "unlimited" : action.slots}\` lets ${nodes} nodes run at once: a bad configuration takes down as many before their failures keep the lock`;
    findings.push(warning(about, message, "`slots: 1` stops at the first failure"));
  }
  return findings;
}

/** A configuration file with a password that others may read. */
export function ofFile(settings: Settings): About[] {
  const { file } = settings;
  if (file === null || !coordinatorsInForce(settings).some((url) => redactUrl(url) !== url)) return [];
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & READABLE_BY_ALL) === 0) return [];
  return [warning("configuration", `everybody on this machine may read ${file}, which has a password in it`, `chmod o-r ${file}`)];
}

const READABLE_BY_ALL = 0o004;

/** What a trial of an action has shown. */
export function ofTrial(action: ActionSettings, { matching, check }: Trial): About[] {
  const about = `action ${action.name}`;
  const findings: About[] = [];
  if (matching === 0) {
    findings.push(
      warning(about, "its pattern matches no process that runs now", "compare `process` with what `ps -eo user,comm,args` shows"),
    );
  }
  if (check !== null && !check.succeeded && check.began) {
    const [last = ""] = check.output.trimEnd().split("\n").slice(-1);
    findings.push(warning(about, `${check.message} when it was tried now${last === "" ? "" : `: ${redactUrlsIn(last)}`}`, null));
  }
  return findings;
}

/** An action whose processes cannot be looked for, as where nobody here is called so. */
export function notTried({ name }: ActionSettings, error: unknown): About {
  if (!(error instanceof HoldlineError) || error.code !== "configuration") throw error;
  return warning(`action ${name}`, `its processes cannot be looked for: ${messageOf(error)}`, error.hint);
}

/** A store that could not be opened, or asked. */
export function notExamined(error: unknown): StoreReport {
  if (!(error instanceof HoldlineError) || error.code === "interrupted" || error.code === "bug") throw error;
  const { code, hint } = error;
  return { facts: {}, findings: [{ severity: "error", code, message: messageOf(error), hint }] };
}

function warning(about: string, message: string, hint: string | null): About {
  return { about, severity: "warning", code: "configuration", message, hint };
}
