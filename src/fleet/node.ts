// The document of a node: what it is, and what became last of each of its actions. Pure.
import { isObject } from "../locks/claim.js";
import type { Document } from "../locks/documents.js";

/** The documents of nodes are named `nodes/<node>`. */
export const NODES_PREFIX = "nodes/";

/** How an action's latest run on a node ended. The words are those of results; times are milliseconds since 1970 by the store's clock. */
export interface NodeAction {
  readonly lock: string;
  readonly outcome: string;
  readonly at: number;
  /** `null` where nothing ran. */
  readonly ranMs: number | null;
  readonly message: string;
  /** When the latest wish was made that this outcome answers. */
  readonly wishedAt: number;
  /** Since when a wish has been waiting for its turn; `null` where none is. */
  readonly pendingSince: number | null;
}

export interface NodeDocument {
  readonly node: string;
  readonly group: string;
  readonly machine: string | null;
  readonly seenAt: number;
  /** Holdline's. */
  readonly version: string;
  readonly actions: Readonly<Record<string, NodeAction>>;
}

/** The group of a node that names none. */
export const DEFAULT_GROUP = "default";

const FULFILLING: ReadonlySet<string> = new Set(["ran", "already-restarted", "already-done", "not-needed"]);

/** Whether an outcome has fulfilled the wish that it answers. */
export function isFulfilled({ outcome }: Pick<NodeAction, "outcome">): boolean {
  return FULFILLING.has(outcome);
}

/** What a node's document says of an action; names come from people, and one may be called `constructor`. */
export function actionOf({ actions }: Pick<NodeDocument, "actions">, name: string): NodeAction | undefined {
  return Object.hasOwn(actions, name) ? actions[name] : undefined;
}

const VERSION = 1;

export function documentOfNode(node: string): string {
  return `${NODES_PREFIX}${node}`;
}

export function encodeNode(node: NodeDocument): string {
  return JSON.stringify({ v: VERSION, ...node });
}

/** `null` for what is no node's document. */
export function decodeNode(value: string): NodeDocument | null {
  let read: unknown;
  try {
    read = JSON.parse(value);
  } catch {
    return null;
  }
  if (!isObject(read) || read["v"] !== VERSION) return null;
  const { node, group, machine, seenAt, version, actions } = read;
  if (![node, group, version].every(isText)) return null;
  if (!Number.isFinite(seenAt) || !isObject(actions)) return null;
  const known = Object.entries(actions).filter(
    (entry): entry is [string, NodeAction] => isText(entry[0]) && isNodeAction(entry[1]),
  );
  return {
    ...{ node: node as string, group: group as string, version: version as string, seenAt: seenAt as number },
    machine: isText(machine) ? machine : null,
    actions: Object.fromEntries(known),
  };
}

function isNodeAction(value: unknown): value is NodeAction {
  if (!isObject(value)) return false;
  const { lock, outcome, at, ranMs, message, wishedAt, pendingSince } = value;
  return (
    [lock, outcome, message].every(isText) &&
    [at, wishedAt].every((time) => Number.isFinite(time)) &&
    [ranMs, pendingSince].every((time) => time === null || Number.isFinite(time))
  );
}

// More than any that a run writes. A node keeps what it reads of its other actions, and a text without an end would keep it from writing.
const LONGEST_TEXT = 1_000;

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_TEXT;
}

/** The nodes in some documents, by name. What is none is left out, and so is what speaks for another: anybody may have written it. */
export function nodesIn(documents: readonly Pick<Document, "name" | "value">[]): readonly NodeDocument[] {
  return documents
    .flatMap(({ name, value }) => {
      const node = decodeNode(value);
      return node !== null && documentOfNode(node.node) === name ? node : [];
    })
    .sort(byName);
}

/** The nodes of several stores as one list. A node that several know is what the newest of them says, with the actions of all. */
export function mergeNodes(stores: readonly (readonly NodeDocument[])[]): readonly NodeDocument[] {
  const merged = new Map<string, NodeDocument>();
  for (const node of stores.flat()) {
    const other = merged.get(node.node);
    const [older, newer] = other === undefined || other.seenAt <= node.seenAt ? [other, node] : [node, other];
    merged.set(node.node, older === undefined ? newer : { ...newer, actions: { ...older.actions, ...newer.actions } });
  }
  return [...merged.values()].sort(byName);
}

function byName({ node: one }: NodeDocument, { node: other }: NodeDocument): number {
  return one < other ? -1 : Number(one > other);
}

// What a gate says begins with these words already.
const SAID_BY_MESSAGE = ["outside-window", "frozen", "blocked"];

/** An outcome with its message, in words: "timed out: gave up after 30 s". */
export function outcomeWords({ outcome, message }: Pick<NodeAction, "outcome" | "message">): string {
  const words = outcome.replaceAll("-", " ");
  if (message === "") return words;
  return SAID_BY_MESSAGE.includes(outcome) ? message : `${words}: ${message}`;
}
