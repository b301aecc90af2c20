// What the documents show of a shell: finds the transcripts of a page, runs their lines in a shell with the built program, and
// makes alike what differs from run to run.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM } from "./fleet.js";

export interface Step {
  /** What stands before the line's `$`: nothing, or the name of a node. */
  readonly at: string;
  readonly line: string;
  readonly output: string;
}

export function readPage(name: string): string {
  return readFileSync(join(import.meta.dirname, "../../docs", name), "utf8");
}

/** The commands of a page's section that are shown with a `$`, each with what is shown below it. */
export function stepsUnder(page: string, heading: string): Step[] {
  const section =
    readPage(page)
      .split(/^(?=## )/m)
      .find((part) => part.startsWith(`## ${heading}`)) ?? "";
  return [...section.matchAll(/^```(?:console)?\n([\w-]*\$ [\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block
      .split(/^(?=[\w-]*\$ )/m)
      .map((step) => /^([\w-]*)\$ (.*)\n([\s\S]*)$/.exec(step) ?? [])
      .map(([, at = "", line = "", output = ""]) => ({ at, line, output })),
  );
}

/** Puts `holdline`, and programs that a page takes for granted, into `bin` below a folder. @param programs shell texts by name */
export function installPrograms(folder: string, programs: Readonly<Record<string, string>> = {}): void {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const [name, text] of Object.entries({ holdline: `exec '${process.execPath}' '${PROGRAM}' "$@"`, ...programs })) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
}

/**
 * Runs all lines in one shell, as a person would, and gives what each has shown.
 * @param setUp what the shell does unseen before a line, such as to be on another node
 */
export function shown(
  steps: readonly Step[],
  folder: string,
  env: Readonly<Record<string, string>>,
  setUp: (step: Step) => string = () => "",
): Step[] {
  const mark = "--- end of a step ---";
  const script = steps.map((step) => `${setUp(step)}\n${step.line}\necho '${mark}'\n`).join("");
  const { stdout } = spawnSync("/bin/sh", ["-c", `exec 2>&1\n${script}`], {
    cwd: folder,
    env: { ...env, PATH: `${folder}/bin:${process.env["PATH"] ?? ""}` },
    encoding: "utf8",
    timeout: 60_000,
  });
  const outputs = stdout.split(`${mark}\n`);
  return steps.map((step, index) => ({ ...step, output: outputs[index] ?? "" }));
}

/** The same for ids, times and ages that differ, and for columns that are as wide as these. */
export function alike(step: Step): Step {
  const output = step.output
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/(?:\d{4}-\d\d-\d\d )?\d\d:\d\d UTC/g, "TIME")
    .replace(/(?:[\d.]+ (?:ms|s|min|h|d)\b ?)+(ago|left|before)/g, "AGE $1")
    .replace(/\b(after|in) [\d.]+ (?:ms|s|min)\b/g, "$1 AGE")
    .replace(/just now/g, "AGE ago")
    .replace(/ {2,}(?=\S)/g, "  ")
    .replace(/ [\d.]+ (?:m?s|d) /g, " AGE ")
    .replace(/ +$/gm, "");
  return { ...step, output };
}
