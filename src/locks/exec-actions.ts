// What the claims of `holdline exec --durable` are called. A declared action's name is a lock's name and has no blank, so
// that the two are never taken for each other.

/** The action of an exec's claim. @param digest of the command line: only the program's name is shown */
export function execActionOf(program: string, digest: string): string {
  return `exec ${program} ${digest}`;
}

/** The program that a durable exec ran whose claim has this action; `null` for everything else. */
export function execProgramOf(action: string | null): string | null {
  return action === null ? null : (/^exec (.*) [0-9a-f]{12}$/s.exec(action)?.[1] ?? null);
}
