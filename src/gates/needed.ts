// Whether an action is needed: what the signs on the machine say, in words, and which sign to look at next. Pure.
import { commandWords } from "./words.js";
import type { GateAnswer } from "./gate.js";

/** When an action is needed: any of these is enough. */
export interface NeededSettings {
  /** A file that is there. */
  readonly file: string | null;
  /** Patterns of files of which one is newer than the eldest matching process. */
  readonly changed: readonly string[];
  /** A matching process runs from files that have been replaced or deleted. */
  readonly outdated: boolean;
  /** Exit code 0: needed, 1: not; `null` without such a command. */
  readonly argv: readonly string[] | null;
}

/** A sign to look at. */
export type Sign =
  | { readonly sign: "file"; readonly path: string }
  | { readonly sign: "changed"; readonly patterns: readonly string[] }
  | { readonly sign: "outdated" }
  | { readonly sign: "command"; readonly argv: readonly string[] };

/** What a look at `needed.changed` has found. */
export type ChangedFact =
  /** The service is down. */
  | { readonly found: "no-process" }
  /** @property pid the eldest process that matches */
  | { readonly found: "newer"; readonly path: string; readonly pid: number }
  /** @property files how many files and folders were looked at */
  | { readonly found: "none-newer"; readonly files: number }
  | { readonly found: "problem"; readonly problem: string };

/** What a look at `needed.outdated` has found. */
export type OutdatedFact =
  | { readonly found: "no-process" }
  | { readonly found: "outdated"; readonly pid: number; readonly path: string; readonly became: "deleted" | "replaced" }
  | { readonly found: "up-to-date"; readonly processes: number }
  | { readonly found: "problem"; readonly problem: string };

/** What a look at a sign has found. */
export type NeededFact =
  | { readonly sign: "file"; readonly path: string; readonly isThere: boolean }
  | { readonly sign: "file"; readonly path: string; readonly problem: string }
  | ({ readonly sign: "changed" } & ChangedFact)
  | ({ readonly sign: "outdated" } & OutdatedFact)
  /** @property problem why it ended in neither of its two ways; `null` where it did not */
  | {
      readonly sign: "command";
      readonly argv: readonly string[];
      readonly exitCode: number | null;
      readonly problem: string | null;
    };

/**
 * What there is to look at next, or the answer, once it is clear. Signs that cost little come first, and none is looked at once
 * one has said that the action is needed.
 * @param settings `null`: always needed
 */
export function nextSign(
  settings: NeededSettings | null,
  facts: readonly NeededFact[],
): { readonly look: Sign } | { readonly answer: GateAnswer } {
  if (settings === null) return { answer: { answer: "go", because: "it is always needed" } };
  const readings = facts.map(readingOf);
  const yes = readings.find(({ says }) => says === "needed");
  if (yes !== undefined) return { answer: { answer: "go", because: yes.because } };
  const look = signsOf(settings).find(({ sign }) => !facts.some((fact) => fact.sign === sign));
  if (look !== undefined) return { look };
  const unclear = readings.find(({ says }) => says === "unclear");
  if (unclear !== undefined) {
    const because = `it cannot be told whether it is needed: ${unclear.because}`;
    return { answer: { answer: "not-now", outcome: "blocked", because, untilMs: null } };
  }
  const because = readings.length === 0 ? "`needed` names no sign" : readings.map((reading) => reading.because).join("; ");
  return { answer: { answer: "not-needed", because } };
}

function signsOf({ file, changed, outdated, argv }: NeededSettings): Sign[] {
  return [
    ...(file === null ? [] : [{ sign: "file", path: file } as const]),
    ...(changed.length === 0 ? [] : [{ sign: "changed", patterns: changed } as const]),
    ...(outdated ? [{ sign: "outdated" } as const] : []),
    ...(argv === null ? [] : [{ sign: "command", argv } as const]),
  ];
}

interface Reading {
  readonly says: "needed" | "not" | "unclear";
  readonly because: string;
}

function readingOf(fact: NeededFact): Reading {
  switch (fact.sign) {
    case "file":
      if ("problem" in fact) return unclear(`${fact.path} cannot be looked for: ${fact.problem}`);
      return fact.isThere ? needed(`${fact.path} is there`) : not(`${fact.path} is not there`);
    case "changed":
      return readingOfChanged(fact);
    case "outdated":
      return readingOfOutdated(fact);
    case "command": {
      const words = commandWords(fact.argv);
      if (fact.problem !== null) return unclear(`${words}: ${fact.problem}`);
      return fact.exitCode === 0 ? needed(`${words} says so`) : not(`${words} says no`);
    }
  }
}

function readingOfChanged(fact: ChangedFact): Reading {
  switch (fact.found) {
    case "no-process":
      return needed("no process matches `process`: the service is down");
    case "newer":
      return needed(`${fact.path} is newer than process ${fact.pid}`);
    case "none-newer":
      return not(`none of ${fact.files} files is newer than the process`);
    case "problem":
      return unclear(fact.problem);
  }
}

function readingOfOutdated(fact: OutdatedFact): Reading {
  switch (fact.found) {
    case "no-process":
      return not("no process matches `process`, so none is outdated");
    case "outdated":
      return needed(`process ${fact.pid} runs from ${fact.path}, which has been ${fact.became}`);
    case "up-to-date":
      return not(fact.processes === 1 ? "its process is up to date" : `its ${fact.processes} processes are up to date`);
    case "problem":
      return unclear(fact.problem);
  }
}

function needed(because: string): Reading {
  return { says: "needed", because };
}

function not(because: string): Reading {
  return { says: "not", because };
}

function unclear(because: string): Reading {
  return { says: "unclear", because };
}
