// The man page has everything that the tables have, and the programs that show it read it without complaints.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/cli/exit-codes.js";
import { filled, manPage } from "../../src/cli/man-page.js";
import { COMMANDS, GLOBAL_OPTIONS, PARSER_OPTIONS } from "../../src/cli/command-table.js";
import { usageOf } from "../../src/cli/command.js";
import { OTHER_VARIABLES, SETTING_PATHS, SETTINGS, variableOf } from "../../src/config/schema.js";
import { freshDirectory } from "../support/roots.js";

const root = new URL("../..", import.meta.url).pathname;
const DATE = "2026-01-31";
const UTF8 = { ...process.env, LC_ALL: "C.UTF-8" };

let file: string;
beforeEach(async () => {
  file = join(await freshDirectory(), "holdline.1");
  writeFileSync(file, manPage(DATE));
});

/** Programs that read man pages: how to get their complaints, and what they show. */
const READERS = [
  {
    program: "man",
    lint: ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"],
    show: ["-l"],
  },
  { program: "mandoc", lint: ["-T", "lint", "-W", "warning"], show: ["-T", "utf8", "-O", "width=200"] },
  {
    program: "groff",
    lint: ["-man", "-ww", "-z", "-K", "utf8"],
    show: ["-man", "-T", "utf8", "-K", "utf8", "-P-cbou", "-rLL=200n"],
  },
] as const;

function run(
  program: string,
  args: readonly string[],
): { readonly code: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env: { ...UTF8, MANWIDTH: "200" } });
  return { code: status, out: stdout, err: stderr };
}

// Texts that formatters mistake for a macro, an escape, or another character.
const ODD = [
  ".hidden",
  "'quoted' first",
  "` .SH`",
  "\\\\server\\share\\fB",
  "\\- and --long-option",
  "~/.config and ^ `'x' ~`",
  "… é 日本",
];

/** Why a reader cannot be asked; `null` if it can. */
function missing(program: string): string | null {
  const { error, stdout } = spawnSync(program, program === "mandoc" ? ["-T", "ascii", "/dev/null"] : ["--version"], {
    encoding: "utf8",
  });
  if (error !== undefined) return `${program} is not installed`;
  // Small images replace man by a script that says so.
  return program === "man" && !/^man \d/.test(stdout) ? "man is none here" : null;
}

describe.each(READERS)("read by $program", ({ program, lint, show }) => {
  const noReader = missing(program);
  const reason = noReader === null ? "" : ` (skipped: ${noReader})`;

  test.skipIf(noReader !== null)(`nothing is to be complained of${reason}`, () => {
    const { code, out, err } = run(program, [...lint, file]);
    expect([code, err]).toEqual([0, ""]);
    if (program === "mandoc") expect(out).toBe("");
  });

  test.skipIf(noReader !== null)(`it shows everything, as it is typed${reason}`, () => {
    const { code, out } = run(program, [...show, file]);
    expect(code).toBe(0);
    const shown = squeezed(out);
    for (const text of all()) expect(shown).toContain(squeezed(text));
    expect(shown).toContain(DATE);
  });

  test.skipIf(noReader !== null).each(ODD)(`%s comes out as itself${reason}`, (text) => {
    writeFileSync(file, [`.TH X 1 ${DATE}`, ".SH NAME", "x \\- y", ".SH TEXT", ...filled(text), ".SH END", ""].join("\n"));
    const { out, err } = run(program, [...show, file]);
    expect(err).toBe("");
    expect(squeezed(out)).toContain(`TEXT ${squeezed(text.replaceAll("`", ""))}`);
  });
});

/** Removes what formatters choose: line breaks, the width of gaps, and overstriking, which is bold without a terminal. */
function squeezed(text: string): string {
  const parts = text.split("\b");
  return parts
    .map((part, index) => (index === parts.length - 1 ? part : part.slice(0, -1)))
    .join("")
    .replace(/\s+/g, " ")
    .trim();
}

/** Everything that the tables say. */
function all(): string[] {
  return [
    ...COMMANDS.flatMap((entry) => [
      `holdline ${usageOf(entry)}`,
      ...[...entry.arguments, ...entry.options].flatMap(({ form, doc }) => [
        form.replace(/[<>[\]]/g, "").replace("...", "…"),
        doc.replaceAll("`", ""),
      ]),
      ...entry.examples,
    ]),
    ...[...GLOBAL_OPTIONS, ...PARSER_OPTIONS].map(({ form, doc }) => `${form.replace(/[<>]/g, "")} ${doc}`),
    ...Object.entries(EXIT_CODES).map(([code, meaning]) => `${code} ${meaning.replaceAll("`", "")}`),
    ...SETTING_PATHS.map((path) => `${variableOf(path)} ${SETTINGS[path].doc.replaceAll("`", "")}`),
    ...Object.entries(OTHER_VARIABLES).map(([name, meaning]) => `${name} ${meaning}`),
    "/etc/holdline/holdline.yaml",
  ];
}

test("no line is taken for a macro that is none, and none has a backslash that is not meant", () => {
  const lines = manPage(DATE).split("\n");
  for (const line of lines) {
    if (/^[.']/.test(line)) expect(line).toMatch(/^\.(?:\\"|TH|SH|SS|TP|PP|nf|fi|br|nh|ad)\b|^\.\\"/);
    expect(line.replace(/^\.\\"/, "").replace(/\\(?:f[BIR]|[-&]|\((?:rs|aq|ga|ha|ti)|\[u[0-9A-F]{4,}\])/g, "")).not.toContain("\\");
    expect(line).toMatch(/^[ -~]*$/);
  }
});

test("the build has it where package.json says", () => {
  const { man, files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly man: readonly string[];
    readonly files: readonly string[];
  };
  expect(man).toEqual(["./dist/man/holdline.1"]);
  expect(files).toContain("dist");
  const built = readFileSync(join(root, man[0] as string), "utf8");
  expect(built.replace(/^(\.TH HOLDLINE 1 ")[^"]*/m, `$1${DATE}`)).toBe(manPage(DATE));
});
