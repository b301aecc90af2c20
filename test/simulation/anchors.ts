// Finds the code that a mutation changes: by the name of a function or method and an expression inside it, so that code
// may be laid out anew or move to another file and the mutation still hits it. Running the changed code is mutants.ts's.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ts from "typescript";
import type { Mutation } from "./mutations.js";

/** A file as a mutation leaves it. */
export interface MutatedFile {
  /** Relative to the repository. */
  readonly file: string;
  readonly source: string;
}

/** The code that mutations may change. */
const FOLDERS = ["src", "test/simulation"];
const NOT_PARSED = /\.test\.ts$|mutations\.ts$|\.d\.ts$/;

/** The code as it stands on the disk, read once. */
export interface Code {
  /** Throws, naming the mutation, unless its anchor is there exactly once. */
  mutate(mutation: Mutation): MutatedFile;
}

interface NamedNode {
  readonly file: ts.SourceFile;
  readonly node: ts.Node;
}

export function readCode(root: string): Code {
  const named = new Map<string, NamedNode[]>();
  for (const path of FOLDERS.flatMap((folder) => filesUnder(join(root, folder)))) {
    const name = relative(root, path).split(sep).join("/");
    const file = ts.createSourceFile(name, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, false);
    nameNodes(file, (qualified, node) => named.set(qualified, [...(named.get(qualified) ?? []), { file, node }]));
  }
  return {
    mutate: (mutation) => {
      const places = named.get(mutation.in) ?? [];
      const fail = (what: string): Error => new Error(`the mutation "${mutation.name}" has lost its anchor: ${what}`);
      if (places.length === 0) throw fail(`no function or method is named ${mutation.in}`);
      const hits = places.flatMap((place) => hitsIn(place, mutation.find));
      const [hit] = hits;
      const where = places.map(({ file }) => file.fileName).join(" and ");
      if (hit === undefined || hits.length > 1)
        throw fail(`${mutation.in} in ${where} has ${hits.length} times what should be there once: ${mutation.find}`);
      const { file, start, end } = hit;
      return { file: file.fileName, source: `${file.text.slice(0, start)}${mutation.replacement}${file.text.slice(end)}` };
    },
  };
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !NOT_PARSED.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Names the functions, methods, accessors, constructors and constants at the top of a file and in its classes. */
function nameNodes(file: ts.SourceFile, give: (qualified: string, node: ts.Node) => void): void {
  for (const statement of file.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name !== undefined) give(statement.name.text, statement);
    else if (ts.isVariableStatement(statement))
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name) && initializer !== undefined) give(name.text, initializer);
      }
    else if (ts.isClassDeclaration(statement) && statement.name !== undefined)
      for (const member of statement.members) give(`${statement.name.text}.${nameOfMember(file, member)}`, member);
  }
}

function nameOfMember(file: ts.SourceFile, member: ts.ClassElement): string {
  if (ts.isConstructorDeclaration(member)) return "constructor";
  return member.name?.getText(file) ?? "";
}

interface Hit {
  readonly file: ts.SourceFile;
  readonly start: number;
  readonly end: number;
}

/** Where the expression stands in the node, whatever its layout. */
function hitsIn({ file, node }: NamedNode, expression: string): Hit[] {
  const { text, offsets } = bareText(file, node);
  const wanted = withoutLayout(expression);
  const hits: Hit[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const last = offsets[at + wanted.length - 1] as number;
    hits.push({ file, start: offsets[at] as number, end: last + 1 });
  }
  return hits;
}

interface BareText {
  readonly text: string;
  /** Where in the file each of the text's characters stands. */
  readonly offsets: readonly number[];
}

/** A node's text without comments and layout. */
function bareText(file: ts.SourceFile, node: ts.Node): BareText {
  let text = "";
  const offsets: number[] = [];
  const add = (start: number, end: number): void => {
    for (let at = start; at < end; at += 1) {
      const character = file.text.charAt(at);
      if (/\s/.test(character)) continue;
      // As prettier does where it sets a list out over several lines.
      if (/[)\]}]/.test(character) && text.endsWith(",")) {
        text = text.slice(0, -1);
        offsets.pop();
      }
      text += character;
      offsets.push(at);
    }
  };
  const visit = (part: ts.Node): void => {
    // The leaves are the tokens; what lies between them is layout and comments.
    const children = part.getChildren(file);
    if (children.length > 0)
      children.filter(({ kind }) => kind < ts.SyntaxKind.FirstJSDocNode || kind > ts.SyntaxKind.LastJSDocNode).forEach(visit);
    else add(part.getStart(file), part.end);
  };
  visit(node);
  return { text, offsets };
}

function withoutLayout(expression: string): string {
  return expression.replace(/\s+/g, "").replace(/,(?=[)\]}])/g, "");
}
