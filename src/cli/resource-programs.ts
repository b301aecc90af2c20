// The three programs of a Concourse resource. Each is a link to this program in the resource's image, and its name says which
// part of the resource to be.
import { basename } from "node:path";

export const RESOURCE_PROGRAMS = ["check", "in", "out"] as const;

/**
 * The command line of a process: that of `holdline concourse` where it was started as one of these programs.
 * @param argv the process's own
 */
export function commandLineOf([, program = "", ...argv]: readonly string[]): readonly string[] {
  const name = basename(program);
  return (RESOURCE_PROGRAMS as readonly string[]).includes(name) ? ["concourse", name, ...argv] : argv;
}
