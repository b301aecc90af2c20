// Reads YAML safely: only the core schema, no custom tags, no duplicate keys, bounded aliases and nesting. Knows each value's
// line, and how it was written. Import it only when there is YAML to read: most starts of `exec` have no file, and the package
// takes longer to load than they take.
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser, visit } from "yaml";
import type { CST, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { messageOf } from "../locks/errors.js";
import { shortened } from "../locks/text.js";
import { plainOrigin } from "./problems.js";
import type { Origin, Problems } from "./problems.js";

export interface YamlText {
  /** Maps are `Map`s, so that they keep the file's order and no key is special; `undefined` if the text is wrong. */
  readonly value: unknown;
  readonly origin: Origin;
}

// Aliases that point to aliases multiply: a few lines can stand for gigabytes. No configuration needs more aliases of one
// anchor. Resolving one searches the whole document, so their total is bounded as well.
const MOST_ALIASES = 100;
const MOST_ALIASES_AT_ALL = 1_000;

// Composing recurses. Near the end of the stack node aborts instead of throwing, if it has to compile a regular expression
// there ("RegExpCompiler Allocation failed"). No configuration nests this deep.
const DEEPEST = 100;

// The parser quotes what it complains about, and a tag may be as long as the file.
const LONGEST_FAULT = 200;

/** Parses one YAML document. Adds what is wrong with it to `problems`. */
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
    uniqueKeys: false, // this would compare each key with all others; duplicateKeys does not
    strict: true,
    prettyErrors: false, // those quote lines of the file, secrets included
  }).compose(tokens, true, text.length) as Iterable<Document.Parsed>;
  if (second !== undefined) return refuse(second.range[0], "is not proper YAML: it has a second document, and only one is read");
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

/** What the text has too much of, and where; `null` if it is within bounds. Walks the parser's tokens, without recursion. */
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

/** The offsets of keys that repeat an earlier key of their map. */
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
    // Made once for each map: a file that is no configuration can have a problem with every one of thousands of keys.
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
  /** The offset of the value's key, or of the last key that the document still has of the path. */
  readonly offset: number | null;
  /** Whether the document has the whole path. */
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
