// YAML made safe: the core schema and nothing else, no tags of anybody's own, no duplicate keys, bounded aliases and
// nesting, and for every value the line where it stands and the way it was written. To be imported only where there is
// something to read: most starts of `exec` have no file, and the package takes longer to load than they need.
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser } from "yaml";
import type { CST, Document, Node, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { messageOf } from "../locks/errors.js";
import { plainOrigin } from "./problems.js";
import type { Origin, Problems } from "./problems.js";

export interface YamlText {
  /** Maps are `Map`s, so that their order is the file's and no key is special; `undefined` when it could not be read. */
  readonly value: unknown;
  readonly origin: Origin;
}

// Aliases that point to aliases multiply: a few lines can stand for gigabytes. No configuration needs more than this.
const MOST_ALIASES = 100;

// Composing recurses, and near the end of the stack node does not throw but aborts when a regular expression has to be
// compiled there ("RegExpCompiler Allocation failed"). No configuration is nested like that.
const DEEPEST = 100;

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
  const tooDeep = offsetOfTooDeep(tokens);
  if (tooDeep !== null) return refuse(tooDeep, `is nested more than ${DEEPEST} levels deep`);
  const [document, second] = new Composer({
    version: "1.2",
    schema: "core",
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    uniqueKeys: true,
    strict: true,
    prettyErrors: false, // they quote the lines of the file, and with them its secrets
  }).compose(tokens, true, text.length) as Iterable<Document.Parsed>;
  if (second !== undefined) return refuse(second.range[0], "is not proper YAML: there is a second document, and only one is read");
  if (document === undefined) return { value: null, origin: plainOrigin(name) };
  const origin = originOf(document, name, lines);
  for (const fault of [...document.errors, ...document.warnings])
    refuse(fault.pos[0], `is not proper YAML: ${fault.message.replace(/\s+/g, " ").trim()}`);
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

/** Where the text is nested too deeply, or `null`. Looks at the parser's tokens, which are made without recursion. */
function offsetOfTooDeep(tokens: readonly CST.Token[]): number | null {
  const open: { readonly token: CST.Token; readonly depth: number }[] = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next;
    if (depth > DEEPEST) return token.offset;
    if (token.type === "document" && token.value !== undefined) open.push({ token: token.value, depth });
    if (!("items" in token)) continue;
    for (const { key, value } of token.items) {
      for (const child of [key, value]) if (child !== undefined && child !== null) open.push({ token: child, depth: depth + 1 });
    }
  }
  return null;
}

function originOf(document: Document.Parsed, name: string, lines: LineCounter): Origin {
  const at = (path: readonly string[]) => find(document, path);
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

function find(document: Document.Parsed, path: readonly string[]): Found {
  let node: Node | null = document.contents;
  let offset: number | null = null;
  for (const key of path) {
    if (isAlias(node)) node = (node.resolve(document) as Node | undefined) ?? null;
    if (isMap(node)) {
      const pair = (node as YAMLMap<Scalar, Node | null>).items.find((item) => String(item.key.value) === key);
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
