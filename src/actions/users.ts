// Finds users by name or number in the system's own databases.
import { readFileSync } from "node:fs";
import { HoldlineError } from "../locks/errors.js";

// A directory service that does not answer must not hold up a node for ever. One that answers takes well under a second.
const LOOKUP_TIMEOUT_MS = 10_000;

/**
 * The numeric id of a user given by name or number. A number needs no entry in any database.
 * @throws HoldlineError `configuration` when there is no such user
 */
export async function resolveUser(user: string): Promise<number> {
  if (/^\d+$/.test(user)) return Number(user);
  const uid = uidOfEntry(readPasswd(), user) ?? (await lookUp(user));
  if (uid !== null) return uid;
  throw new HoldlineError("configuration", `there is no user ${JSON.stringify(user)} on this node`, {
    hint: "`user` of an action's `process` is a user's name or numeric id",
  });
}

/** The numeric id of `user` in the text of a passwd file; `null` when there is none. */
export function uidOfEntry(passwd: string, user: string): number | null {
  for (const line of passwd.split("\n")) {
    const [name, , uid] = line.split(":");
    if (name === user && uid !== undefined && /^\d+$/.test(uid)) return Number(uid);
  }
  return null;
}

/**
 * The numeric id in the answer of `getent`, however the directory spells the name: `CORP\\ann`, `ann@corp.example` and `ANN` may
 * all be `ann`. `null` unless there is exactly one answer.
 */
export function uidOfAnswer(answer: string): number | null {
  const [line = "", ...others] = answer.split("\n").filter((each) => each !== "");
  const [, , uid] = line.split(":");
  return others.length === 0 && uid !== undefined && /^\d+$/.test(uid) ? Number(uid) : null;
}

function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    // Not every system has the file; lookUp asks the databases then.
    return "";
  }
}

// `getent` knows LDAP and the like. Where there is no `getent` (macOS), `id` does.
async function lookUp(user: string): Promise<number | null> {
  const { execa } = await import("execa");
  const options = { reject: false, timeout: LOOKUP_TIMEOUT_MS, stdin: "ignore", stderr: "ignore" } as const;
  const entry = await execa("getent", ["passwd", "--", user], options);
  if (entry.exitCode === 0) return uidOfAnswer(entry.stdout);
  const id = await execa("id", ["-u", "--", user], options);
  return id.exitCode === 0 && /^\d+$/.test(id.stdout) ? Number(id.stdout) : null;
}
