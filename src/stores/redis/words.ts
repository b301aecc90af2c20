// What Redis's errors mean: whether something is worth asking again, and in which words a person is told.
import { HoldlineError, messageOf, UnreachableError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { tlsTroubleOf } from "../../secure-connection.js";

/** The first word of an error that a server has replied. */
export function codeOf(error: unknown): string {
  return /^[A-Z]+(?= |$)/.exec(messageOf(error))?.[0] ?? "";
}

/** A server's error reply as the engine is told of it. Nothing that a server refuses in these words has had an effect. */
export function refusal(error: Error, server: string): HoldlineError | ReplyLostError {
  const code = codeOf(error);
  const retried = PASSING[code];
  if (retried !== undefined) return lost(`the server ${server} ${retried}`, error);
  const known = LASTING[code];
  if (known === undefined) {
    if (/max number of clients/.test(error.message)) return lost(`the server ${server} has as many clients as it takes`, error);
    if (/DB index is out of range/.test(error.message))
      return new HoldlineError("configuration", `the server ${server} has no database of this number`, { cause: error });
    if (/unknown command|unsupported/i.test(error.message))
      return new HoldlineError("configuration", `the server ${server} does not know a command: ${error.message}`, {
        hint: "use Redis 7 or later, or Valkey",
        cause: error,
      });
    return new HoldlineError("bug", `the server ${server} refuses a request: ${error.message}`, { cause: error });
  }
  return new HoldlineError(known.code, `the server ${server} ${known.message(error.message)}`, { hint: known.hint, cause: error });
}

/** What became of a connection, as the engine is told of it. */
export function brokenOff(error: unknown, server: string): UnreachableError | ReplyLostError {
  const trouble = tlsTroubleOf(error);
  if (trouble !== null)
    return new UnreachableError(`the server ${server} ${trouble.message}`, { hint: trouble.hint, cause: error });
  return lost(`${server}: ${messageOf(error)}`, error);
}

function lost(message: string, cause: unknown): ReplyLostError {
  return new ReplyLostError(message, { cause });
}

/** What passes by itself: the engine asks again. */
const PASSING: Readonly<Record<string, string>> = {
  READONLY: "is a replica by now",
  LOADING: "is still loading its data",
  MASTERDOWN: "is a replica that has lost its primary",
  BUSY: "is kept busy by somebody's script",
  CLUSTERDOWN: "belongs to a cluster that is down",
  TRYAGAIN: "is moving this root's keys to another one",
  MOVED: "has handed this root's keys to another one",
  ASK: "is handing this root's keys to another one",
  NOREPLICAS: "has too few replicas in sight to write (min-replicas-to-write)",
  MISCONF: "writes nothing, because it cannot save its data to its disk",
  UNKILLABLE: "is kept busy by somebody's script",
};

interface Lasting {
  readonly code: "configuration" | "not-allowed";
  readonly message: (text: string) => string;
  readonly hint: string;
}

const LASTING: Readonly<Record<string, Lasting>> = {
  NOAUTH: {
    code: "not-allowed",
    message: () => "wants a password",
    hint: "name it in the URL, or in a file as ?password_file=FILE",
  },
  WRONGPASS: {
    code: "not-allowed",
    message: () => "does not take this user and password",
    hint: "look at the URL's user and password; without a user it is `default`",
  },
  NOPERM: {
    code: "not-allowed",
    message: (text) => `does not let this user do all that is needed: ${text.replace(/^NOPERM\s+/, "")}`,
    hint: "docs/stores.md has the ACL of a user with the least rights",
  },
  DENIED: {
    code: "not-allowed",
    message: () => "is in protected mode, and takes connections from its own machine alone",
    hint: "give it a password, or an address to listen on",
  },
  WRONGTYPE: {
    code: "configuration",
    message: () => "has keys of another program where this root's would be",
    hint: "choose another ?prefix=",
  },
  NOPROTO: { code: "configuration", message: () => "is too old", hint: "use Redis 7 or later, or Valkey" },
  OOM: {
    code: "not-allowed",
    message: () => "takes no more data: its memory is full (maxmemory)",
    hint: "raise maxmemory, or remove what is not needed; claims can be let go meanwhile",
  },
};
