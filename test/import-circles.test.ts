// No file of src/ imports itself by way of others, be it for types or lazily: each can be read, and moved, on its own.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const SOURCES = join(import.meta.dirname, "../src");

/** Circles among files, each as the files on it; a file stands for what it leads to. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) circles.push(path.slice(start));
    if (start >= 0 || done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

test("a circle is found, wherever one enters it", () => {
  const imports = new Map([
    ["a", ["b"]],
    ["b", ["c"]],
    ["c", ["b"]],
    ["d", ["d"]],
  ]);
  expect(circlesIn(imports)).toEqual([["b", "c"], ["d"]]);
  imports.set("c", []).delete("d");
  expect(circlesIn(imports)).toEqual([]);
});

test("there are none in src/", () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const imports = new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(SOURCES, file), "utf8"));
      const ours = importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
      return [file, ours.map((name) => join(dirname(file), name.replace(/\.js$/, ".ts")))] as const;
    }),
  );
  expect(circlesIn(imports)).toEqual([]);
});
