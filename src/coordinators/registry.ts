// The coordinators that there are, by the scheme of their URL. Each is loaded when it is asked for and not before.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Coordinator, CoordinatorOptions } from "../locks/coordinator.js";
import type { StoreReport } from "../locks/store-report.js";
import { HoldlineError } from "../locks/errors.js";
import { findPlugIn } from "./plug-in-places.js";
import { openRooted } from "./rooted.js";
import { COORDINATOR_SCHEMES, coordinatorUrlProblem, isEmbedded } from "./urls.js";

type Open = (url: string, options: CoordinatorOptions) => Promise<Coordinator>;

const mysql = async (): Promise<Open> => (await import("../stores/mysql/index.js")).openMysql;
const openEtcd = async (): Promise<Open> => (await import("../stores/etcd/index.js")).openEtcd;
const openRedis = async (): Promise<Open> => (await import("../stores/redis/index.js")).openRedis;

const COORDINATORS: Readonly<Record<(typeof COORDINATOR_SCHEMES)[number], () => Promise<Open>>> = {
  redis: openRedis,
  rediss: openRedis,
  "redis+sentinel": openRedis,
  "rediss+sentinel": openRedis,
  dynamodb: async () => (await import("../stores/dynamodb/index.js")).openDynamo,
  sqlite: async () => (await import("../stores/sqlite/index.js")).openSqlite,
  mariadb: mysql,
  mysql,
  postgresql: async () => (await import("../stores/postgresql/index.js")).openPostgres,
  zookeeper: async () => (await import("./zookeeper/index.js")).openZooKeeper,
  etcd: openEtcd,
  "etcd+tls": openEtcd,
  "zookeeper+tls": async () => (await import("./zookeeper/index.js")).openZooKeeper,
};

/**
 * Opens the coordinator that a URL names.
 * @throws HoldlineError `configuration` for a URL that is not right, or a store whose contents have moved to another one
 * @throws UnreachableError when the store cannot be reached within the connect timeout
 */
export async function openCoordinator(url: string, options: CoordinatorOptions): Promise<Coordinator> {
  return openRooted(await openBare(url, options));
}

/** The same for moving a root: what the root says of itself is not heeded. */
export async function openBare(url: string, options: CoordinatorOptions): Promise<Coordinator> {
  const problem = coordinatorUrlProblem(url);
  if (problem !== null) throw new HoldlineError("configuration", `the coordinator's URL ${problem}`);
  const scheme = COORDINATOR_SCHEMES.find((name) => url.startsWith(`${name}://`));
  if (scheme !== undefined) return (await COORDINATORS[scheme]())(url, options);
  const folder = findPlugIn(url.slice(0, url.indexOf("://")));
  // It was there a moment ago.
  if (folder === null) throw new HoldlineError("configuration", "the plug-in for the coordinator's URL has been removed");
  const { openPlugIn } = await import("./plug-ins.js");
  return openPlugIn(folder, url, options);
}

/** What there is to say of an embedded store that the first run will make; `null` for one that is there, and for all others. */
export async function missingDatabase(url: string): Promise<StoreReport | null> {
  if (!isEmbedded(url)) return null;
  const { parseSqliteUrl } = await import("../stores/sqlite/url.js");
  const path = parseSqliteUrl(url);
  if (existsSync(path)) return null;
  const message = `there is no database ${path} yet: the first run makes it`;
  return { facts: { kind: "sqlite", path }, findings: [{ severity: "warning", code: "unreachable", message, hint: null }] };
}

/** The folder that a database is to be in, where it is not there yet; `null` for a store without one. */
export async function missingFolder(url: string): Promise<string | null> {
  if (!isEmbedded(url)) return null;
  const { parseSqliteUrl } = await import("../stores/sqlite/url.js");
  const folder = dirname(parseSqliteUrl(url));
  return existsSync(folder) ? null : folder;
}
