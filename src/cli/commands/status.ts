// `holdline status`: shows whether a host, or a lock of that name, is locked, by which types and by whom. The exit code does not
// depend on the answer.
import { readChoice } from "../../config/field.js";
import type { Settings } from "../../config/settings.js";
import { knownAs, knownHosts } from "../../leases/hosts.js";
import { isObject } from "../../locks/claim.js";
import { HoldlineError } from "../../locks/errors.js";
import { canonicalHost, hostLock, hostProblem, parseLockName } from "../../locks/names.js";
import { statusAsJson } from "../../views/json.js";
import { typesOf } from "../../views/lock.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { warnOfOtherName } from "../hosts.js";
import { renderLocks } from "../listing.js";
import type { SeenLock } from "../../views/queues.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { readLocks } from "../../views/queues.js";
import { sanitize } from "../render.js";
import { viewOf } from "../table.js";
import type { View } from "../table.js";

const FORMATS = ["text", "json", "yaml"] as const;
type Format = (typeof FORMATS)[number];

export const status: Command = {
  async run(context, { args, options }) {
    const { host, names } = locksNamed(args[0] ?? "", context.settings);
    const format = readFormat(options, context.json);
    const [first, ...others] = await readStates(context, names);
    if (first === undefined) throw new HoldlineError("bug", "a status of no lock");
    if (host !== null && isFree(first)) await warnOfOtherName(context, host);
    if (format === "json") printDocument(context.io, { ...statusAsJson(first), also: others.map(statusAsJson) });
    else if (format === "yaml") (await import("../yaml.js")).printYaml(context.io, statusForPylok(first));
    else printLines(context.io, renderStatus([first, ...others], viewOf(context)));
    return 0;
  },
};

/** The locks that a name may mean: the host's lock, and the lock of that very name. */
function locksNamed(
  name: string,
  { node, dependencies }: Settings,
): { readonly host: string | null; readonly names: readonly string[] } {
  const lock = parseLockName(name);
  if (hostProblem(canonicalHost(name)) !== null) return { host: null, names: [lock] };
  const host = knownAs(canonicalHost(name), knownHosts(node, dependencies));
  return { host, names: [hostLock(host), lock] };
}

function readFormat(options: Invocation["options"], json: boolean): Format {
  const format = readOption<Format, Format>(options, "format", (field) => readChoice(field, FORMATS), json ? "json" : "text");
  if (!json || format === "json") return format;
  throw new HoldlineError("usage", `--json and --format ${format} exclude each other`);
}

/** The locks that somebody claims; if there are none, the first lock. */
async function readStates(context: Context, names: readonly string[]): Promise<readonly SeenLock[]> {
  const seen = await Promise.all(names.map((name) => readLocks(context, name, context.stop.signal)));
  const claimed = seen.flat();
  return claimed.length > 0 ? claimed : names.slice(0, 1).map((lock) => ({ lock, holders: [], waiting: [], now: 0 }));
}

function isFree({ holders, waiting }: SeenLock): boolean {
  return holders.length + waiting.length === 0;
}

/** Locks as lines of text, one after another. */
export function renderStatus(states: readonly SeenLock[], view: View): string[] {
  return states.flatMap((seen, index) => {
    const types = typesOf(seen.holders);
    const words = types.length === 0 ? "is not locked" : `is locked: ${types.join(", ")}`;
    const title = view.paint("bold", sanitize(`${seen.lock} ${words}`));
    return [...(index === 0 ? [] : [""]), title, ...(isFree(seen) ? [] : renderLocks([seen], view))];
  });
}

/**
 * The form that Pylok's users read: whether the lock is held, and the holder's data at the top level, where it overrides all but
 * that fact. Data that is no map goes under `data`.
 */
export function statusForPylok({ lock, holders }: SeenLock): object {
  const isLocked = holders.length > 0;
  const data = holders.map((claim) => claim.data).find((said) => said !== null && said !== undefined);
  const ours = { lock_file_status: "", lock_action: "status", lock_file_location: isLocked ? lock : null };
  const theirs = data === undefined ? {} : isObject(data) ? data : { data };
  return { ...ours, ...theirs, lock_file_status: isLocked ? "locked" : "unlocked" };
}
