// What a server's errors mean for a request: that it can be sent again, that another server has to be asked, or what a person has to do.
import { HoldlineError, UnreachableError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";

/** A server's error by its number. Nothing of the request has had an effect once the transaction has been rolled back. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  constructor(
    /** As in the servers' documentation, such as 1213. */
    readonly number: number,
    message: string,
  ) {
    super(message);
  }

  /** Somebody else's transaction was in the way; or, on a Galera cluster, another member's. */
  get isRepeatable(): boolean {
    // Deadlock, lock wait timeout, and a record that has changed since the snapshot (MariaDB's innodb_snapshot_isolation).
    return [1213, 1205, 1020].includes(this.number);
  }

  /** This server takes no writes, ends, or ends this connection: another connection may do better. */
  get isOfConnection(): boolean {
    // Read-only (1290, 1836, 1792), shutting down (1053), connections that are ended or too many (1927, 1040, 1203, 4031), a member that
    // is not part of its Galera cluster (1047), and what is said when a connection is given up on either side (1079, 1158 to 1161, 1184).
    return [1290, 1836, 1792, 1053, 1927, 1040, 1203, 4031, 1047, 1079, 1158, 1159, 1160, 1161, 1184].includes(this.number);
  }

  get isOfRights(): boolean {
    return [1044, 1045, 1142, 1143, 1227, 1370, 1410, 1698].includes(this.number);
  }

  /** The table or the disk is full. */
  get isFull(): boolean {
    return [1114, 1021, 1026].includes(this.number);
  }

  get isTableMissing(): boolean {
    return this.number === 1146;
  }

  get isColumnMissing(): boolean {
    return this.number === 1054;
  }
}

/** What the engine is told of a server's error, after the transaction has been rolled back. */
export function errorOf(error: ServerError, address: string): Error {
  const said = `${error.message} (error ${error.number})`;
  if (error.isRepeatable || error.isOfConnection) return new ReplyLostError(`${address}: ${said}`);
  // A statement that somebody has ended, or that took too long.
  if ([1317, 1969, 3024, 1028].includes(error.number)) return new ReplyLostError(`${address}: ${said}`);
  if (error.isOfRights)
    return new HoldlineError("not-allowed", `the database at ${address} refuses: ${said}`, {
      hint: "docs/stores.md has the rights that Holdline's user needs",
      cause: error,
    });
  const hint = HINTS[error.number];
  const options = hint === undefined ? { cause: error } : { hint, cause: error };
  if (hint !== undefined && !error.isFull && !error.isTableMissing)
    return new HoldlineError("configuration", `the database at ${address} refuses: ${said}`, options);
  return new UnreachableError(`the database at ${address} fails: ${said}`, options);
}

const HINTS: Readonly<Record<number, string>> = {
  1021: "its disk is full: make room",
  1026: "look at its disk and its error log",
  1049: "create the database, or name another one in the URL",
  1114: "its disk or tablespace is full: make room",
  1146: "the tables have been removed while Holdline used them: start it again to have them made anew",
  1153: "raise its max_allowed_packet, or keep less data with each claim",
  1286: "Holdline needs the storage engine InnoDB",
  1406: "keep less data with each claim",
  1665: "set its binlog_format to ROW or MIXED",
};
