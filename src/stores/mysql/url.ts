// Reading mysql:// and mariadb:// URLs. src/coordinators/schemes/mysql.ts has checked them before.
import type { SecurityFiles } from "../../secure-connection.js";
import { parseStoreUrl, type ServerName } from "../../store-url.js";

export interface MysqlAddress {
  readonly servers: readonly ServerName[];
  readonly user: string;
  readonly password: string | null;
  /** Read anew for each connection. */
  readonly passwordFile: string | null;
  readonly database: string;
  /** What the names of Holdline's tables begin with. */
  readonly prefix: string;
  /** `null`: the connection is not encrypted. */
  readonly security: SecurityFiles | null;
}

export const DEFAULT_PORT = 3306;

const DEFAULT_PREFIX = "holdline_";

export function parseMysqlUrl(url: string): MysqlAddress {
  const { user, password, servers, path, params } = parseStoreUrl(url);
  const files = { ca: params.get("ca"), cert: params.get("cert"), key: params.get("key") };
  const isSecure = params.get("tls") === "on" || files.ca !== undefined || files.cert !== undefined;
  return {
    servers,
    user: user ?? "",
    password,
    passwordFile: params.get("password_file") ?? null,
    database: decodeURIComponent(path.slice(1)),
    prefix: params.get("prefix") ?? DEFAULT_PREFIX,
    security: isSecure ? files : null,
  };
}
