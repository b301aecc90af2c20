// Puts the settings together from defaults, file, environment and flags. Reports everything that is wrong at once.
import { dirname, join } from "node:path";
import { parseActions } from "./actions.js";
import { sqliteUrl } from "../coordinators/urls.js";
import type { DependencyMap } from "../leases/dependencies.js";
import { environmentFields, FILE_PARTS } from "./environment.js";
import { createField, readKnownMap } from "./field.js";
import type { Field } from "./field.js";
import { findConfig, readNamed } from "./file.js";
import type { ConfigText } from "./file.js";
import { parseDependencies, parseLocks } from "./locks.js";
import { parseAccess, parseGroups } from "./serve.js";
import { absolutePath } from "./paths.js";
import { mergeLayers } from "./layers.js";
import { countedApart, createProblems, plainOrigin } from "./problems.js";
import type { Problems } from "./problems.js";
import { SETTING_PATHS, SETTINGS, variableOf } from "./schema.js";
import type { SettingPath, SettingValues } from "./schema.js";
import type { SettingOrigin, Settings } from "./settings.js";
import { defaultStateDir, qualifiedName } from "./surroundings.js";
import type { Surroundings } from "./surroundings.js";

export interface LoadRequest {
  /** The file that `--config` names; `null` when it was not given. */
  readonly config: string | null;
  /** The settings that flags give: `coordinator`, `log.level`, … */
  readonly flags: ReadonlyMap<SettingPath, string>;
  readonly surroundings: Surroundings;
}

/** The flags behind settings, for messages. */
const FLAG_NAMES: Partial<Record<SettingPath, string>> = { coordinator: "--coordinator", "log.level": "--quiet or --verbose" };

/**
 * Loads the settings in force.
 * @throws HoldlineError `configuration` with one line for each problem: its file and line, its key, and what would be right
 */
export async function loadSettings(request: LoadRequest): Promise<Settings> {
  const problems = createProblems();
  const { config, passedOver } = findConfig(request.config, request.surroundings);
  const file = config === null ? NO_FILE : await readFile(config, problems);
  const layers: Layers = {
    file: file.settings,
    environment: await environmentFields(request.surroundings.env, problems),
    flags: flagFields(request.flags, problems),
  };
  for (const layer of [layers.file, layers.environment, layers.flags]) {
    for (const [path, field] of layer) SETTINGS[path].read(field);
  }
  // Parsed even if a setting is wrong, so that all problems are reported at once.
  const values = problems.lines.length === 0 ? valuesOf(layers) : null;
  const acquire = {
    sleepTimeMs: values?.("acquire.sleep_time") ?? 0,
    timeoutMs: values?.("acquire.timeout") ?? null,
    behindFailed: values?.("acquire.behind_failed") ?? ("wait" as const),
  };
  const windows = values?.("windows") ?? [];
  const { cwd, homedir } = request.surroundings;
  const fileBase = config === null ? cwd : dirname(config.path);
  const patterns: [Field, string][] = [];
  const actions = parseActions(file.actions, {
    acquire,
    windows,
    directory: (path) => absolutePath(path, fileBase, homedir),
    onPattern: (field, pattern) => patterns.push([field, pattern]),
  });
  const locks = parseLocks(file.locks);
  const dependencies = await dependenciesIn(file.dependencies, fileBase, homedir, problems);
  const access = parseAccess(file.access);
  const groups = parseGroups(file.groups);
  await checkPatterns(patterns);
  problems.throwIfAny();

  const get = values as NonNullable<typeof values>;
  const origins = originsOf(layers);
  const node = get("node") ?? qualifiedName(request.surroundings);
  const located = (path: SettingPath, text: string): string =>
    absolutePath(text, origins.get(path) === "file" ? fileBase : cwd, homedir);
  const fileAt = (path: "serve.cert" | "serve.key" | "serve.client_ca"): string | null => {
    const text = get(path);
    return text === null ? null : located(path, text);
  };
  const stateDir = located("state_dir", get("state_dir") ?? defaultStateDir(request.surroundings));
  return {
    file: config?.path ?? null,
    node,
    group: get("group") as string,
    membershipMs: get("membership") as number,
    windows,
    notify: get("notify") as Settings["notify"],
    principal: get("principal") ?? `${request.surroundings.user}@${node}`,
    coordinator: get("coordinator") ?? sqliteUrl(join(stateDir, "holdline.db")),
    stateDir,
    acquire,
    connectTimeoutMs: get("connect_timeout") as number,
    sessionTimeoutMs: get("session_timeout") as number,
    releaseTimeoutMs: get("release_timeout") as number,
    skipCoordination: get("skip_coordination") as boolean,
    log: { level: get("log.level") as Settings["log"]["level"], format: get("log.format") as Settings["log"]["format"] },
    history: {
      keep: get("history.keep") as number,
      forMs: get("history.for"),
      total: get("history.total") as number,
    },
    actions,
    locks,
    dependencies,
    serve: {
      listen: get("serve.listen") as string,
      port: get("serve.port") as number,
      cert: fileAt("serve.cert"),
      key: fileAt("serve.key"),
      clientCa: fileAt("serve.client_ca"),
      rate: get("serve.rate") as number,
    },
    access,
    groups,
    origins,
    passedOver,
  };
}

type Fields = ReadonlyMap<SettingPath, Field>;

interface Layers {
  readonly file: Fields;
  readonly environment: Fields;
  readonly flags: Fields;
}

interface FileFields {
  readonly settings: Fields;
  readonly actions: Field | undefined;
  readonly locks: Field | undefined;
  readonly dependencies: Field | undefined;
  readonly access: Field | undefined;
  readonly groups: Field | undefined;
}

const NO_FILE: FileFields = {
  settings: new Map(),
  actions: undefined,
  locks: undefined,
  dependencies: undefined,
  access: undefined,
  groups: undefined,
};

async function readFile({ path, text }: ConfigText, problems: Problems): Promise<FileFields> {
  const { parseYaml } = await import("./document.js");
  const { value, origin } = parseYaml(text, path, problems);
  if (problems.lines.length > 0) return NO_FILE;
  const groups = new Map<string, string[]>();
  for (const setting of SETTING_PATHS) {
    const [group, key] = setting.split(".") as [string, string | undefined];
    groups.set(group, [...(groups.get(group) ?? []), ...(key === undefined ? [] : [key])]);
  }
  const root = readKnownMap(createField(value, [], origin, problems), [...groups.keys(), ...FILE_PARTS]);
  const settings = new Map<SettingPath, Field>();
  for (const [group, keys] of groups) {
    const field = root?.get(group);
    if (field === undefined) continue;
    if (keys.length === 0) settings.set(group as SettingPath, field);
    else for (const [key, child] of readKnownMap(field, keys) ?? []) settings.set(`${group}.${key}` as SettingPath, child);
  }
  const parts = Object.fromEntries(FILE_PARTS.map((part) => [part, root?.get(part)]));
  return { ...NO_FILE, ...parts, settings };
}

/** Reads the map, or the YAML or JSON file that the field names. */
async function dependenciesIn(
  field: Field | undefined,
  base: string | null,
  homedir: string,
  problems: Problems,
): Promise<DependencyMap> {
  if (typeof field?.value !== "string") return parseDependencies(field);
  if (field.value === "") return (field.refuse("names no file; leave it out if no host depends on another"), new Map());
  return readDependencies(absolutePath(field.value, base, homedir), "dependencies", problems);
}

/**
 * Reads a map of hosts from a file of its own.
 * @param by what names the file, for messages
 */
export async function readDependencies(path: string, by: string, problems: Problems): Promise<DependencyMap> {
  const { text } = readNamed(path, by);
  const { parseYaml } = await import("./document.js");
  // A problem elsewhere must not stop parsing this file.
  const { value, origin } = parseYaml(text, path, countedApart(problems));
  return parseDependencies(createField(value, [], origin, problems));
}

function flagFields(flags: LoadRequest["flags"], problems: Problems): Fields {
  const entries = [...flags].map(
    ([path, value]) => [path, createField(value, [], plainOrigin(FLAG_NAMES[path] ?? path), problems)] as const,
  );
  return new Map(entries);
}

/** The values in force, from fields without problems; a value is `null` if its default depends on the machine. */
function valuesOf(layers: Layers) {
  const raw = (fields: Fields) => new Map([...fields].map(([path, { value }]) => [path, value]));
  const given = [...layers.environment];
  const env = given.filter(([path]) => !SETTINGS[path].isList).map(([path, { value }]) => [variableOf(path), String(value)]);
  const lists = given.filter(([path]) => SETTINGS[path].isList).map(([path, { value }]) => [path, value] as const);
  // convict takes variables for text; no flag gives a list.
  const above = new Map([...lists, ...raw(layers.flags)]);
  const merged = mergeLayers(raw(layers.file), Object.fromEntries(env) as Record<string, string>, above);
  const problems = createProblems();
  const values = new Map<SettingPath, unknown>();
  for (const path of SETTING_PATHS) {
    const value = merged(path);
    // The file's field knows how a number was written: a node called 010 is not 10.
    const field = winner(layers, path)?.field ?? createField(value, path.split("."), plainOrigin("default"), problems);
    values.set(path, value === null ? null : SETTINGS[path].read(field));
  }
  problems.throwIfAny();
  return <P extends SettingPath>(path: P) => values.get(path) as SettingValues[P] | null;
}

function winner(layers: Layers, path: SettingPath): { readonly origin: SettingOrigin; readonly field: Field } | null {
  for (const [origin, fields] of [
    ["flag", layers.flags],
    ["environment", layers.environment],
    ["file", layers.file],
  ] as const) {
    const field = fields.get(path);
    if (field !== undefined) return { origin, field };
  }
  return null;
}

function originsOf(layers: Layers): ReadonlyMap<string, SettingOrigin> {
  return new Map(SETTING_PATHS.map((path) => [path, winner(layers, path)?.origin ?? "default"]));
}

async function checkPatterns(patterns: readonly [Field, string][]): Promise<void> {
  if (patterns.length === 0) return;
  const { RE2JS } = await import("re2js");
  for (const [field, pattern] of patterns) {
    try {
      RE2JS.compile(pattern);
    } catch (error) {
      const why = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
      field.refuse(`is not a regular expression in RE2 syntax: ${why.length > 100 ? `${why.slice(0, 100)}…` : why}`);
    }
  }
}
