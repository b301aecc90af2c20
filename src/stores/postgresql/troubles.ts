// What PostgreSQL's errors mean to us: a reply that may be lost, something that no repetition mends, or nothing that has happened at all.
import { HoldlineError, messageOf, UnreachableError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { tlsTroubleOf } from "../../secure-connection.js";
import { quoteName } from "./tables.js";
import type { PostgresAddress, Server } from "./url.js";

/** The server's own code of an error, of five characters; `null` for one that no server has told. */
export function sqlState(error: unknown): string | null {
  const { code, severity } = (error ?? {}) as { readonly code?: unknown; readonly severity?: unknown };
  return typeof code === "string" && typeof severity === "string" ? code : null;
}

/** Whether the server has undone the request because another came in its way: to be sent again as it is. */
export function isCollision(error: unknown): boolean {
  return ["40001", "40P01"].includes(sqlState(error) ?? "");
}

/** Whether the disk, or a quota on it, is full. */
export function isFull(error: unknown): boolean {
  return sqlState(error) === "53100";
}

/** Whether the server takes no writes any more: it is a standby, or was told so. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === "25006";
}

/** Whether an object that was to be made has been made by somebody else meanwhile. */
export function isThereAlready(error: unknown): boolean {
  return ["23505", "42P06", "42P07", "42723", "42710"].includes(sqlState(error) ?? "");
}

/** Whether the server refuses for want of rights. */
export function isForbidden(error: unknown): boolean {
  return sqlState(error) === "42501";
}

// Beside those of connections (class 08) and of an operator's intervention (57): no such error has left anything done.
//   25006 a standby, or a server that was told to take no writes; 53xxx no memory, no connection left; 55P03 somebody keeps a lock
const PASSING = /^(?:08|57|53|25006|55P03)/;

/** An error of a request on an open connection. */
export function requestTrouble(error: unknown, { schema }: PostgresAddress): Error {
  if (error instanceof HoldlineError || error instanceof ReplyLostError) return error;
  const state = sqlState(error);
  const words = messageOf(error);
  if (isFull(error))
    return new UnreachableError(`the server has no room left: ${words}`, { hint: "make room on its disk", cause: error });
  if (state === "55P03") return lost("another transaction has kept a row of the root locked for 5 s: see pg_stat_activity", error);
  if (state === null || PASSING.test(state)) return lost(words, error);
  if (state === "42501") {
    return new HoldlineError("not-allowed", `the database does not let this user do that: ${words}`, {
      hint: grantHint(schema),
      cause: error,
    });
  }
  if (/^(?:42P01|42883|3F000|42703)$/.test(state)) {
    return new UnreachableError(`the schema ${schema} is not as this holdline has made it: ${words}`, {
      hint: "see who has changed it, and restore it; or name another schema in the URL",
      cause: error,
    });
  }
  if (/^22P05$|^22021$/.test(state))
    return new HoldlineError("usage", `the database does not take this text: ${words}`, { cause: error });
  return error as Error;
}

/** An error of making a connection to a server. */
export function connectTrouble(error: unknown, { address }: Server, { user, database, schema }: PostgresAddress): Error {
  if (error instanceof HoldlineError || error instanceof ReplyLostError) return error;
  const state = sqlState(error);
  const words = messageOf(error);
  if (/^28/.test(state ?? "") || /password must be a string/i.test(words)) {
    const said = state === null ? "it asks for a password, and the URL has none" : words;
    return new HoldlineError("not-allowed", `the server ${address} does not let ${user ?? "this user"} in: ${said}`, {
      hint: "look at the URL's user, its password or password_file, and at the server's pg_hba.conf",
      cause: error,
    });
  }
  if (state === "3D000") {
    return new HoldlineError("configuration", `the server ${address} has no database ${database}`, {
      hint: `name another one in the URL, or have it made: CREATE DATABASE ${database}`,
      cause: error,
    });
  }
  if (state === "42501") {
    return new HoldlineError("not-allowed", `the server ${address} does not let this user in: ${words}`, {
      hint: grantHint(schema),
      cause: error,
    });
  }
  if (/does not support SSL/.test(words)) {
    return new UnreachableError(`the server ${address} has no TLS, which the URL's sslmode asks for`, {
      hint: "turn it on there (ssl = on), or give sslmode=disable where the network can be trusted",
      cause: error,
    });
  }
  const tls = tlsTroubleOf(error);
  if (tls !== null) {
    // The parameters have libpq's names here.
    const hint = tls.hint.replace("?ca=", "?sslrootcert=").replace(/([?&])(cert|key)=/g, "$1ssl$2=");
    return new UnreachableError(`the server ${address} ${tls.message}`, { hint, cause: error });
  }
  return lost(`the server ${address}: ${words}`, error);
}

/** What an administrator gives a user of whom nothing but the daily work is asked. */
export function grantHint(schema: string): string {
  const name = quoteName(schema);
  return (
    `as the schema's owner: GRANT USAGE ON SCHEMA ${name} TO …; ` +
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO …;`
  );
}

function lost(words: string, cause: unknown): ReplyLostError {
  return new ReplyLostError(words, { cause });
}
