// Finds the files that patterns name, with everything on the way to them that a deployment may change: folders that are searched
// and links that are followed. Knows nothing of processes and times.
//
// A pattern is an absolute path whose parts may hold `*`, `?`, `[…]` and `{…,…}`; a part `**` stands for any number of folders.
// Names that begin with a dot match as well: a change that is missed costs more than one that is looked at in vain.
import type { BigIntStats } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";

/** Something that was found, or passed on the way. */
export type OnFile = (path: string, stats: BigIntStats) => void;

/** What keeps a search from seeing everything that it should. */
export class SearchProblem extends Error {}

/**
 * Calls `onFile` for each file and folder that matches, for each folder whose names were read, and for each link on the way,
 * beside what it leads to. The same path may come more than once.
 * @returns whether anything matches, beside what was on the way
 * @throws SearchProblem where a file or folder cannot be looked at
 */
export async function findFiles(pattern: string, onFile: OnFile, signal?: AbortSignal): Promise<boolean> {
  const { default: picomatch } = await import("picomatch");
  const parts = (text: string): Part[] =>
    resolve("/", text)
      .split("/")
      .filter((part) => part !== "")
      .map((part) => {
        if (part === "**") return "any-depth";
        if (!picomatch.scan(part).isGlob) return { name: part.replace(/\\(.)/g, "$1") };
        return { matches: picomatch(part, { dot: true, nobrace: true }) };
      });
  let hasMatch = false;
  for (const text of withoutBraces(pattern)) {
    const search = new Search(onFile, signal);
    await search.visit("/", parts(text));
    hasMatch ||= search.hasMatch;
  }
  return hasMatch;
}

type Part = "any-depth" | { readonly name: string } | { readonly matches: (name: string) => boolean };

class Search {
  readonly #onFile: OnFile;
  readonly #signal: AbortSignal | undefined;
  // Links may lead back to a folder above, or from many places to one.
  readonly #searched = new Set<string>();
  hasMatch = false;

  constructor(onFile: OnFile, signal: AbortSignal | undefined) {
    this.#onFile = onFile;
    this.#signal = signal;
  }

  /** @param parts what must follow `path`; none: `path` itself is meant */
  async visit(path: string, parts: readonly Part[]): Promise<void> {
    const [part, ...rest] = parts;
    if (part === undefined) return;
    if (part !== "any-depth" && "name" in part) return this.#enter(join(path, part.name), rest);
    const stats = await this.#look(() => stat(path, { bigint: true }), path);
    if (stats?.isDirectory() !== true) return;
    const key = `${stats.dev}:${stats.ino}:${parts.length}`;
    if (this.#searched.has(key)) return;
    this.#searched.add(key);
    this.#onFile(path, stats);
    // None of the folders that `**` stands for.
    if (part === "any-depth") await this.visit(path, rest);
    for (const name of await this.#names(path)) {
      this.#signal?.throwIfAborted();
      if (part === "any-depth") await this.#enter(join(path, name), parts, rest.length === 0);
      else if (part.matches(name)) await this.#enter(join(path, name), rest);
    }
  }

  /** @param isMeant whether the path itself matches, beside what may be below it */
  async #enter(path: string, rest: readonly Part[], isMeant = rest.length === 0): Promise<void> {
    const own = await this.#look(() => lstat(path, { bigint: true }), path);
    if (own === null) return;
    if (isMeant) this.hasMatch = true;
    const isLink = own.isSymbolicLink();
    const target = isLink ? await this.#look(() => stat(path, { bigint: true }), path) : own;
    if (isLink && (isMeant || target?.isDirectory() !== false)) this.#onFile(path, own);
    if (target === null) return;
    if (isMeant) this.#onFile(path, target);
    if (target.isDirectory()) await this.visit(path, rest);
  }

  async #names(path: string): Promise<readonly string[]> {
    return (await this.#look(() => readdir(path), path)) ?? [];
  }

  /** `null` for what is not there, or not any more. */
  async #look<T>(ask: () => Promise<T>, path: string): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      // A link that leads nowhere or in a circle.
      if (["ENOENT", "ENOTDIR", "ELOOP"].includes(code)) return null;
      throw new SearchProblem(`${path} cannot be looked at: ${code === "" ? String(error) : code}`, { cause: error });
    }
  }
}

/** A text with `{a,b/c}` in it as the texts that it stands for. Braces without a comma stand for themselves. */
export function withoutBraces(text: string): string[] {
  let depth = 0;
  let open = -1;
  let commas: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "\\") at += 1;
    else if (character === "{") {
      if (depth === 0) [open, commas] = [at, []];
      depth += 1;
    } else if (character === "," && depth === 1) commas.push(at);
    else if (character === "}" && depth > 0) {
      depth -= 1;
      if (depth > 0 || commas.length === 0) continue;
      const edges = [open, ...commas, at];
      const choices = edges.slice(1).map((edge, index) => text.slice((edges[index] as number) + 1, edge));
      const [before, after] = [text.slice(0, open), text.slice(at + 1)];
      return choices.flatMap((choice) => withoutBraces(`${before}${choice}${after}`));
    }
  }
  return [text];
}
