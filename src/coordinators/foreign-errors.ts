// The errors of a plug-in's store as ours. A plug-in may have a copy of Holdline of its own, whose classes are others: its errors are
// known by their names and codes.
import { type ErrorCode, HoldlineError, UnreachableError } from "../locks/errors.js";
import { type QueueStore, ReplyLostError } from "../queue/store.js";

const CODES: Readonly<Partial<Record<string, ErrorCode>>> = {
  ...{ usage: "usage", configuration: "configuration", "not-allowed": "not-allowed", conflict: "conflict" },
};

/** The error as one of ours; any other as it is. */
export function asOurs(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof HoldlineError || error instanceof ReplyLostError) return error;
  if (error.name === "ReplyLostError") return new ReplyLostError(error.message, { cause: error });
  const { code, hint } = error as { readonly code?: unknown; readonly hint?: unknown };
  const more = { ...(typeof hint === "string" ? { hint } : {}), cause: error };
  if (error.name === "UnreachableError" || code === "unreachable") return new UnreachableError(error.message, more);
  const known = typeof code === "string" && Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  return known === undefined ? error : new HoldlineError(known, error.message, more);
}

/** The same store, whose methods reject with our errors. */
export function translated(store: QueueStore): QueueStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        try {
          const answer: unknown = value.apply(target, given);
          return answer instanceof Promise ? answer.catch((error: unknown) => Promise.reject(asOurs(error))) : answer;
        } catch (error) {
          throw asOurs(error);
        }
      };
    },
  });
}
