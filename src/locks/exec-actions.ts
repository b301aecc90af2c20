// The action names of claims of `holdline exec`. They begin as no declared action's name may, so the two never look alike.

/** How they begin. */
export const EXEC_PREFIX = "exec ";

/** The action of a durable exec's claim. @param digest of the command line: only the program's name is shown */
export function execActionOf(program: string, digest: string): string {
  return `${EXEC_PREFIX}${program} ${digest}`;
}

/** The program of the durable exec whose claim has this action; `null` for every other action. */
export function execProgramOf(action: string | null): string | null {
  return action === null ? null : (/^exec (.*) [0-9a-f]{12}$/s.exec(action)?.[1] ?? null);
}

/** Whether an owner's action is a declared one, and no exec's. */
export function isDeclaredAction(action: string | null): action is string {
  return action !== null && !action.startsWith(EXEC_PREFIX);
}
