// Merges the settings of file, environment and flags. Knows no file and no variable: load.ts and environment.ts read those.
import convict from "convict";
import { createField } from "./field.js";
import { createProblems, plainOrigin } from "./problems.js";
import { defaultOf, SETTING_PATHS, SETTINGS, variableOf } from "./schema.js";
import type { SettingPath } from "./schema.js";

/** The settings that one source gives, by path: text as it was written, or a value out of YAML. */
export type Layer = ReadonlyMap<SettingPath, unknown>;

/**
 * Merges what file, environment and flags give: flags win over the environment, which wins over the file. Every field must
 * have been checked before, because convict's messages name neither file nor line.
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
  const { doc, read } = SETTINGS[path];
  return {
    doc,
    default: defaultOf(path),
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
