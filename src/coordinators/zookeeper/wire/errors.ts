// What a failed request means: whether it may be sent again, and which of Holdline's errors it becomes.
import { HoldlineError, UnreachableError } from "../../../locks/errors.js";
import { WireError, ZK } from "./protocol.js";

/** Waits for a request unless the signal is aborted; the request itself goes on. The signal must not be aborted yet. */
export function unlessAborted<T>(signal: AbortSignal | undefined, asked: Promise<T>): Promise<T> {
  if (signal === undefined) return asked;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

// Many times what most requests take, and less than anybody sets as a limit.
const LARGE_BYTES = 32_768;

// A network that breaks so often, each time before the answer to the same request, is rarer than a server with a low limit.
const MOST_LOSSES = 4;

/**
 * Gives up a large request over which connection after connection was lost: a server hangs up on one that is longer than its
 * `jute.maxbuffer`, and says nothing.
 * @param losses how many times in a row, this one included
 * @throws HoldlineError `configuration`
 */
export function refuseIfTooLarge(error: unknown, losses: number): void {
  if (!(error instanceof WireError) || error.sentBytes < LARGE_BYTES || losses < MOST_LOSSES) return;
  throw new HoldlineError("configuration", `ZooKeeper hung up ${losses} times over a request of ${error.sentBytes} bytes`, {
    hint: "a server takes none that is longer than its jute.maxbuffer, 1 MiB by default: raise it on all servers, or give the claim less `data`",
    cause: error,
  });
}

/** Whether the connection broke before the reply, so that the request may or may not have been carried out. */
export function isConnectionLoss(error: unknown): boolean {
  return error instanceof WireError && (error.zk === ZK.connectionLoss || error.zk === ZK.sessionExpired);
}

const CREDENTIALS_HINT =
  "give the same in the coordinator URL on every node: zookeeper://user:password@host:2181/holdline, or certificates of one subject";
const SERVER_HINT = "the servers' own logs say why";

type Code = "unreachable" | "not-allowed" | "configuration";

// Every error code of ZooKeeper's protocol that can answer a request of Holdline's, in the order of KeeperException.Code: the code of
// the error that a caller sees, what is wrong, and what to do. Trying again helps with "unreachable", and with nothing else.
const PROBLEMS = new Map<number, readonly [code: Code, problem: string, hint: string]>([
  [-1, ["unreachable", "the server met an error of its own", SERVER_HINT]],
  [-2, ["unreachable", "the server found its own data inconsistent", SERVER_HINT]],
  [-3, ["unreachable", "the server found its stored data inconsistent", SERVER_HINT]],
  [ZK.connectionLoss, ["unreachable", "the connection was lost before the reply", "try again"]],
  [-5, ["configuration", "the server could not read the request", "Holdline needs ZooKeeper 3.6 or later"]],
  [ZK.unimplemented, ["configuration", "the server does not know this request", "Holdline needs ZooKeeper 3.6 or later"]],
  [-7, ["unreachable", "the server did not carry it out in time", "see whether the ensemble is overloaded"]],
  [-8, ["configuration", "the server does not accept the request's arguments", "check the path in the coordinator URL"]],
  [-13, ["unreachable", "the ensemble has no quorum for its new configuration", SERVER_HINT]],
  [-14, ["unreachable", "the ensemble is being reconfigured", "try again when that is done"]],
  [
    ZK.noNode,
    ["unreachable", "a znode that was just there has been removed", "see which other client removes znodes below the root"],
  ],
  [ZK.noAuth, ["not-allowed", "the znodes belong to other credentials", CREDENTIALS_HINT]],
  [
    ZK.badVersion,
    ["unreachable", "another client keeps writing to the same znode", "see which other client writes below the root"],
  ],
  [
    -108,
    [
      "configuration",
      "the root lies below an ephemeral znode, which can have no children",
      "name another root in the coordinator URL",
    ],
  ],
  [ZK.nodeExists, ["unreachable", "a znode is in the way", "see which other client makes znodes below the root"]],
  [ZK.notEmpty, ["unreachable", "a znode still has children", "see which other client makes znodes below the root"]],
  [ZK.sessionExpired, ["unreachable", "the session has expired", "try again"]],
  [
    -114,
    [
      "configuration",
      "the server does not accept the ACL of new znodes",
      "check the credentials in the coordinator URL; for SASL and certificates the servers need authProvider.sasl and authProvider.x509",
    ],
  ],
  [ZK.authFailed, ["not-allowed", "the server refused the credentials", CREDENTIALS_HINT]],
  [-118, ["unreachable", "the session has moved to another server", "try again"]],
  [
    -119,
    [
      "unreachable",
      "the server is read-only: it has no quorum",
      "check that most servers of the ensemble run and reach each other",
    ],
  ],
  [
    -120,
    ["configuration", "the server gives local sessions only, which cannot hold a lock", "set localSessionsUpgradingEnabled=true"],
  ],
  [-122, ["unreachable", "the server did not answer its own request in time", "see whether the ensemble is overloaded"]],
  [
    -124,
    [
      "not-allowed",
      "the server accepts clients with SASL or another authentication only",
      "log in with ?sasl=digest-md5 in the coordinator URL; see enforce.auth.schemes on the server",
    ],
  ],
  [
    -125,
    [
      "not-allowed",
      "the quota of the znodes is used up",
      "raise it with setquota, or remove what fills the tree; releasing still works",
    ],
  ],
  [
    -127,
    [
      "unreachable",
      "the server is overloaded and throttles requests",
      "try again later, and see requestThrottleLimit on the server",
    ],
  ],
]);

/** A server's refusal in words. */
export function describeRefusal(error: WireError): string {
  return PROBLEMS.get(error.zk)?.[1] ?? error.message;
}

/** Turns a WireError into one of Holdline's errors; gives anything else back as it is. */
export function toHoldlineError(error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  const known = PROBLEMS.get(error.zk);
  if (known === undefined) {
    return new UnreachableError(`ZooKeeper answered with an error that Holdline does not know: ${error.message}`, { cause: error });
  }
  const [code, problem, hint] = known;
  const message = `ZooKeeper refuses this: ${problem}`;
  if (code === "unreachable") return new UnreachableError(message, { hint, cause: error });
  return new HoldlineError(code, message, { hint, cause: error });
}
