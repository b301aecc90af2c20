// A place of a test's own in the run's MariaDB: tables with a prefix that nobody else uses.
import { randomBytes } from "node:crypto";
import { type Connection, createConnection } from "mysql2/promise";
import { inject } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { openMysqlStore } from "../../../src/stores/mysql/index.js";
import type { MysqlStore } from "../../../src/stores/mysql/store.js";
import { ADMIN, DATABASE } from "../../support/servers/mariadb.js";
import { until } from "../../support/wait.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The run's server. Tests that need it are skipped where there is none: see `mariadbProblem`. */
export function runServer(): Address {
  const server = inject("mariadb");
  if (server.missing !== null) throw new Error(`there is no MariaDB: ${server.missing}`);
  return server;
}

/** Why there is no server; `null` where there is one. */
export function mariadbProblem(): string | null {
  return inject("mariadb").missing;
}

export function freshPrefix(): string {
  return `t${randomBytes(6).toString("hex")}_`;
}

/** @param address `host:port`, or several with commas; @param rest further parameters, each with its `&` */
export function urlAt(address: string, prefix: string, rest = ""): string {
  return `mariadb://${ADMIN.user}:${ADMIN.password}@${address}/${DATABASE}?prefix=${prefix}${rest}`;
}

/** The URL of tables of a test's own, which are not there yet. */
export function openPlace(): string {
  const { host, port } = runServer();
  return urlAt(`${host}:${port}`, freshPrefix());
}

/** Opens a store with tables of a test's own. The test closes it. */
export async function openAt(
  { host, port }: Address,
  prefix = freshPrefix(),
): Promise<{ readonly store: MysqlStore; readonly prefix: string }> {
  return { store: await openMysqlStore(urlAt(`${host}:${port}`, prefix), TEST_OPTIONS), prefix };
}

/** A connection that may do all. The test ends it. */
export function adminOf({ host, port }: Address): Promise<Connection> {
  return createConnection({ host, port, ...ADMIN, database: DATABASE });
}

/** Resolves when so many transactions wait for locks in a prefix's tables. The tables that tell of it are not up to date when they are asked often. */
export async function untilWaiting(server: Address, prefix: string, count = 1): Promise<void> {
  const admin = await adminOf(server);
  await until(async () => {
    const [[row]] = (await admin.query("SHOW ENGINE INNODB STATUS")) as unknown as [[{ readonly Status: string }]];
    const transactions = row.Status.split("---TRANSACTION").slice(1);
    return transactions.filter((one) => one.includes("LOCK WAIT") && one.includes(prefix)).length >= count;
  }, `${count} to wait for a lock`);
  await admin.end();
}
