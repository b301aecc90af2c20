// postgresql://[user[:password]@]host[:port][,host[:port]…]/database[?schema=…&sslmode=…&…], with libpq's names for what libpq has
import { paramsOf, piecesOf } from "../../store-url.js";
import { filePath, oneOf, type ParamCheck, paramsProblem, type Scheme, serversProblem } from "./scheme.js";

// The server cuts longer names off without a word, so that two would be one.
const LONGEST_NAME_BYTES = 63;

const nameOf = (value: string): string | null =>
  Buffer.byteLength(value) > LONGEST_NAME_BYTES ? `has more than ${LONGEST_NAME_BYTES} bytes` : null;

const schemaName: ParamCheck = (value) => {
  if (value === "") return "must name a schema";
  if (value.includes("\0")) return "must not have a NUL character";
  if (/^pg_|^information_schema$/.test(value)) return "must not name a schema of the server's own";
  return nameOf(value);
};

const PARAMS = {
  schema: schemaName,
  sslmode: oneOf("disable", "prefer", "require", "verify-ca", "verify-full"),
  sslrootcert: filePath,
  sslcert: filePath,
  sslkey: filePath,
  password_file: filePath,
  // The only servers that a lock can be on.
  target_session_attrs: oneOf("read-write", "primary"),
};

export const POSTGRESQL: Scheme = {
  example: "postgresql://holdline@db1:5432,db2:5432/app?schema=holdline",
  isEmbedded: false,
  problem(rest) {
    const { userInfo, servers, path, query } = piecesOf(rest);
    if (userInfo?.includes("@")) return 'has an "@" in its password, which is written %40';
    if (userInfo !== null && /^(?::|$)/.test(userInfo)) return 'must have a user before the "@"';
    if (/%00/.test(userInfo ?? "")) return "has a NUL in its user or its password";
    // With a "/" in the password, what looks like a server is a part of it.
    const problem = serversProblem(servers, !/@|%40/.test(rest)) ?? databaseProblem(path);
    if (problem !== null) return problem;
    return paramsProblem(query, PARAMS) ?? securityProblem(new Map(paramsOf(query)), userInfo ?? "");
  },
};

function databaseProblem(path: string): string | null {
  const name = decodeURIComponent(path.slice(1));
  if (name === "") return "names no database";
  if (path.slice(1).includes("/")) return 'has a second "/" behind its servers; in a database\'s name it is written %2F';
  if (name.includes("\0")) return "has a NUL in its database's name";
  const problem = nameOf(name);
  return problem === null ? null : `has a database whose name ${problem}`;
}

function securityProblem(params: ReadonlyMap<string, string>, userInfo: string): string | null {
  if (params.has("sslcert") !== params.has("sslkey")) return 'must have both of "sslcert" and "sslkey", or none';
  if (params.get("sslmode") === "disable" && (params.has("sslrootcert") || params.has("sslcert")))
    return 'has certificates although "sslmode" is disable';
  if (params.has("password_file") && userInfo.includes(":")) return "has a password and a file with one";
  return null;
}
