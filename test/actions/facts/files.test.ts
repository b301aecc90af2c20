// Finding files by patterns, in a real tree.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { findFiles, withoutBraces } from "../../../src/actions/facts/files.js";
import { cleanUpAfterEach, temporaryDirectory } from "../../support/proc-programs.js";

cleanUpAfterEach();

function tree(...files: readonly string[]): string {
  const top = temporaryDirectory();
  for (const file of files) {
    mkdirSync(dirname(join(top, file)), { recursive: true });
    writeFileSync(join(top, file), "");
  }
  return top;
}

/** What is found, relative to the top; a link has an "@" behind it. */
async function found(top: string, pattern: string): Promise<string[]> {
  const paths = new Set<string>();
  await findFiles(join(top, pattern), (path, stats) =>
    paths.add(`${relative(top, path) || "."}${stats.isSymbolicLink() ? "@" : ""}`),
  );
  return [...paths].sort();
}

const FILES = ["nginx.conf", "conf.d/a.conf", "conf.d/b.conf", "conf.d/.swp", "conf.d/old/c.conf", "notes"];

test.each([
  ["nginx.conf", ["nginx.conf"]],
  ["not-there", []],
  ["nginx.conf/below", []],
  // Folders whose names are read count as well: that a file has been removed shows nowhere else.
  ["*.conf", [".", "nginx.conf"]],
  ["conf.d/?.conf", ["conf.d", "conf.d/a.conf", "conf.d/b.conf"]],
  ["conf.d/*", ["conf.d", "conf.d/.swp", "conf.d/a.conf", "conf.d/b.conf", "conf.d/old"]],
  ["**/c.conf", [".", "conf.d", "conf.d/old", "conf.d/old/c.conf"]],
  ["conf.d/**", ["conf.d", "conf.d/.swp", "conf.d/a.conf", "conf.d/b.conf", "conf.d/old", "conf.d/old/c.conf"]],
  ["{notes,conf.d/{a,b}.conf}", ["conf.d/a.conf", "conf.d/b.conf", "notes"]],
  ["conf.d/[a-b].conf", ["conf.d", "conf.d/a.conf", "conf.d/b.conf"]],
])("%s", async (pattern, paths) => {
  expect(await found(tree(...FILES), pattern)).toEqual(paths);
});

test("what is on the way to nothing is no match", async () => {
  const top = tree(...FILES);
  symlinkSync("nowhere", join(top, "dangling"));
  const hasMatch = (pattern: string): Promise<boolean> => findFiles(join(top, pattern), () => undefined);
  for (const pattern of ["notes", "*.conf", "conf.d", "conf.d/**", "**/c.conf", "{gone,notes}", "dangling"])
    expect([pattern, await hasMatch(pattern)]).toEqual([pattern, true]);
  for (const pattern of ["gone", "*.cfg", "conf.d/*.cfg", "**/d.conf", "notes/**", "{gone,notes/*}", "dangling/x"])
    expect([pattern, await hasMatch(pattern)]).toEqual([pattern, false]);
});

test("a link on the way counts beside what it leads to", async () => {
  const top = tree("releases/1/server", "releases/2/server");
  symlinkSync("releases/2", join(top, "current"));
  symlinkSync("nowhere", join(top, "dangling"));
  expect(await found(top, "current/server")).toEqual(["current/server", "current@"]);
  expect(await found(top, "current/*")).toEqual(["current", "current/server", "current@"]);
  expect(await found(top, "current")).toEqual(["current", "current@"]);
  expect(await found(top, "dangling")).toEqual(["dangling@"]);
});

test("links that lead in a circle end", async () => {
  const top = tree("a/file");
  symlinkSync("..", join(top, "a/up"));
  symlinkSync("self", join(top, "self"));
  expect(await found(top, "**/file")).toContain("a/file");
});

test("a pattern may hold characters that mean something, quoted", async () => {
  expect(await found(tree("a*b", "axb"), "a\\*b")).toEqual(["a*b"]);
});

test.each([
  ["a", ["a"]],
  ["{a,b}{1,2}", ["a1", "a2", "b1", "b2"]],
  ["x{a,b/{c,d}}", ["xa", "xb/c", "xb/d"]],
  ["{a}", ["{a}"]],
  ["{a", ["{a"]],
  ["\\{a,b}", ["\\{a,b}"]],
  ["{a}{b,c}", ["{a}b", "{a}c"]],
])("the braces of %s", (text, texts) => {
  expect(withoutBraces(text)).toEqual(texts);
});
