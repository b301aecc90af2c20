// `holdline data`: shows a claim's structured data, or changes it in place.
import type { DataChange } from "../../leases/data.js";
import { applyChanges, parseDataPath, shownPath } from "../../leases/data.js";
import { changeData, fetchData } from "../../leases/lease.js";
import { isObject } from "../../locks/claim.js";
import { HoldlineError } from "../../locks/errors.js";
import { parseAnyClaimId } from "../../locks/ids.js";
import { quoted } from "../../locks/text.js";
import type { Command, Invocation } from "../command.js";
import { parseData, parseDataText } from "../data-option.js";
import { readClaimId, readLock } from "../leases.js";
import { printDocument } from "../output.js";

export const data: Command = {
  async run(context, invocation) {
    const { lock } = readLock(context, invocation);
    const id = readClaimId(invocation, parseAnyClaimId);
    const changes = await parseChanges(invocation.options);
    const coordinator = await context.coordinator(lock);
    const { signal } = context.stop;
    const found = await (changes.length === 0
      ? fetchData(coordinator, lock, id, signal)
      : changeData(coordinator, lock, id, (present) => applyChanges(present, changes), signal));
    if (found === "gone") {
      throw new HoldlineError("nothing-there", `no claim ${id} holds ${lock}: it has ended, or still waits`, {
        hint: `holdline locks ${lock} shows who is there`,
      });
    }
    if (context.json) printDocument(context.io, { data: found.data ?? null });
    else (await import("../yaml.js")).printYaml(context.io, found.data ?? null);
    return 0;
  },
};

/**
 * The changes in the order in which they apply, whatever their order on the command line: from the whole to its parts.
 * @throws HoldlineError `usage`
 */
export async function parseChanges(options: Invocation["options"]): Promise<readonly DataChange[]> {
  const changes: DataChange[] = [];
  const { set, merge, replace } = options;
  if (typeof replace === "string") changes.push({ kind: "replace", value: await parseData(replace, "--replace") });
  if (typeof merge === "string") {
    const value = await parseData(merge, "--merge");
    if (!isObject(value)) throw new HoldlineError("usage", "--merge: must be a map of keys and values, such as { status: READY }");
    changes.push({ kind: "merge", value });
  }
  for (const text of (set ?? []) as readonly string[]) changes.push(await parseSet(text));
  return changes;
}

async function parseSet(text: string): Promise<DataChange> {
  const equals = text.indexOf("=");
  if (equals < 0) {
    throw new HoldlineError("usage", `--set ${quoted(text)}: has no value`, {
      hint: "write for example status=READY",
    });
  }
  const written = text.slice(equals + 1);
  const path = parseDataPath(text.slice(0, equals));
  const shown = shownPath(path);
  const by = `--set ${shown}`;
  const value = await parseDataText(written, by);
  const problem = problemOfValue(written.trim(), value);
  if (problem === null) return { kind: "set", path, value };
  throw new HoldlineError("usage", `${by}: ${problem}`, { hint: `for text, write ${shown}='"…"'` });
}

/** What surprises in the YAML of a value, in words that complete "--set KEY: …"; `null` if nothing does. */
function problemOfValue(written: string, value: unknown): string | null {
  if (value === null && !/^(?:|~|null|Null|NULL)$/.test(written)) return 'is empty in YAML, where a comment begins with "#"';
  if (typeof value !== "object" || value === null || /^[[{]/.test(written)) return null;
  return 'is a block of YAML; write a map or a list as "{…}" or "[…]" here';
}
