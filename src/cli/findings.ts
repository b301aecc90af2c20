// What `check` finds beyond the settings in force: in the declared actions and, with --live, on this node and in the stores. An
// error decides the exit code; a warning does not.
import { statSync } from "node:fs";
import { startProblem, startProblems, type Trial } from "../actions/trial.js";
import { HIDDEN, redactHttpUrl, redactUrl, redactUrlsIn, redactWebhook } from "../config/secrets.js";
import type { ActionSettings, Settings } from "../config/settings.js";
import type { Finding, StoreReport } from "../locks/store-report.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { workingDirectory } from "../working-directory.js";

/** A finding and its subject. */
export interface About extends Finding {
  readonly about: string;
}

/** A store of the configuration, as it was found. */
export interface FoundStore extends StoreReport {
  /** Its URL without secrets. */
  readonly coordinator: string;
  /** What was mended; `null` if nobody asked for it. */
  readonly mended: readonly string[] | null;
  /** What was tidied away; `null` if nobody asked for it. */
  readonly tidied: readonly string[] | null;
}

/** Findings about an action, without running anything. */
export function ofAction(action: ActionSettings): About[] {
  const about = `action ${action.name}`;
  const findings = startProblems(action).map((message) =>
    warning(about, message, "name a program of this node, or set `cwd` or `env.PATH`"),
  );
  const most = mostAtOnce(action);
  if (most !== null) {
    const { slots, nodes } = most;
    const message = `\`slots: ${slots}\` lets ${nodes} nodes run at once: a bad configuration takes down as many before a failure keeps the lock`;
    findings.push(warning(about, message, "`slots: 1` stops at the first failure"));
  }
  return findings;
}

/** How many nodes may run an action at once, as the configuration says it and in words; `null` for one. */
function mostAtOnce({ slots, percent }: ActionSettings): { readonly slots: string; readonly nodes: string } | null {
  if (percent !== null) return { slots: `${percent}%`, nodes: `${percent}% of the group's` };
  if (slots === Number.POSITIVE_INFINITY) return { slots: "unlimited", nodes: "any number of" };
  return slots === 1 ? null : { slots: String(slots), nodes: String(slots) };
}

/** Findings about those who are told of events, without telling them anything. */
export function ofNotify({ notify }: Settings): About[] {
  return notify.flatMap(({ to }, index) => {
    const problem = "url" in to ? null : startProblem(to.argv, workingDirectory(), process.env["PATH"]);
    if (problem === null) return [];
    return [warning(`notify ${index}`, `its command cannot be started: ${problem}`, "name a program of this node")];
  });
}

/** Warns of a configuration file with a secret that others may read. */
export function ofFile(settings: Settings): About[] {
  const { file } = settings;
  if (file === null || !hasSecret(settings)) return [];
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & READABLE_BY_ALL) === 0) return [];
  return [warning("configuration", `everybody on this machine may read ${file}, which contains a secret`, `chmod o-r ${file}`)];
}

const READABLE_BY_ALL = 0o004;

// What the environment or a flag says does not stand in the file.
function hasSecret(settings: Settings): boolean {
  const isOfFile = (setting: string): boolean => (settings.origins?.get(setting) ?? "file") === "file";
  const ofLocks = [...settings.locks.values()].flatMap(({ coordinator }) => coordinator ?? []);
  const coordinators = isOfFile("coordinator") ? [settings.coordinator, ...ofLocks] : ofLocks;
  const servers = settings.actions
    .flatMap(({ blockers }) => blockers)
    .flatMap((one) => (one.type === "prometheus" ? [one.url] : []));
  return (
    coordinators.some((url) => redactUrl(url) !== url) ||
    servers.some((url) => redactHttpUrl(url) !== url) ||
    (isOfFile("notify") && settings.notify.some(({ to }) => "url" in to && redactWebhook(to.url).includes(HIDDEN)))
  );
}

/** Findings of an action's trial. */
export function ofTrial(action: ActionSettings, { matching, check, fileProblems }: Trial): About[] {
  const about = `action ${action.name}`;
  const findings: About[] = [];
  if (matching === 0) {
    findings.push(
      warning(about, "its pattern matches no running process", "compare `process` with the output of `ps -eo user,comm,args`"),
    );
  }
  findings.push(...fileProblems.map((message) => warning(about, message, "compare the pattern with `ls`")));
  if (check !== null && !check.succeeded && check.began) {
    const [last = ""] = check.output.trimEnd().split("\n").slice(-1);
    findings.push(warning(about, `${check.message} when it was tried now${last === "" ? "" : `: ${redactUrlsIn(last)}`}`, null));
  }
  return findings;
}

/** The finding for an action whose processes cannot be looked up, for example because its user does not exist here. */
export function notTried({ name }: ActionSettings, error: unknown): About {
  if (!(error instanceof HoldlineError) || error.code !== "configuration") throw error;
  return warning(`action ${name}`, `its processes cannot be looked up: ${messageOf(error)}`, error.hint);
}

/** The report for a store that could not be opened or asked. */
export function notExamined(error: unknown): StoreReport {
  if (!(error instanceof HoldlineError) || error.code === "interrupted" || error.code === "bug") throw error;
  const { code, hint } = error;
  return { facts: {}, findings: [{ severity: "error", code, message: messageOf(error), hint }] };
}

function warning(about: string, message: string, hint: string | null): About {
  return { about, severity: "warning", code: "configuration", message, hint };
}
