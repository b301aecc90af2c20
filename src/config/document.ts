// YAML made safe: the core schema and nothing else, no tags of anybody's own, no duplicate keys, bounded aliases and
// nesting, and for every value the line where it stands and the way it was written. To be imported only where there is
// something to read: most starts of `exec` have no file, and the package takes longer to load than they need.
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser, visit } from "yaml";
import type { CST, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { messageOf } from "../locks/errors.js";
import { shortened } from "../locks/text.js";
import { plainOrigin } from "./problems.js";
import type { Origin, Problems } from "./problems.js";

export interface YamlText {
  /** Maps are `Map`s, so that their order is the file's and no key is special; `undefined` when it could not be read. */
  readonly value: unknown;
  readonly origin: Origin;
}

// Aliases that point to aliases multiply: a few lines can stand for gigabytes. No configuration needs more than this of
// one anchor's; and each is looked for in the whole document, which bounds how many there may be at all.
const MOST_ALIASES = 100;
const MOST_ALIASES_AT_ALL = 1_000;

// Composing recurses, and near the end of the stack node does not throw but aborts when a regular expression has to be
// compiled there ("RegExpCompiler Allocation failed"). No configuration is nested like that.
const DEEPEST = 100;

// The parser's words quote what they are about: a tag may be as long as the file.
const LONGEST_FAULT = 200;

/** Reads one YAML document. What is wrong with it goes to `problems`. */
export function parseYaml(text: string, name: string, problems: Problems): YamlText {
  const lines = new LineCounter();
  const refuse = (offset: number, message: string): YamlText => {
    const { line, col } = lines.linePos(offset);
    const origin: Origin = { name, lineOf: () => line, writtenAt: () => null };
    problems.add(origin, [], `${message} (column ${col})`);
    return { value: undefined, origin };
  };
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const excess = excessOf(tokens);
  if (excess !== null) return refuse(excess.offset, excess.problem);
  const [document, second] = new Composer({
    version: "1.2",
    schema: "core",
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    uniqueKeys: false, // it compares each key with all others; see refuseDuplicates
    strict: true,
    prettyErrors: false, // they quote the lines of the file, and with them its secrets
  }).compose(tokens, true, text.length) as Iterable<Document.Parsed>;
  if (second !== undefined) return refuse(second.range[0], "is not proper YAML: there is a second document, and only one is read");
  if (document === undefined) return { value: null, origin: plainOrigin(name) };
  const origin = originOf(document, name, lines);
  for (const fault of [...document.errors, ...document.warnings])
    refuse(fault.pos[0], `is not proper YAML: ${shortened(fault.message, LONGEST_FAULT).replace(/\s+/g, " ").trim()}`);
  visit(document, {
    Map(_, map) {
      for (const offset of duplicateKeys(map as YAMLMap<Scalar>)) refuse(offset, "is not proper YAML: Map keys must be unique");
    },
  });
  const directive = document.directives?.yaml;
  if (directive?.explicit === true && directive.version !== "1.2")
    problems.add(origin, [], `is YAML ${directive.version}; only version 1.2 is read`);
  if (problems.lines.length > 0) return { value: undefined, origin };
  try {
    return { value: document.toJS({ mapAsMap: true, maxAliasCount: MOST_ALIASES }) as unknown, origin };
  } catch (error) {
    const message = error instanceof RangeError ? "it is nested too deeply" : messageOf(error).replace(/\s+/g, " ");
    problems.add(origin, [], `cannot be read: ${message}`);
    return { value: undefined, origin };
  }
}

/** What the text has too much of, and where; `null` for nothing. Looks at the parser's tokens, which are made without recursion. */
function excessOf(tokens: readonly CST.Token[]): { readonly offset: number; readonly problem: string } | null {
  const open: { readonly token: CST.Token; readonly depth: number }[] = tokens.map((token) => ({ token, depth: 0 }));
  let aliases = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next;
    if (depth > DEEPEST) return { offset: token.offset, problem: `is nested more than ${DEEPEST} levels deep` };
    if (token.type === "alias") aliases += 1;
    if (aliases > MOST_ALIASES_AT_ALL) return { offset: token.offset, problem: `has more than ${MOST_ALIASES_AT_ALL} aliases` };
    if (token.type === "document" && token.value !== undefined) open.push({ token: token.value, depth });
    if (!("items" in token)) continue;
    for (const { key, value } of token.items) {
      for (const child of [key, value]) if (child !== undefined && child !== null) open.push({ token: child, depth: depth + 1 });
    }
  }
  return null;
}

/** Where keys stand that the map has already. */
function duplicateKeys({ items }: YAMLMap<Scalar>): number[] {
  const seen = new Set<unknown>();
  return items.flatMap(({ key }) => {
    const isNew = !isScalar(key) || !seen.has(key.value);
    if (isScalar(key)) seen.add(key.value);
    return isNew ? [] : [key.range?.[0] ?? 0];
  });
}

function originOf(document: Document.Parsed, name: string, lines: LineCounter): Origin {
  const keys = new WeakMap<YAMLMap, ReadonlyMap<string, Pair<Scalar, Node | null>>>();
  const keysOf = (map: YAMLMap<Scalar, Node | null>) => {
    // Made once for each map: a file of another kind may have problems with all of its thousands of keys.
    const known = keys.get(map) ?? new Map(map.items.map((pair) => [String(pair.key.value), pair]));
    keys.set(map, known);
    return known;
  };
  const at = (path: readonly string[]) => find(document, path, keysOf);
  return {
    name,
    lineOf(path) {
      const offset = at(path).offset;
      return offset === null ? null : lines.linePos(offset).line;
    },
    writtenAt(path) {
      const { node, whole } = at(path);
      if (!whole || !isScalar(node)) return null;
      return node.source ?? null;
    },
  };
}

interface Found {
  readonly node: Node | null;
  /** Where the value's key stands, or where the path ends when it goes on beyond what is there. */
  readonly offset: number | null;
  /** Is the whole path there? */
  readonly whole: boolean;
}

type KeysOf = (map: YAMLMap<Scalar, Node | null>) => ReadonlyMap<string, Pair<Scalar, Node | null>>;

function find(document: Document.Parsed, path: readonly string[], keysOf: KeysOf): Found {
  let node: Node | null = document.contents;
  let offset: number | null = null;
  for (const key of path) {
    if (isAlias(node)) node = (node.resolve(document) as Node | undefined) ?? null;
    if (isMap(node)) {
      const pair: Pair<Scalar, Node | null> | undefined = keysOf(node as YAMLMap<Scalar, Node | null>).get(key);
      if (pair === undefined) return { node, offset, whole: false };
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = (node as YAMLSeq<Node>).items[Number(key)];
      if (item === undefined) return { node, offset, whole: false };
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      return { node, offset, whole: false };
    }
  }
  if (isAlias(node)) node = (node.resolve(document) as Node | undefined) ?? null;
  return { node, offset, whole: true };
}
