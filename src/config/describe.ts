// Describes the settings in force in the form of a configuration file, for people and for `check --json`. Secrets are hidden;
// apart from them, loading the description gives the same settings.
import type { BlockerSettings, HookSettings, NeededSettings } from "../actions/action.js";
import { WEEKDAYS, type WindowSettings } from "../gates/windows.js";
import { HIDDEN, isSecretName, redactHttpUrl, redactUrl, redactUrlsIn, redactWebhook } from "./secrets.js";
import type { AccessEntry, AcquireSettings, ActionSettings, NotifySettings, Settings, VerifySettings } from "./settings.js";

/** A value of a description: what JSON can carry. */
export type Described = null | string | number | boolean | readonly unknown[] | { readonly [key: string]: unknown };

/** The settings as plain data, keyed as in a file. Leaves out what has neither value nor default. */
export function describeSettings(settings: Settings): { readonly [key: string]: Described } {
  const { locks } = settings;
  return {
    node: settings.node,
    group: settings.group,
    membership: exactDuration(settings.membershipMs),
    principal: settings.principal,
    coordinator: redactUrl(settings.coordinator),
    state_dir: settings.stateDir,
    acquire: describeAcquire(settings.acquire),
    connect_timeout: exactDuration(settings.connectTimeoutMs),
    session_timeout: exactDuration(settings.sessionTimeoutMs),
    release_timeout: exactDuration(settings.releaseTimeoutMs),
    skip_coordination: settings.skipCoordination,
    log: { ...settings.log },
    history: {
      keep: settings.history.keep,
      for: exactDuration(settings.history.forMs),
      total: settings.history.total,
    },
    windows: settings.windows.map(describeWindow),
    notify: settings.notify.map(describeReceiver),
    actions: Object.fromEntries(settings.actions.map((action) => [action.name, describeAction(action)])),
    locks: Object.fromEntries(
      [...locks].map(([name, lock]) => [
        name,
        {
          ...(lock.ttlMs === null ? {} : { ttl: exactDuration(lock.ttlMs) }),
          ...(lock.principal === null ? {} : { principal: lock.principal }),
          ...(lock.coordinator === null ? {} : { coordinator: redactUrl(lock.coordinator) }),
        },
      ]),
    ),
    serve: withoutNull({
      listen: settings.serve.listen,
      port: settings.serve.port,
      cert: settings.serve.cert,
      key: settings.serve.key,
      client_ca: settings.serve.clientCa,
      rate: settings.serve.rate,
    }),
    ...(settings.access.size === 0 ? {} : { access: Object.fromEntries([...settings.access].map(describeAccess)) }),
    ...(settings.groups.size === 0 ? {} : { groups: Object.fromEntries(settings.groups) }),
    ...(settings.dependencies.size === 0 ? {} : { dependencies: Object.fromEntries(settings.dependencies) }),
  };
}

function describeAccess([name, { password, token, certificate, may, locks }]: readonly [string, AccessEntry]) {
  const hidden = (hash: string | null): string | null => (hash === null ? null : HIDDEN);
  return [name, withoutNull({ password: hidden(password), token: hidden(token), certificate, may, locks })] as const;
}

/** A duration that parses back to exactly the same: "90 s", "10 min", "250 ms", or "none". */
export function exactDuration(ms: number | null): string {
  if (ms === null) return "none";
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const unit = units.find(([size]) => ms >= size && ms % size === 0);
  return unit === undefined ? `${decimal(ms)} ms` : `${ms / unit[0]} ${unit[1]}`;
}

// Never as 1e-7, which does not parse as a duration.
function decimal(ms: number): string {
  return Number.isInteger(ms) ? String(ms) : ms.toFixed(9).replace(/0+$/, "");
}

function describeAction(action: ActionSettings): Described {
  const { process, needed, before, after, verify } = action;
  return {
    mode: action.mode,
    lock: action.lock,
    ...describeCommand(action.argv),
    timeout: exactDuration(action.timeoutMs),
    kill_after: exactDuration(action.killAfterMs),
    acquire: describeAcquire(action.acquire),
    slots: describeSlots(action),
    ...(action.key === null ? {} : { key: action.key }),
    ...(process === null
      ? {}
      : {
          process: withoutNull({
            command_string: process.commandString,
            full_cmd: process.fullCmd,
            user: process.user,
            must_restart: action.mustRestart,
          }),
          already_restarted: action.alreadyRestarted,
        }),
    ...(needed === null ? {} : { needed: describeNeeded(needed) }),
    windows: action.windows.map(describeWindow),
    blockers: action.blockers.map(describeBlocker),
    ...(before === null ? {} : { before: describeHook(before) }),
    ...(after === null ? {} : { after: { ...describeHook(after), when: after.when } }),
    ...(verify === null ? {} : { verify: describeVerify(verify) }),
    soak: exactDuration(action.soakMs),
    not_now: action.notNow,
    on_failure: action.onFailure,
    env: Object.fromEntries(
      Object.entries(action.env).map(([name, value]) => [name, isSecretName(name) ? HIDDEN : redactUrlsIn(value)]),
    ),
    ...(action.cwd === null ? {} : { cwd: action.cwd }),
    ...(action.data === null ? {} : { data: action.data }),
  };
}

function describeSlots({ slots, percent }: ActionSettings): string | number {
  if (percent !== null) return `${percent}%`;
  return slots === Number.POSITIVE_INFINITY ? "unlimited" : slots;
}

function describeNeeded({ file, changed, outdated, argv }: NeededSettings): Described {
  return withoutNull({
    file,
    changed: changed.length === 0 ? null : changed,
    outdated,
    ...(argv === null ? {} : describeCommand(argv)),
  });
}

function describeWindow({ days, startMinute, forMs, zone }: WindowSettings): Described {
  const digits = (number: number) => String(number).padStart(2, "0");
  return withoutNull({
    days: days.length === WEEKDAYS.length ? null : days,
    start: `${digits(Math.floor(startMinute / 60))}:${digits(startMinute % 60)}`,
    for: exactDuration(forMs),
    zone,
  });
}

function describeBlocker(blocker: BlockerSettings): Described {
  const { name, timeoutMs } = blocker;
  const timeout = exactDuration(timeoutMs);
  if (blocker.type === "command") return { name, ...describeCommand(blocker.argv), timeout };
  const { url, alerts, ignore } = blocker;
  return withoutNull({ name, prometheus: redactHttpUrl(url), alerts, ignore, timeout });
}

function describeHook({ argv, timeoutMs }: HookSettings) {
  return { ...describeCommand(argv), timeout: exactDuration(timeoutMs) };
}

function describeReceiver({ on, to }: NotifySettings): Described {
  return { on, ...("url" in to ? { url: redactWebhook(to.url) } : describeCommand(to.argv)) };
}

function describeVerify({ argv, intervalMs, timeoutMs, passes }: VerifySettings): Described {
  return { ...describeCommand(argv), interval: exactDuration(intervalMs), timeout: exactDuration(timeoutMs), passes };
}

function describeAcquire(acquire: AcquireSettings): Described {
  // People write 0, without a unit, for not waiting.
  return {
    sleep_time: exactDuration(acquire.sleepTimeMs),
    timeout: acquire.timeoutMs === 0 ? 0 : exactDuration(acquire.timeoutMs),
    behind_failed: acquire.behindFailed ?? "wait",
  };
}

function describeCommand(argv: readonly string[]): { command?: readonly string[]; shell?: string } {
  if (argv.length === 0) return {};
  const [program, option, text] = argv;
  if (argv.length === 3 && program === "/bin/sh" && option === "-c") return { shell: redactUrlsIn(text as string) };
  return { command: argv.map(redactUrlsIn) };
}

function withoutNull(parts: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== null));
}
