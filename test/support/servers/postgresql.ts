// PostgreSQL servers of a test's own: made by initdb in a folder, alone or as a standby of another, with settings of the test's.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, chmod, chown, mkdtemp, readdir, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";
import { connectPostgres } from "./postgresql-client.js";

const run = promisify(execFile);

/** How a server is set up. */
export interface PostgresSetup {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[];
  /** Lines of pg_hba.conf, above the one that trusts this machine. */
  readonly access?: readonly string[];
  /** A server that this one is to be a standby of. */
  readonly primary?: PostgresServer;
  /** Files in its folder, such as certificates, by name. A file is its owner's alone. */
  readonly files?: Readonly<Record<string, string>>;
  /** Keeps its data in memory where there is room: nothing survives the machine, and what comes to the disk takes no time. */
  readonly isInMemory?: boolean;
}

/** Whom a server may run as: it refuses to be root's. */
interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** The folder with the newest server's programs; `null` where there are none. */
export async function findPostgres(): Promise<string | null> {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? await readdir(root) : [];
  const [newest] = versions.sort((one, other) => Number(other) - Number(one));
  const programs = newest === undefined ? null : join(root, newest, "bin");
  return programs !== null && existsSync(join(programs, "initdb")) ? programs : null;
}

/** The account that servers run as; `null` where this process is root and there is no such account. */
export async function postgresAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return {};
  try {
    const [uid, gid] = await Promise.all(["-u", "-g"].map(async (flag) => Number((await run("id", [flag, "postgres"])).stdout)));
    return { uid: uid as number, gid: gid as number };
  } catch {
    return null;
  }
}

/** Where files are in memory, and there is room for a server's; the usual folder elsewhere. */
async function memoryFolder(): Promise<string> {
  if (!existsSync("/dev/shm")) return tmpdir();
  const { bavail, bsize } = await statfs("/dev/shm");
  return bavail * bsize > MEMORY_BYTES ? "/dev/shm" : tmpdir();
}

// A fresh server has 40 MB, and its log grows to some hundred more in a run.
const MEMORY_BYTES = 1024 * 1024 * 1024;

/** Starts a server; resolves when it serves. */
export async function startPostgres(setup: PostgresSetup = {}): Promise<PostgresServer> {
  const server = await PostgresServer.create(setup);
  await startServers([server.process]);
  return server;
}

export class PostgresServer {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly directory: string;
  readonly process: ServerProcess;
  readonly #programs: string;
  readonly #account: Account;

  private constructor(programs: string, account: Account, directory: string, port: number, setup: PostgresSetup) {
    this.#programs = programs;
    this.#account = account;
    this.directory = directory;
    this.port = port;
    const data = join(directory, "data");
    this.process = new ServerProcess({
      name: `PostgreSQL at ${this.host}:${port}`,
      directory,
      // Fast: without waiting for clients.
      stopSignal: "SIGINT",
      prepare: async () => {
        if (!existsSync(data)) await this.#make(data, setup);
        return { argv: [join(programs, "postgres"), "-D", data], env: { ...process.env, LC_ALL: "C.UTF-8" }, ...account };
      },
      serves: async () => {
        await this.query("SELECT 1");
        return true;
      },
    });
  }

  static async create(setup: PostgresSetup): Promise<PostgresServer> {
    const [programs, account] = [await findPostgres(), await postgresAccount()];
    if (programs === null || account === null) throw new Error("PostgreSQL cannot be started here");
    const directory = await mkdtemp(join(setup.isInMemory === true ? await memoryFolder() : tmpdir(), "holdline-postgresql-"));
    if (account.uid !== undefined && account.gid !== undefined) await chown(directory, account.uid, account.gid);
    const [port] = await freePorts(1);
    return new PostgresServer(programs, account, directory, port as number, setup);
  }

  /** @param address where not its own: a proxy's, or several servers' */
  url(
    schema: string,
    { user = "postgres", address = `${this.host}:${this.port}`, database = "postgres", params = "" } = {},
  ): string {
    return `postgresql://${user}@${address}/${database}?schema=${encodeURIComponent(schema)}${params}`;
  }

  /** What a superuser asks. Several statements at once give the rows of the last. */
  query(statements: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return connectPostgres(this, (query) => query(statements));
  }

  /** Has a standby take writes from now on. */
  async promote(): Promise<void> {
    await this.query("SELECT pg_promote(true, 60)");
  }

  async close(): Promise<void> {
    this.process.thaw();
    // By its own end it gives back the memory that it shares.
    await this.process.stop();
    await this.process.close();
  }

  async #make(data: string, { settings = [], access = [], primary, files = {} }: PostgresSetup): Promise<void> {
    if (primary === undefined) {
      await this.#run("initdb", "-D", data, "-U", "postgres", "--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8");
    } else {
      const from = `host=${primary.host} port=${primary.port} user=postgres application_name=standby`;
      await this.#run("pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", from);
    }
    const lines = [
      `port = ${this.port}`,
      `listen_addresses = '${this.host}'`,
      `unix_socket_directories = ''`,
      "dynamic_shared_memory_type = mmap",
      "shared_buffers = 16MB",
      "max_connections = 200",
      ...settings,
    ];
    await appendFile(join(data, "postgresql.conf"), `\n${lines.join("\n")}\n`);
    if (primary === undefined) {
      const trusted = ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"];
      await writeFile(join(data, "pg_hba.conf"), `${[...access, ...trusted].join("\n")}\n`);
    }
    for (const [name, text] of Object.entries(files)) await this.write(name, text);
  }

  /** Writes a file of its own into its data. */
  async write(name: string, text: string): Promise<void> {
    const path = join(this.directory, "data", name);
    await writeFile(path, text);
    await chmod(path, 0o600);
    if (this.#account.uid !== undefined && this.#account.gid !== undefined) await chown(path, this.#account.uid, this.#account.gid);
  }

  async #run(program: string, ...args: readonly string[]): Promise<void> {
    await run(join(this.#programs, program), args, { cwd: this.directory, ...this.#account });
  }
}
