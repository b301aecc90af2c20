// What Concourse hands a resource on standard input: from any text at all to a request, or to an error that says what is
// wrong with each key. Knows secrets by sight: nothing here quotes a password.
import { X509Certificate } from "node:crypto";
import { createField, readBoolean, readChoice, readDurationOrNoneMs, readKnownMap, readLabel } from "../config/field.js";
import { readLockName, readMap, readText } from "../config/field.js";
import type { Field } from "../config/field.js";
import { createProblems, plainOrigin } from "../config/problems.js";
import { HoldlineError } from "../locks/errors.js";

export const ACTIONS = ["check", "in", "out"] as const;
export type Action = (typeof ACTIONS)[number];

/** A server to ask, without what has to be kept secret. */
export interface Endpoint {
  /** Without credentials, and without a slash at its end. */
  readonly uri: string;
  /** PEM; `null`: whom node trusts. */
  readonly ca: string | null;
  readonly skipsValidation: boolean;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The resource's `source`. */
export interface Source {
  readonly locker: Endpoint;
  readonly credentials: Credentials | null;
  /** The lock's name, or the BOSH director whose name it is. */
  readonly lock: { readonly name: string } | { readonly director: Endpoint };
  /** `null`: as long as it takes. */
  readonly timeoutMs: number | null;
}

/** The `params` of a put step. */
export interface PutParams {
  readonly operation: "lock" | "unlock";
  readonly key: string;
  /** `null`: the server takes the key for it. */
  readonly lockedBy: string | null;
  /** Instead of the source's; `undefined` where it does not say. */
  readonly timeoutMs: number | null | undefined;
}

export interface Request {
  readonly source: Source;
  /** Only of `out`. */
  readonly params: PutParams | null;
  /** The version that Concourse knows, or asks for. */
  readonly ref: string | null;
}

/** @throws HoldlineError `usage` for what is no JSON, `configuration` for what is wrong with its keys */
export function parseRequest(text: string, action: Action): Request {
  const problems = createProblems();
  const root = readMap(createField(parseJson(text), [], plainOrigin("the request"), problems));
  const source = root && readSource(root.get("source"), problems.lines);
  const params = action === "out" && root !== undefined ? readParams(required(root, "params", root.get("source"))) : null;
  const ref = root && readRef(root.get("version"));
  if (action === "in" && ref === null) root?.get("version")?.refuse("has no ref; Concourse names the version to get");
  problems.throwIfAny();
  if (source === undefined || params === undefined || ref === undefined)
    throw new HoldlineError("configuration", "the request: source is missing");
  return { source, params, ref };
}
