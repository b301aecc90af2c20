// The table of settings outside `actions` and `locks`: names, defaults and meanings for the file, the environment, `check` and
// docs/settings.md. Owns no values; load.ts puts those together.
import { coordinatorUrlProblem } from "../coordinators/urls.js";
import { readBoolean, readChoice, readDurationMs, readDurationOrNoneMs, readLabel, readText, readWhole } from "./field.js";
import type { Field } from "./field.js";
import { HISTORY_TOTAL } from "../locks/history-bounds.js";
import type { WindowSettings } from "../gates/windows.js";
import { readWindows } from "./gates.js";
import { readNotify } from "./notify.js";
import type { NotifySettings, Settings } from "./settings.js";

/** The type of each setting's value. */
export interface SettingValues {
  readonly node: string;
  readonly group: string;
  readonly membership: number;
  readonly principal: string;
  readonly coordinator: string;
  readonly state_dir: string;
  readonly "acquire.sleep_time": number;
  readonly "acquire.timeout": number | null;
  readonly "acquire.behind_failed": "wait" | "leave";
  readonly connect_timeout: number;
  readonly session_timeout: number;
  readonly release_timeout: number;
  readonly skip_coordination: boolean;
  readonly "log.level": Settings["log"]["level"];
  readonly "log.format": Settings["log"]["format"];
  readonly "history.keep": number;
  readonly "history.for": number | null;
  readonly "history.total": number;
  readonly windows: readonly WindowSettings[];
  readonly notify: readonly NotifySettings[];
  readonly "serve.listen": string;
  readonly "serve.port": number;
  readonly "serve.cert": string;
  readonly "serve.key": string;
  readonly "serve.client_ca": string;
  readonly "serve.rate": number;
}

export type SettingPath = keyof SettingValues;

export interface Setting<T = unknown> {
  /** Its meaning in one line. */
  readonly doc: string;
  /** As a file would have it; `null` if it depends on the machine, as `defaultDoc` says. */
  readonly default: string | null;
  readonly defaultDoc: string | null;
  /** A value that differs from the default, for documents. */
  readonly example: string;
  readonly read: (field: Field) => T | undefined;
  /** It is a list: `default` and `example` are YAML, and so is the text of its variable. The default is empty. */
  readonly isList?: true;
}

// In the order in which people read them. Defaults are text: convict turns a variable's text into a number or a boolean if the
// default is one, and takes "30 parsecs" for 30.
export const SETTINGS: { readonly [P in SettingPath]: Setting<SettingValues[P]> } = {
  node: {
    doc: "this machine's name; claims are known by it, so each node needs its own",
    default: null,
    defaultDoc: "this machine's fully qualified name",
    example: "web-07.example.com",
    read: readLabel,
  },
  group: {
    doc: "what this node counts with in percentages, freezes and rollouts",
    default: "default",
    defaultDoc: null,
    example: "web",
    read: readLabel,
  },
  membership: {
    doc: "how long a node counts in its group's percentages after it was last seen",
    default: "7 days",
    defaultDoc: null,
    example: "2 days",
    read: (field) => readDurationMs(field),
  },
  principal: {
    doc: "who acts: shown with claims and in the history",
    default: null,
    defaultDoc: "user@node; under sudo, the user who called it",
    example: "deploy@example.com",
    read: readLabel,
  },
  coordinator: {
    doc: "the store of the queues, as a URL",
    default: null,
    defaultDoc: "sqlite://<state_dir>/holdline.db",
    example: "zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline",
    read: readCoordinator,
  },
  state_dir: {
    doc: "where this node keeps its journal",
    default: null,
    defaultDoc: "/var/lib/holdline for root; else $XDG_STATE_HOME/holdline",
    example: "/srv/holdline",
    read: readPath,
  },
  "acquire.sleep_time": {
    doc: "the longest pause between two looks, unless something wakes the waiter sooner",
    default: "0.25 s",
    defaultDoc: null,
    example: "1 s",
    read: (field) => readDurationMs(field),
  },
  "acquire.timeout": {
    doc: "how long to wait for a lock; 0: do not wait, none: for ever",
    default: "30 s",
    defaultDoc: null,
    example: "10 min",
    read: (field) => readDurationOrNoneMs(field, { zero: true }),
  },
  "acquire.behind_failed": {
    doc: "wait, or leave: give up at once when the lock's holder has failed",
    default: "wait",
    defaultDoc: null,
    example: "leave",
    read: (field) => readChoice(field, ["wait", "leave"]),
  },
  connect_timeout: {
    doc: "how long to try to reach the coordinator before giving up",
    default: "10 s",
    defaultDoc: null,
    example: "5 s",
    read: (field) => readDurationMs(field),
  },
  session_timeout: {
    doc: "how long a silent agent keeps its place in line",
    default: "15 s",
    defaultDoc: null,
    example: "30 s",
    read: (field) => readDurationMs(field),
  },
  release_timeout: {
    doc: "how long to keep trying to release a lock after its action",
    default: "60 s",
    defaultDoc: null,
    example: "5 min",
    read: (field) => readDurationMs(field, { zero: true }),
  },
  skip_coordination: {
    doc: "true: `run` runs without any lock, and says so; `exec`, `acquire` and `lock` still take theirs",
    default: "false",
    defaultDoc: null,
    example: "true",
    read: readBoolean,
  },
  "log.level": {
    doc: "the lowest level to log: debug, info, warn, error or silent",
    default: "info",
    defaultDoc: null,
    example: "debug",
    read: (field) => readChoice(field, ["debug", "info", "warn", "error", "silent"]),
  },
  "log.format": {
    doc: "text, json, or auto: text on a terminal and JSON lines elsewhere",
    default: "auto",
    defaultDoc: null,
    example: "json",
    read: (field) => readChoice(field, ["auto", "text", "json"]),
  },
  "history.keep": {
    doc: "how many records of the history to keep of each lock",
    default: "100",
    defaultDoc: null,
    example: "1000",
    read: (field) => readWhole(field, 1, 100_000),
  },
  "history.for": {
    doc: "how long to keep records of the history; none: no limit",
    default: "none",
    defaultDoc: null,
    example: "90 days",
    read: (field) => readDurationOrNoneMs(field, { most: Number.MAX_SAFE_INTEGER }),
  },
  "history.total": {
    doc: "how many records of the history to keep of all locks together",
    default: String(HISTORY_TOTAL),
    defaultDoc: null,
    example: "50000",
    read: (field) => readWhole(field, 1, 1_000_000),
  },
  windows: {
    doc: "when actions without windows of their own may begin: a list of windows; []: at any time",
    default: "[]",
    defaultDoc: null,
    example: '[{ days: [sat, sun], start: "02:00", for: 4 h, zone: Europe/Berlin }]',
    read: readWindows,
    isList: true,
  },
  notify: {
    doc: "receivers of notices about failures and freezes, as a list",
    default: "[]",
    defaultDoc: null,
    example: '[{ on: [failed, stale], url: "https://chat.example.com/hooks/x" }]',
    read: readNotify,
    isList: true,
  },
  "serve.listen": {
    doc: "the address that holdline serve listens on",
    default: "127.0.0.1",
    defaultDoc: null,
    example: "10.0.0.5",
    read: readLabel,
  },
  "serve.port": {
    doc: "the port that holdline serve listens on; 0: any free one",
    default: "3000",
    defaultDoc: null,
    example: "8443",
    read: (field) => readWhole(field, 0, 65_535),
  },
  "serve.cert": {
    doc: "the file with the server's certificate (PEM), for HTTPS",
    default: null,
    defaultDoc: "none: HTTP",
    example: "/etc/holdline/server.crt",
    read: readPath,
  },
  "serve.key": {
    doc: "the file with the certificate's key (PEM)",
    default: null,
    defaultDoc: "none: HTTP",
    example: "/etc/holdline/server.key",
    read: readPath,
  },
  "serve.client_ca": {
    doc: "the file with the authorities (PEM) whose client certificates count as credentials",
    default: null,
    defaultDoc: "none: no client certificates",
    example: "/etc/holdline/clients.crt",
    read: readPath,
  },
  "serve.rate": {
    doc: "requests per second from one address, and as many more in a burst; 0: no limit",
    default: "500",
    defaultDoc: null,
    example: "50",
    read: (field) => readWhole(field, 0, 1_000_000),
  },
};

/** The settings' paths in the table's order. */
export const SETTING_PATHS = Object.keys(SETTINGS) as readonly SettingPath[];

/** A setting's default as a value of YAML; `null` if it depends on the machine. */
export function defaultOf(path: SettingPath): unknown {
  const { default: value, isList } = SETTINGS[path];
  return isList === true ? [] : value;
}

/** The environment variable of a key: `acquire.timeout` is `HOLDLINE_ACQUIRE_TIMEOUT`. */
export function variableOf(path: string): string {
  return `HOLDLINE_${path.replaceAll(".", "_").toUpperCase()}`;
}

/** The variables with this prefix that are no settings. We read the first; a guarded command gets the others. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  HOLDLINE_CONFIG: "the configuration file, unless --config names one",
  HOLDLINE_PLUGINS: "folders with packages holdline-coordinator-NAME, for the stores of other people",
  HOLDLINE_ACTION: "given to a guarded command: the name of its action",
  HOLDLINE_LOCK: "given to a guarded command: the lock that it runs under",
  HOLDLINE_CLAIM: "given to a guarded command: the id of its claim",
  HOLDLINE_WITHIN: "given to a guarded command: the claims that enclose its own, if holdline runs under holdline",
  HOLDLINE_OUTCOME: "given to the hook after: how the action ended",
  HOLDLINE_FENCING_TOKEN: "given to a guarded command: a number that grows with every change of holder",
};

/** The URL of a store. */
export function readCoordinator(field: Field): string | undefined {
  const url = readNonEmpty(field);
  if (url === undefined) return undefined;
  const problem = coordinatorUrlProblem(url);
  return problem === null ? url : field.refuse(problem);
}

// Empty does not mean the default: a template that was rendered without its value must not quietly give a lock on this machine
// alone.
function readNonEmpty(field: Field): string | undefined {
  const text = readText(field);
  return text?.trim() === "" ? field.refuse("must not be empty; leave it out for its default") : text;
}

// No system takes a longer path, and the URL that is made of one (the default coordinator's) is bounded as well.
const LONGEST_PATH_BYTES = 4_096;

function readPath(field: Field): string | undefined {
  const path = readNonEmpty(field);
  if (path === undefined || Buffer.byteLength(path) <= LONGEST_PATH_BYTES) return path;
  return field.refuse(`is a path of more than ${LONGEST_PATH_BYTES} bytes`);
}
