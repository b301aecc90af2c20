// What `holdline check --live` says of a PostgreSQL server: what it is, how safely it keeps what it confirms, and what this user may not do.
import type { Examined, Finding } from "../../locks/store-report.js";
import type { StoreTraits } from "../../queue/store.js";
import type { Connection } from "./connection.js";
import type { Reached, ServerState } from "./primary.js";
import { quoteName } from "./tables.js";
import { grantHint } from "./troubles.js";
import type { PostgresAddress } from "./url.js";

/** What a confirmed commit survives, by the server's settings for this user. */
export function durabilityOf({ fsync, synchronousCommit, standbys }: ServerState): StoreTraits["durability"] {
  if (fsync === "off" || synchronousCommit === "off") return "may-lose";
  return standbys !== "" && synchronousCommit !== "local" ? "quorum" : "disk";
}

const MEANING: Readonly<Record<StoreTraits["durability"], string>> = {
  quorum: "a synchronous standby has what is confirmed",
  disk: "the primary's disk has what is confirmed, and a standby that is promoted may lack the last of it",
  "may-lose": "a crash may lose what is confirmed",
};

export async function examineServer({ connection, state, isPooled }: Reached, address: PostgresAddress): Promise<Examined> {
  const { servers, database, schema } = address;
  return {
    kind: "postgresql",
    version: state.version,
    servers: servers.map((server) => server.address),
    facts: {
      primary: connection.server.address,
      user: state.user,
      database,
      schema,
      encrypted: encryptionOf(connection, address),
      kept: MEANING[durabilityOf(state)],
      wakes: isPooled ? "by looking: a pooler passes no notifications on" : "by notifications",
    },
    findings: [...(await missingRights(connection, address)), ...durabilityFindings(state)],
  };
}

function encryptionOf({ isEncrypted }: Connection, { sslMode }: PostgresAddress): string {
  if (!isEncrypted) return "no";
  return sslMode === "verify-full" ? "yes, and the server's certificate is checked" : `yes, with sslmode ${sslMode}`;
}

const RIGHTS = `SELECT c.relname AS "table", r.name AS "right"
  FROM pg_class c, (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS r (name)
  WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relname <> 'holdline' AND NOT has_table_privilege(c.oid, r.name)
  ORDER BY 1, 2`;

async function missingRights(connection: Connection, { schema }: PostgresAddress): Promise<Finding[]> {
  const { missing } = await connection.ask<{ readonly missing: readonly string[] | null }>(
    `SELECT array_agg("right" || ' on ' || "table") AS missing FROM (${RIGHTS}) rights`,
    [quoteName(schema)],
  );
  if (missing === null) return [];
  return [
    {
      severity: "error",
      code: "not-allowed",
      message: `this user lacks rights in the schema ${schema}: ${missing.join(", ")}`,
      hint: grantHint(schema),
    },
  ];
}

function durabilityFindings(state: ServerState): Finding[] {
  if (durabilityOf(state) !== "may-lose") return [];
  const setting = state.fsync === "off" ? "fsync" : "synchronous_commit";
  return [
    {
      severity: "warning",
      code: "configuration",
      message: `the server has ${setting} = off: a crash may lose claims that it has confirmed, and two may hold one lock`,
      hint:
        setting === "fsync"
          ? "turn it on there"
          : "ALTER ROLE … SET synchronous_commit = on, for holdline's user alone where others want it off",
    },
  ];
}
