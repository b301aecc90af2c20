// The command that Concourse calls, by its name or by the names of a resource's three programs.
import { basename } from "node:path";
import type { CommandEntry } from "../entry.js";

/** The programs of a resource. */
export const ACTIONS = ["check", "in", "out"] as const;

export const CONCOURSE: readonly CommandEntry[] = [
  {
    name: "concourse",
    summary: "a Concourse resource for the locks of a server: the request on standard input, the result on standard output",
    arguments: [
      { form: "<ACTION>", doc: "check, in or out", choices: ACTIONS },
      { form: "[DIR]", doc: "where in writes the lock; out needs none" },
    ],
    options: [],
    examples: ["holdline concourse check < request.json", "holdline concourse in . < request.json"],
    load: async () => (await import("../commands/concourse.js")).concourse,
  },
];

/**
 * The command line of a process. A program that was started under the name of a resource's part, which is a link in its
 * image, is that part.
 * @param argv the process's own
 */
export function commandLineOf([, program = "", ...argv]: readonly string[]): readonly string[] {
  const name = basename(program);
  return (ACTIONS as readonly string[]).includes(name) ? ["concourse", name, ...argv] : argv;
}
