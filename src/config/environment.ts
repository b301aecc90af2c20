// Reads settings from environment variables: HOLDLINE_NODE, HOLDLINE_ACQUIRE_TIMEOUT, …
import { nearestTo } from "../locks/nearest.js";
import { shortened } from "../locks/text.js";
import { createField } from "./field.js";
import type { Field } from "./field.js";
import { countedApart, plainOrigin } from "./problems.js";
import type { Problems } from "./problems.js";
import { OTHER_VARIABLES, SETTING_PATHS, SETTINGS, variableOf } from "./schema.js";
import type { SettingPath } from "./schema.js";
import type { Surroundings } from "./surroundings.js";

/** The parts of a configuration that only a file has. */
export const FILE_PARTS = ["actions", "locks", "dependencies", "access", "groups"] as const;

const LONGEST_VARIABLE = 100;

/** The settings that variables give, unchecked. Records variables that nothing reads. */
export async function environmentFields(env: Surroundings["env"], problems: Problems): Promise<ReadonlyMap<SettingPath, Field>> {
  const fields = new Map<SettingPath, Field>();
  const variables = new Map(SETTING_PATHS.map((path) => [variableOf(path), path]));
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith("HOLDLINE_") || Object.hasOwn(OTHER_VARIABLES, name)) continue;
    const path = variables.get(name);
    if (path !== undefined) {
      const field = SETTINGS[path].isList
        ? await listField(value, path, problems)
        : createField(value, path.split("."), plainOrigin(name), problems);
      if (field !== null) fields.set(path, field);
      continue;
    }
    const part = FILE_PARTS.find((key) => variableOf(key) === name);
    if (part !== undefined) {
      problems.add(plainOrigin(name), [], `has no effect; set \`${part}\` in the configuration file`);
      continue;
    }
    // A variable with this prefix may belong to somebody else. One that is nearly a setting's is a typing mistake: with a
    // mistyped coordinator, each node would lock for itself alone.
    const near = nearestTo(name, variables.keys());
    if (near !== null)
      problems.add(plainOrigin(shortened(name, LONGEST_VARIABLE)), [], `is an unknown variable; did you mean ${near}?`);
  }
  return fields;
}

/** The list that a variable has as YAML; `null` if it is no YAML. */
async function listField(text: string, path: SettingPath, problems: Problems): Promise<Field | null> {
  const { parseYaml } = await import("./document.js");
  const name = variableOf(path);
  const apart = countedApart(problems);
  const { value, origin } = parseYaml(text, name, apart);
  if (apart.lines.length > 0) return null;
  // People look for the item, not for a line of their variable.
  return createField(
    value,
    [path],
    { ...plainOrigin(name), writtenAt: ([, ...within]: readonly string[]) => origin.writtenAt(within) },
    problems,
  );
}
