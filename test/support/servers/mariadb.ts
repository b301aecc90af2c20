// A real MariaDB of a test's own, from this machine's installation: its data directory, its configuration, and an account that may do all.
import { execFileSync } from "node:child_process";
import { existsSync, statfsSync, mkdtempSync } from "node:fs";
import { chmod, cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";

const MARIADBD = "/usr/sbin/mariadbd";

/** The account of tests that set something up. */
export const ADMIN = { user: "admin", password: "admin-word" };

/** The database that tests share; each has tables of its own there. */
export const DATABASE = "holdline";

export interface MariaDbOptions {
  /** Further options, such as `{ "read-only": "ON" }`. */
  readonly options?: Readonly<Record<string, string>>;
  /** Keeps its data on the disk, as users do, and not in memory. */
  readonly isOnDisk?: boolean;
  /** SQL that is run at each start, by lines. */
  readonly init?: readonly string[];
}

export interface MariaDb {
  readonly host: string;
  readonly port: number;
  readonly process: ServerProcess;
  /** Runs statements as the account that may do all; gives the rows of the last. */
  sql(...statements: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): Promise<void>;
}

/** Why no server can be started here; `null` where one can. */
export function missingMariaDb(): string | null {
  return existsSync(MARIADBD) ? null : `${MARIADBD} is not there`;
}

export async function startMariaDb({ options = {}, isOnDisk = false, init = [] }: MariaDbOptions = {}): Promise<MariaDb> {
  const [port] = (await freePorts(1)) as [number];
  const host = "127.0.0.1";
  // The socket's path has little room, and the server runs as another user where this one is root.
  const directory = await mkdtemp(join(isOnDisk ? tmpdir() : shelf(), "holdline-mariadb-"));
  await chmod(directory, 0o755);
  const data = join(directory, "data");
  await cp(emptyData(), data, { recursive: true, preserveTimestamps: true });
  if (isRoot) execFileSync("chown", ["-R", "mysql:mysql", data]);
  const account = `'${ADMIN.user}'@'%'`;
  const setup = [
    `CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${ADMIN.password}';`,
    `GRANT ALL ON *.* TO ${account} WITH GRANT OPTION;`,
    `CREATE DATABASE IF NOT EXISTS ${DATABASE};`,
    ...init,
  ];
  await writeFile(join(directory, "init.sql"), `${setup.join("\n")}\n`);
  const given = { ...OPTIONS, ...options };
  const argv = [
    MARIADBD,
    "--no-defaults",
    `--datadir=${data}`,
    `--port=${port}`,
    `--bind-address=${host}`,
    `--socket=${join(data, "socket")}`,
    `--pid-file=${join(data, "pid")}`,
    `--init-file=${join(directory, "init.sql")}`,
    ...(isRoot ? ["--user=mysql"] : []),
    ...Object.entries(given).map(([name, value]) => `--${name}=${value}`),
  ];
  const sql: MariaDb["sql"] = async (...statements) => {
    const connection = await createConnection({ host, port, ...ADMIN, database: DATABASE });
    try {
      let rows: unknown = [];
      for (const statement of statements) [rows] = await connection.query(statement);
      return Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
    } finally {
      await connection.end();
    }
  };
  const server = new ServerProcess({
    name: `MariaDB at ${host}:${port}`,
    directory,
    prepare: () => Promise.resolve({ argv }),
    serves: async () => (await sql("SELECT 1")).length === 1,
  });
  await startServers([server]);
  return { host, port, process: server, sql, close: () => server.close() };
}

// Small, and as a server without a name service wants it.
const OPTIONS = {
  "skip-name-resolve": "ON",
  "innodb-buffer-pool-size": "32M",
  "innodb-log-file-size": "8M",
  "performance-schema": "OFF",
};

// A server's data take some 60 MB.
const ROOM = 500_000_000;

/** Where data are written: to memory where there is room, since each table of each test is brought to the disk. */
function shelf(): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > ROOM ? memory : tmpdir();
}

const isRoot = process.getuid?.() === 0;

let made: string | null = null;

/** The data of a server that has never run, made once: that takes longer than a start. */
function emptyData(): string {
  if (made !== null) return made;
  const directory = mkdtempSync(join(tmpdir(), "holdline-mariadb-empty-"));
  const user = isRoot ? ["--user=mysql"] : [];
  execFileSync(
    "mariadb-install-db",
    ["--no-defaults", `--datadir=${directory}`, "--auth-root-authentication-method=normal", "--skip-test-db", ...user],
    { stdio: "pipe" },
  );
  process.once("exit", () => execFileSync("rm", ["-rf", directory]));
  made = directory;
  return directory;
}
