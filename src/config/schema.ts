// Every setting outside `actions` and `locks`, in one table: where the file, `check`, the environment and README take
// its name, its default and its meaning from. Owns no values; load.ts puts those together.
import convict from "convict";
import { coordinatorUrlProblem } from "../coordinators/urls.js";
import {
  createField,
  readBoolean,
  readChoice,
  readDurationMs,
  readDurationOrNoneMs,
  readLabel,
  readText,
  readWhole,
} from "./field.js";
import type { Field } from "./field.js";
import { HISTORY_TOTAL } from "../locks/history-bounds.js";
import { createProblems, plainOrigin } from "./problems.js";
import type { Settings } from "./settings.js";

/** Which settings there are, and what each one's value is once it has been read. */
export interface SettingValues {
  readonly node: string;
  readonly principal: string;
  readonly coordinator: string;
  readonly state_dir: string;
  readonly "acquire.sleep_time": number;
  readonly "acquire.timeout": number | null;
  readonly connect_timeout: number;
  readonly session_timeout: number;
  readonly release_timeout: number;
  readonly skip_coordination: boolean;
  readonly "log.level": Settings["log"]["level"];
  readonly "log.format": Settings["log"]["format"];
  readonly "history.keep": number;
  readonly "history.for": number | null;
  readonly "history.total": number;
  readonly "serve.listen": string;
  readonly "serve.port": number;
  readonly "serve.cert": string;
  readonly "serve.key": string;
  readonly "serve.client_ca": string;
  readonly "serve.rate": number;
}

export type SettingPath = keyof SettingValues;

export interface Setting<T = unknown> {
  /** What it is for, in one line. */
  readonly doc: string;
  /** As it would be written in a file; `null` where it depends on the machine, as `defaultDoc` says. */
  readonly default: string | null;
  readonly defaultDoc: string | null;
  /** A value that differs from the default, for documents. */
  readonly example: string;
  readonly read: (field: Field) => T | undefined;
}

// In the order in which people read them. A default is text and not a value: convict turns the text of a variable into
// a number or a boolean wherever the default is one, and takes "30 parsecs" for 30.
export const SETTINGS: { readonly [P in SettingPath]: Setting<SettingValues[P]> } = {
  node: {
    doc: "this machine's name; claims are known by it, so each node needs its own",
    default: null,
    defaultDoc: "this machine's fully qualified name",
    example: "web-07.example.com",
    read: readLabel,
  },
  principal: {
    doc: "who acts: shown with claims and in the history",
    default: null,
    defaultDoc: "user@node; under sudo, who called it",
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
    doc: "the longest pause between looks where nothing wakes the waiter sooner",
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
  connect_timeout: {
    doc: "how long to try to reach the coordinator before giving up",
    default: "10 s",
    defaultDoc: null,
    example: "5 s",
    read: (field) => readDurationMs(field),
  },
  session_timeout: {
    doc: "how long the coordinator waits for a silent agent before its place in line is gone",
    default: "15 s",
    defaultDoc: null,
    example: "30 s",
    read: (field) => readDurationMs(field),
  },
  release_timeout: {
    doc: "how long to go on trying to release a lock after its action",
    default: "60 s",
    defaultDoc: null,
    example: "5 min",
    read: (field) => readDurationMs(field, { zero: true }),
  },
  skip_coordination: {
    doc: "true: `run` runs without any lock, and says so; `exec`, `acquire` and `lock` take theirs all the same",
    default: "false",
    defaultDoc: null,
    example: "true",
    read: readBoolean,
  },
  "log.level": {
    doc: "the least that is logged: debug, info, warn, error or silent",
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
    doc: "how many records of the history are kept for each lock",
    default: "100",
    defaultDoc: null,
    example: "1000",
    read: (field) => readWhole(field, 1, 100_000),
  },
  "history.for": {
    doc: "how long records of the history are kept at most; none: there is no limit",
    default: "none",
    defaultDoc: null,
    example: "90 days",
    read: (field) => readDurationOrNoneMs(field, { most: Number.MAX_SAFE_INTEGER }),
  },
  "history.total": {
    doc: "how many records of the history are kept of all locks together",
    default: String(HISTORY_TOTAL),
    defaultDoc: null,
    example: "50000",
    read: (field) => readWhole(field, 1, 1_000_000),
  },
  "serve.listen": {
    doc: "the address on which holdline serve listens",
    default: "127.0.0.1",
    defaultDoc: null,
    example: "10.0.0.5",
    read: readLabel,
  },
  "serve.port": {
    doc: "the port on which holdline serve listens; 0: any that is free",
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
    doc: "the file with the authorities (PEM) whose client certificates are taken as credentials",
    default: null,
    defaultDoc: "none: no client certificates",
    example: "/etc/holdline/clients.crt",
    read: readPath,
  },
  "serve.rate": {
    doc: "requests a second that one address may make, and as many more at once; 0: any number",
    default: "500",
    defaultDoc: null,
    example: "50",
    read: (field) => readWhole(field, 0, 1_000_000),
  },
};

/** The settings' paths in the table's order. */
export const SETTING_PATHS = Object.keys(SETTINGS) as readonly SettingPath[];

/** The environment variable of a setting: `acquire.timeout` is `HOLDLINE_ACQUIRE_TIMEOUT`. */
export function variableOf(path: SettingPath): string {
  return `HOLDLINE_${path.replaceAll(".", "_").toUpperCase()}`;
}

/** The variables of this family that are no settings: the first is for us, the others are what a guarded command sees. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  HOLDLINE_CONFIG: "the configuration file, where --config names none",
  HOLDLINE_ACTION: "given to a guarded command: the name of its action",
  HOLDLINE_LOCK: "given to a guarded command: the lock under which it runs",
  HOLDLINE_CLAIM: "given to a guarded command: the id of its claim",
  HOLDLINE_WITHIN: "given to a guarded command: the claims around its own, where holdline runs under holdline",
  HOLDLINE_FENCING_TOKEN: "given to a guarded command: a number that grows with every change of holder",
};

/** What has been said of settings, by path. A value is as it was written, or as YAML makes it. */
export type Layer = ReadonlyMap<SettingPath, unknown>;

/**
 * What is in force of what file, environment and flags say: flags win over the environment, which wins over the file.
 * All of it must have been checked before, field by field: convict's own words name no file and no line.
 */
export function mergeLayers(file: Layer, env: Readonly<Record<string, string>>, flags: Layer): (path: SettingPath) => unknown {
  const schema: Record<string, unknown> = {};
  for (const path of SETTING_PATHS) putAt(schema, path, convictSchema(path));
  const merged = convict<Record<string, unknown>>(schema as convict.Schema<Record<string, unknown>>, { env, args: [] });
  const tree: Record<string, unknown> = {};
  for (const [path, value] of file) putAt(tree, path, value);
  merged.load(tree);
  for (const [path, value] of flags) merged.set(path, value);
  merged.validate({ allowed: "strict" });
  return (path): unknown => merged.get(path);
}

function convictSchema(path: SettingPath) {
  const { doc, default: value, read } = SETTINGS[path];
  return {
    doc,
    default: value,
    nullable: true,
    env: variableOf(path),
    sensitive: path === "coordinator",
    format(candidate: unknown) {
      const problems = createProblems();
      read(createField(candidate, path.split("."), plainOrigin("settings"), problems));
      problems.throwIfAny();
    },
  };
}

function putAt(tree: Record<string, unknown>, path: SettingPath, value: unknown) {
  const [first, second] = path.split(".") as [string, string | undefined];
  if (second === undefined) tree[first] = value;
  else ((tree[first] ??= {}) as Record<string, unknown>)[second] = value;
}

/** The URL of a store. */
export function readCoordinator(field: Field): string | undefined {
  const url = readNonEmpty(field);
  if (url === undefined) return undefined;
  const problem = coordinatorUrlProblem(url);
  return problem === null ? url : field.refuse(problem);
}

// Empty is no default here: a template that was rendered without its value must not silently mean a lock on this
// machine alone.
function readNonEmpty(field: Field): string | undefined {
  const text = readText(field);
  return text?.trim() === "" ? field.refuse("must not be empty; leave it out for its default") : text;
}

// No system takes a longer one, and what is made of it (the default coordinator's URL) is bounded as well.
const LONGEST_PATH_BYTES = 4_096;

function readPath(field: Field): string | undefined {
  const path = readNonEmpty(field);
  if (path === undefined || Buffer.byteLength(path) <= LONGEST_PATH_BYTES) return path;
  return field.refuse(`is a path of more than ${LONGEST_PATH_BYTES} bytes`);
}
