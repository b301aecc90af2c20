// `holdline check`: prints the settings in force and what is doubtful about them; a wrong configuration was refused before. Only
// --live contacts stores and runs checks. Processes are looked up in any case.
import { describeSettings } from "../../config/describe.js";
import { coordinatorsInForce } from "../../config/locks.js";
import { redactUrl } from "../../config/secrets.js";
import type { Settings } from "../../config/settings.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { exitCodeOfError } from "../exit-codes.js";
import { type About, type FoundStore, notExamined, notTried, ofAction, ofFile, ofNotify, ofTrial } from "../findings.js";
import { paintFor } from "../io.js";
import type { Paint } from "../io.js";
import { printDocument, printLines } from "../output.js";
import { renderColumns, sanitize } from "../render.js";
import type { Cell } from "../render.js";

export const check: Command = {
  async run(context, { options }) {
    const { settings, json, io } = context;
    const isLive = options["live"] === true;
    const wishes: Wishes = { mends: options["mend"] === true, tidies: options["tidy"] === true };
    refuseWithoutLive(isLive, wishes);
    const stores = isLive ? await findStores(context, wishes) : null;
    const findings = [...ofFile(settings), ...ofNotify(settings), ...settings.actions.flatMap(ofAction)];
    findings.push(...(await tryActions(context, isLive)));
    for (const { coordinator, findings: found } of stores ?? []) {
      findings.push(...found.map((one) => ({ ...one, about: `store ${coordinator}` })));
    }
    if (json) {
      printDocument(io, {
        file: settings.file,
        settings: describeSettings(settings),
        origins: Object.fromEntries(settings.origins ?? []),
        findings: findings.map(({ about, severity, message, hint }) => ({ about, severity, message, hint })),
        ...(stores === null
          ? {}
          : { stores: stores.map(({ coordinator, facts, mended, tidied }) => ({ coordinator, facts, mended, tidied })) }),
      });
    } else {
      const paint = paintFor(io, "stdout");
      const lines = [...renderSettings(settings, paint), ...(stores ?? []).flatMap((store) => renderStore(store, paint))];
      printLines(io, [...lines, ...renderFindings(findings, isLive, paint)]);
    }
    const error = findings.find(({ severity }) => severity === "error");
    return error === undefined ? 0 : exitCodeOfError(new HoldlineError(error.code, error.message));
  },
};

/** What to do to the stores. */
interface Wishes {
  readonly mends: boolean;
  readonly tidies: boolean;
}

function refuseWithoutLive(isLive: boolean, { mends, tidies }: Wishes): void {
  if (isLive || (!mends && !tidies)) return;
  const [flag, what] = mends ? ["--mend", "changes the rights of znodes"] : ["--tidy", "removes what is empty"];
  throw new HoldlineError("usage", `${flag} ${what} in the store, which only --live looks at`, {
    hint: `holdline check --live ${flag}`,
  });
}

async function findStores(context: Context, { mends, tidies }: Wishes): Promise<FoundStore[]> {
  const found: FoundStore[] = [];
  for (const url of coordinatorsInForce(context.settings)) {
    let mended: readonly string[] | null = null;
    let tidied: readonly string[] | null = null;
    let report;
    try {
      if (mends) mended = await context.upkeep.mend(url);
      if (tidies) tidied = await context.upkeep.tidy(url);
      report = await context.upkeep.examine(url);
    } catch (error) {
      report = notExamined(error);
    }
    found.push({ ...report, coordinator: redactUrl(url), mended, tidied });
  }
  return found;
}

async function tryActions(context: Context, runsChecks: boolean): Promise<About[]> {
  // Without a pattern or a check there is nothing to try.
  const actions = context.settings.actions.filter((action) => runsChecks || action.process !== null);
  const findings: About[] = [];
  const agent = actions.length === 0 ? null : await context.agent();
  for (const action of actions) {
    context.stop.signal.throwIfAborted();
    if (agent === null) continue;
    try {
      findings.push(...ofTrial(action, await agent.tryOut(action, runsChecks)));
    } catch (error) {
      findings.push(notTried(action, error));
    }
  }
  return findings;
}

function renderStore({ coordinator, facts, mended, tidied }: FoundStore, paint: Paint): string[] {
  const cells = Object.entries(facts).map(factCells);
  const changed = (mended ?? []).map((path) => `  belongs to the credentials now: ${sanitize(path)}`);
  if (mended?.length === 0) changed.push("  nothing to mend");
  changed.push(...(tidied ?? []).map((path) => `  removed: ${sanitize(path)}`));
  if (tidied?.length === 0) changed.push("  nothing to tidy away");
  return ["", paint("bold", `store ${sanitize(coordinator)}`), ...renderColumns(cells), ...changed];
}

/** `clockErrorMs: 3` is for programs; people read "clock error  3 ms". */
function factCells([name, value]: readonly [string, string | number]): Cell[] {
  const words = name.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return [`  ${words}`, name.endsWith("Ms") ? `${value} ms` : sanitize(String(value))];
}

function renderFindings(findings: readonly About[], isLive: boolean, paint: Paint): string[] {
  if (findings.length === 0) return isLive ? ["", "stores, commands and checks are in order"] : [];
  return findings.flatMap(({ about, severity, message, hint }) => [
    "",
    `${paint(severity === "error" ? "red" : "yellow", `${severity}: ${sanitize(about)}`)}: ${sanitize(message)}`,
    ...(hint === null ? [] : [`  ${sanitize(hint)}`]),
  ]);
}

/** The settings in force as lines of text: name, value and origin. */
export function renderSettings(settings: Settings, paint: Paint): string[] {
  const { actions, locks, ...general } = describeSettings(settings);
  const file = settings.file === null ? "no configuration file; the defaults are in force" : `${settings.file} is valid`;
  const rows: Cell[][] = leavesOf(general).map(([path, value]) => [
    { text: path, paint: (text) => paint("bold", text) },
    value,
    { text: settings.origins?.get(path) ?? "", paint: (text) => paint("dim", text) },
  ]);
  const lines = [sanitize(file), "", ...renderColumns(rows)];
  for (const [title, group] of [
    ["action", actions],
    ["lock", locks],
  ] as const) {
    for (const [name, described] of Object.entries(group as Record<string, unknown>)) {
      const cells = leavesOf(described).map(([path, value]): Cell[] => [`  ${path}`, value]);
      lines.push("", paint("bold", `${title} ${sanitize(name)}`), ...renderColumns(cells));
    }
  }
  return lines;
}

/** Every value with its path. Lists and `data` are shown as JSON. */
function leavesOf(value: unknown, path = ""): [string, string][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && path !== "data") {
    return Object.entries(value).flatMap(([key, child]) => leavesOf(child, path === "" ? key : `${path}.${key}`));
  }
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}
