// What a failed request means: whether it may be asked again, and what to call it.
import { HoldlineError, UnreachableError } from "../../locks/errors.js";
import { WireError, ZK } from "./protocol.js";

/** What was asked goes on by itself when the caller does not wait for it any more. The signal is not aborted yet. */
export function unlessAborted<T>(signal: AbortSignal | undefined, asked: Promise<T>): Promise<T> {
  if (signal === undefined) return asked;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Did the connection break before the reply, so that nobody knows whether the request was carried out? */
export function isLoss(error: unknown): boolean {
  return error instanceof WireError && (error.zk === ZK.connectionLoss || error.zk === ZK.sessionExpired);
}

/** A wire's error in Holdline's words; anything else as it is. */
export function fromWire(error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  if (error.zk === ZK.noAuth || error.zk === ZK.authFailed) {
    return new HoldlineError("not-allowed", "ZooKeeper refuses this: the znodes belong to other credentials", {
      hint: "give the credentials in the coordinator URL: zookeeper://user:password@host:2181/holdline",
      cause: error,
    });
  }
  return new UnreachableError(`ZooKeeper answered with an error: ${error.message}`, { cause: error });
}
