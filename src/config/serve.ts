// Parses the maps that configure `holdline serve`: who may do what (`access`), and the groups of machines that reboot under
// FleetLock (`groups`).
import { canonicalLock, lockNameProblem } from "../locks/names.js";
import { readIfThere, readKnownMap, readLabel, readMap, readText, readWhole } from "./field.js";
import type { Field } from "./field.js";
import type { KeyDoc } from "./keys.js";
import type { AccessEntry, Right } from "./settings.js";

/** The keys of one entry of `access`. */
export const ACCESS_KEYS: readonly KeyDoc[] = [
  { key: "password", default: "none", doc: "the scrypt hash of a password for basic credentials; holdline serve --hash makes one" },
  { key: "token", default: "none", doc: "the scrypt hash of a bearer token; holdline serve --hash makes one" },
  { key: "certificate", default: "none", doc: "the common name of a client certificate that serve.client_ca signed" },
  { key: "may", default: "[read]", doc: "what the caller may do: read, lock, clear" },
  { key: "locks", default: "['*']", doc: "patterns of the locks that it may do this to: * stands for any text" },
];

/** The name under `access:` for callers without credentials. */
export const ANONYMOUS = "anonymous";

/** Rights: `read` looks; `lock` takes, renews and releases; `clear` ends what belongs to others. */
export const RIGHTS = ["read", "lock", "clear"] as const satisfies readonly Right[];

const MOST_SLOTS = 1_000_000;

/** Parses `access:`. Records the problems of a wrong entry and leaves it out. */
export function parseAccess(field: Field | undefined): ReadonlyMap<string, AccessEntry> {
  const entries = new Map<string, AccessEntry>();
  const known = ACCESS_KEYS.map(({ key }) => key);
  for (const [name, child] of (field && readMap(field)) ?? []) {
    const label = readLabel({ ...child, value: name });
    if (label?.includes(":")) child.refuse('must be named without ":", which ends the name in basic credentials');
    const keys = readKnownMap(child, known);
    if (label === undefined || keys === undefined) continue;
    const password = readIfThere(keys.get("password"), readHash, null);
    const token = readIfThere(keys.get("token"), readHash, null);
    const certificate = readIfThere(keys.get("certificate"), readLabel, null);
    const may = readIfThere(keys.get("may"), readRights, ["read"] as readonly Right[]);
    const locks = readIfThere(keys.get("locks"), readPatterns, ["*"] as readonly string[]);
    if (password === undefined || token === undefined || certificate === undefined || may === undefined || locks === undefined)
      continue;
    const hasCredentials = password !== null || token !== null || certificate !== null;
    if (name === ANONYMOUS && hasCredentials) child.refuse("must have no credentials: it is for callers who have none");
    else if (name !== ANONYMOUS && !hasCredentials) child.refuse("must have a password, a token or a certificate");
    else entries.set(name, { password, token, certificate, may, locks });
  }
  return entries;
}

/** Parses `groups:`: how many machines of each group may reboot at once. */
export function parseGroups(field: Field | undefined): ReadonlyMap<string, number> {
  const groups = new Map<string, number>();
  for (const [name, child] of (field && readMap(field)) ?? []) {
    const slots = readWhole(child, 1, MOST_SLOTS);
    // The group's name becomes part of a lock's name.
    if (!GROUP.test(name) || lockNameProblem(`reboot/${name}`) !== null)
      child.refuse('must be named with letters, digits, "." and "-", which is what FleetLock allows');
    else if (slots !== undefined) groups.set(name, slots);
  }
  return groups;
}

// https://coreos.github.io/zincati/development/fleetlock/protocol/: a group is [a-zA-Z0-9.-]+
const GROUP = /^[a-zA-Z0-9.-]+$/;

/** `scrypt:N:r:p:salt:hash`, the last two in base64url. server/passwords.ts makes and checks hashes. */
const HASH = /^scrypt:(\d{4,7}):(\d{1,2}):(\d{1,2}):[\w-]{16,}:[\w-]{43}$/;

// With more, each guess of a stranger would take seconds and half a gigabyte.
const MOST_WORK = 2 ** 22;

function readHash(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  const [, N = 0, r = 0, p = 0] = (HASH.exec(text) ?? []).map(Number);
  // The message does not quote the value: it may be the secret itself.
  if (N === 0) return field.refuse("must be a hash that holdline serve --hash printed, not the secret itself");
  const isCost = Number.isInteger(Math.log2(N)) && r > 0 && p > 0 && N * r * p <= MOST_WORK;
  return isCost ? text : field.refuse("is a hash whose cost is out of range; holdline serve --hash makes one in range");
}

function readRights(field: Field): readonly Right[] | undefined {
  const words: readonly unknown[] = Array.isArray(field.value) ? field.value : [field.value];
  const known = words.filter((word): word is Right => (RIGHTS as readonly unknown[]).includes(word));
  if (known.length === words.length && words.length > 0) return known;
  return field.refuse("must be a list of rights: read, lock, clear");
}

function readPatterns(field: Field): readonly string[] | undefined {
  const { value } = field;
  const words: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isPattern = (word: unknown): word is string =>
    typeof word === "string" && lockNameProblem(word.replaceAll("*", "x")) === null;
  // Host names are case-insensitive.
  return words.every(isPattern) ? words.map(canonicalLock) : field.refuse('must be a list of patterns such as "app/*"');
}
