// What there is to say of a server, for people: what it is, how it is reached, and what this user may not do of what runs need.
import type { Examined, Finding } from "../../locks/store-report.js";
import { HoldlineError } from "../../locks/errors.js";
import { addressOf } from "../../store-url.js";
import { ServerError } from "./errors.js";
import type { Link } from "./link.js";
import type { Tables } from "./sql.js";
import { DEFAULT_PORT, type MysqlAddress } from "./url.js";

/** What is looked at. */
interface Subject {
  readonly link: Link;
  readonly address: MysqlAddress;
  readonly tables: Tables;
}

export async function examineServer({ link, address, tables }: Subject): Promise<Examined> {
  const { facts, server } = await link.client();
  return {
    kind: /mariadb/i.test(facts.version) ? "mariadb" : "mysql",
    version: facts.version,
    servers: address.servers.map((one) => addressOf(one, DEFAULT_PORT)),
    facts: {
      server,
      database: address.database,
      prefix: address.prefix,
      user: address.user,
      encrypted: address.security === null ? "no" : address.security.cert === undefined ? "TLS" : "TLS, with a client certificate",
    },
    findings: [...(facts.isDurable ? [] : [LOSES]), ...(await missingRights(link, tables))],
  };
}

const LOSES: Finding = {
  severity: "warning",
  code: "configuration",
  message: "a crash of the server's machine can lose what it has confirmed, and two may then hold one lock",
  hint: "set innodb_flush_log_at_trx_commit = 1 and, with a binary log, sync_binlog = 1",
};

/** Each right is tried by a statement that finds no row. */
async function missingRights(link: Link, tables: Tables): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [right, table, statement] of trialsOf(tables)) {
    try {
      await link.ask(statement);
    } catch (error) {
      if (!(error instanceof HoldlineError) || !(error.cause instanceof ServerError) || !error.cause.isOfRights) throw error;
      findings.push({
        severity: "error",
        code: "not-allowed",
        message: `may not ${right} the table ${table}: ${error.cause.message}`,
        hint: "GRANT SELECT, INSERT, UPDATE, DELETE on Holdline's tables: docs/stores.md",
      });
    }
  }
  return findings;
}

function trialsOf(tables: Tables): readonly (readonly [right: string, table: string, statement: string])[] {
  const { root, entries, sessions } = tables;
  const updated = [`${root} SET revision = revision`, `${entries} SET revision = revision`, `${sessions} SET ended = ended`];
  const others = Object.values<string>({ ...tables }).filter((table) => table !== root);
  return [
    ...[root, ...others].map((table) => ["read", table, `SELECT 1 FROM ${table} WHERE 1 = 0`] as const),
    ...[root, entries, sessions].map(
      (table, index) => ["change", table, `UPDATE ${updated[index] as string} WHERE 1 = 0`] as const,
    ),
    ...others.map((table) => ["add to", table, `INSERT INTO ${table} SELECT * FROM ${table} WHERE 1 = 0`] as const),
    ...others.map((table) => ["remove from", table, `DELETE FROM ${table} WHERE 1 = 0`] as const),
  ];
}
