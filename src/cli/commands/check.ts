// `holdline check`: the configuration in force. That it is valid has been seen by the time this runs; the store is not contacted.
import { describeSettings } from "../../config/describe.js";
import type { Settings } from "../../config/settings.js";
import type { Command } from "../context.js";
import { paintFor } from "../io.js";
import type { Paint } from "../io.js";
import { printDocument, printLines } from "../output.js";
import { renderColumns, sanitize } from "../render.js";
import type { Cell } from "../render.js";

export const check: Command = {
  run({ settings, json, io }) {
    if (json)
      printDocument(io, {
        file: settings.file,
        settings: describeSettings(settings),
        origins: Object.fromEntries(settings.origins ?? []),
      });
    else printLines(io, renderSettings(settings, paintFor(io, "stdout")));
    return Promise.resolve(0);
  },
};

/** The settings in force as lines of text: name, value, and who said so. */
export function renderSettings(settings: Settings, paint: Paint): string[] {
  const { actions, locks, ...general } = describeSettings(settings);
  const file = settings.file === null ? "no configuration file; the defaults serve" : `${settings.file} is valid`;
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

/** Every value with its path; lists and what has no keys are shown as JSON. */
function leavesOf(value: unknown, path = ""): [string, string][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && path !== "data") {
    return Object.entries(value).flatMap(([key, child]) => leavesOf(child, path === "" ? key : `${path}.${key}`));
  }
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}
