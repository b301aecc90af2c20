// What a PostgreSQL URL means. How one looks is said in src/coordinators/schemes/postgresql.ts.
import { passwordFrom, type SecurityFiles } from "../../secure-connection.js";
import { addressOf, parseStoreUrl, type ServerName } from "../../store-url.js";

/** As libpq calls them. `prefer`: with TLS where the server has it, and without a look at its certificate. */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

export interface Server {
  readonly host: string;
  readonly port: number;
  /** Both, for messages. */
  readonly address: string;
}

export interface PostgresAddress {
  readonly servers: readonly Server[];
  /** `null`: this process's own. */
  readonly user: string | null;
  /** Reads its file anew each time. `null` where there is none. */
  readonly password: () => string | null;
  readonly database: string;
  readonly schema: string;
  readonly sslMode: SslMode;
  readonly security: SecurityFiles;
}

const DEFAULT_PORT = 5432;
const DEFAULT_SCHEMA = "holdline";

export function parsePostgresUrl(url: string): PostgresAddress {
  const { user, password, servers, path, params } = parseStoreUrl(url);
  const file = params.get("password_file");
  const ca = params.get("sslrootcert");
  return {
    servers: servers.map(serverOf),
    user,
    password: () => (file === undefined ? password : passwordFrom(file)),
    database: decodeURIComponent(path.slice(1)),
    schema: params.get("schema") ?? DEFAULT_SCHEMA,
    // Whoever names an authority wants the server's certificate to be looked at.
    sslMode: (params.get("sslmode") as SslMode | undefined) ?? (ca === undefined ? "prefer" : "verify-full"),
    security: { ca, cert: params.get("sslcert"), key: params.get("sslkey") },
  };
}

function serverOf(name: ServerName): Server {
  return { host: name.host, port: name.port ?? DEFAULT_PORT, address: addressOf(name, DEFAULT_PORT) };
}
