// What etcd's errors mean for those who asked: no reply, so that it is asked again; something that no repetition mends, in words; or
// something that the store itself deals with.
import { HoldlineError } from "../../../locks/errors.js";
import { ReplyLostError } from "../../../queue/store.js";

/** gRPC's numbers for what went wrong. */
export const Code = {
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
  denied: 7,
  unknownMethod: 12,
  exhausted: 8,
  dataLoss: 15,
  refused: 9,
};

/** A status other than OK, as the server sent it. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** The lease of a session is not there any more: nothing of the request was done. */
export class LeaseGoneError extends Error {
  override readonly name = "LeaseGoneError";
}

/** The revision that was asked for has been compacted away. */
export class CompactedError extends Error {
  override readonly name = "CompactedError";
}

/** The cluster takes nothing that makes it grow. */
export class NoSpaceError extends HoldlineError {
  constructor(cause: unknown) {
    super("not-allowed", "the etcd cluster is out of space: it takes no writes until somebody makes room", {
      hint: "compact and defragment it (etcdctl compact, etcdctl defrag), then etcdctl alarm disarm; or raise --quota-backend-bytes",
      cause,
    });
  }
}

/** Whether a new token, and nothing else, is what the request needs: it has had no effect. */
export function isStaleToken(error: unknown): boolean {
  return error instanceof GrpcError && /invalid auth token|revision of auth store is old/.test(error.message);
}

/** Whether the cluster has no users. */
export function isWithoutUsers(error: unknown): boolean {
  return error instanceof GrpcError && error.message.includes("authentication is not enabled");
}

/** Whether another member may do better: this one has no leader, is being stopped, or does not reach the others. */
export function isMembersFault(error: unknown): boolean {
  return error instanceof GrpcError && error.code === Code.unavailable;
}

/** An error of a request as its caller is to see it. @param server which one answered, for messages */
export function translate(error: unknown, server: string): Error {
  if (!(error instanceof GrpcError)) return error as Error;
  const { code, message } = error;
  const found = MEANINGS.find(([words]) => words.test(message));
  if (found !== undefined) return found[1](error);
  const said = message.replace(/^etcdserver: /, "");
  if (code === Code.denied) return denied(server, error);
  if (code === Code.unknownMethod)
    return new HoldlineError("configuration", `the server ${server} is no etcd of version 3.4 or later: ${said}`, { cause: error });
  if (code === Code.unauthenticated || code === 3 || code === Code.refused)
    return new HoldlineError("not-allowed", `etcd at ${server} refuses the request: ${said}`, { cause: error });
  // What is left may have had an effect or not: no leader, a timeout, a member that is being stopped.
  return new ReplyLostError(`${server}: ${said}`);
}

/** This user may not do what was asked for. */
export function denied(server: string, cause: unknown): HoldlineError {
  return new HoldlineError("not-allowed", `etcd at ${server} does not let this user do so: permission denied`, {
    hint: "grant its role readwrite on the URL's prefix: etcdctl role grant-permission --prefix=true ROLE readwrite /PREFIX/",
    cause,
  });
}

const MEANINGS: readonly (readonly [words: RegExp, meaning: (cause: GrpcError) => Error])[] = [
  [/requested lease not found/, (cause) => new LeaseGoneError(cause.message)],
  [/revision has been compacted/, (cause) => new CompactedError(cause.message)],
  [/database space exceeded/, (cause) => new NoSpaceError(cause)],
  [
    /corrupt cluster/,
    (cause) =>
      new HoldlineError("not-allowed", "the etcd cluster has raised the alarm CORRUPT: a member's data differ from the others'", {
        hint: "replace that member (etcdctl alarm list names it), then etcdctl alarm disarm",
        cause,
      }),
  ],
  [
    /request is too large|message larger than max/,
    (cause) =>
      new HoldlineError("usage", "the request is larger than the etcd cluster takes", {
        hint: "claim fewer locks at once, or raise etcd's --max-request-bytes",
        cause,
      }),
  ],
  [
    /too many operations in txn/,
    (cause) =>
      new HoldlineError("usage", "the request has more steps than the etcd cluster takes in one transaction", {
        hint: "claim fewer locks at once, or set etcd's --max-txn-ops to 128 or more",
        cause,
      }),
  ],
  [
    /user name is empty/,
    (cause) =>
      new HoldlineError("not-allowed", "the etcd cluster asks for a user, and the URL names none", {
        hint: "name it as etcd://USER@…?password_file=FILE, or by a client's certificate with etcd+tls://…?cert=FILE&key=FILE",
        cause,
      }),
  ],
  [
    /authentication failed/,
    (cause) => new HoldlineError("not-allowed", "the etcd cluster does not know this user with this password", { cause }),
  ],
];
