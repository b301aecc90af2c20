// The tables: what they are made of, making them where there are none, and refusing those that are not Holdline's or of another version.
import { randomUUID } from "node:crypto";
import { HoldlineError } from "../../locks/errors.js";
import type { Client } from "./client.js";
import { errorOf, ServerError } from "./errors.js";
import { numberIn, type Row, type Tables, textIn } from "./sql.js";

/** How the tables are laid out. A later Holdline that lays them out otherwise counts on. */
const LAYOUT = 1;

/** What the column `program` of the first table says. */
const PROGRAM = "holdline";

/** No name is longer: an index takes 3,072 bytes, and nothing that it finds has to be compared a second time. */
export const LONGEST_NAME = 1_024;

export interface Root {
  /** Of these tables: made with them, and in every backup of them. */
  readonly id: string;
  /** Of the latest commit. */
  readonly revision: number;
}

/**
 * What makes the tables. Names are bytes: in a text column, a collation would take `A` for `a`, `é` for `e`, or `x ` for `x`.
 * The column `ready` is set last: a making that has stopped in the middle is gone on with.
 */
export function tableStatements(tables: Tables, id: string): readonly string[] {
  const table = (name: string, columns: string): string =>
    `CREATE TABLE IF NOT EXISTS ${name} (${columns}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COMMENT='Holdline'`;
  const name = `VARBINARY(${LONGEST_NAME}) NOT NULL`;
  return [
    table(
      tables.root,
      "id TINYINT NOT NULL PRIMARY KEY, program VARBINARY(32) NOT NULL, layout INT NOT NULL, ready TINYINT NOT NULL, store VARBINARY(64) NOT NULL, revision BIGINT NOT NULL, archived BIGINT NOT NULL",
    ),
    `INSERT IGNORE INTO ${tables.root} VALUES (1, '${PROGRAM}', ${LAYOUT}, 0, '${id}', 0, 0)`,
    table(
      tables.entries,
      `queue ${name}, place BIGINT NOT NULL, claim ${name}, share LONGBLOB, slots BIGINT, durable TINYINT NOT NULL, session VARBINARY(64), revision BIGINT NOT NULL, token BIGINT, since BIGINT NOT NULL, content LONGBLOB NOT NULL, PRIMARY KEY (queue, place), KEY claim (claim), KEY session (session)`,
    ),
    table(
      tables.sessions,
      "id VARBINARY(64) NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, timeout BIGINT NOT NULL, expires BIGINT NOT NULL, ended TINYINT NOT NULL",
    ),
    table(
      tables.archive,
      `place BIGINT NOT NULL PRIMARY KEY, queue ${name}, ended BIGINT NOT NULL, content LONGBLOB NOT NULL, KEY queue (queue, place)`,
    ),
    table(tables.documents, `name ${name} PRIMARY KEY, content LONGBLOB NOT NULL, revision BIGINT NOT NULL`),
    table(
      tables.changes,
      `revision BIGINT NOT NULL, is_document TINYINT NOT NULL, name ${name}, PRIMARY KEY (revision, is_document, name)`,
    ),
    `UPDATE ${tables.root} SET ready = 1 WHERE id = 1`,
  ];
}

/**
 * Looks at the tables of a server, and makes them where there are none.
 * @throws HoldlineError `configuration` for tables of another program, another version or another engine; with the SQL that makes them where
 * this user may not
 */
export async function lookOver(client: Client, tables: Tables): Promise<Root> {
  const found = await enginesOf(client, tables);
  const foreign = [...found].find(([, engine]) => engine.toLowerCase() !== "innodb");
  if (foreign !== undefined)
    throw refused(client, `the table ${foreign[0]} is kept by ${foreign[1]}, and not by InnoDB`, "ALTER it to ENGINE=InnoDB");
  if (found.size > 0 && !found.has(tables.root)) throw otherProgram(client, [...found.keys()][0] as string);
  const root = found.has(tables.root) ? await readRoot(client, tables) : null;
  if (root !== null && root.isReady) return root;
  await make(client, tables);
  const made = await readRoot(client, tables);
  if (made === null) throw otherProgram(client, tables.root);
  return made;
}

async function enginesOf(client: Client, tables: Tables): Promise<ReadonlyMap<string, string>> {
  const names = Object.values<string>({ ...tables }).map((name) => `'${name}'`);
  const [rows = []] = await client.query(
    `SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (${names.join(", ")})`,
  );
  return new Map(rows.map(([name, engine]) => [String(name), String(engine)]));
}

/** `null`: the table is there without its row, as it is for a moment while it is made. */
async function readRoot(client: Client, tables: Tables): Promise<(Root & { readonly isReady: boolean }) | null> {
  let rows: readonly Row[];
  try {
    [rows = []] = await client.query(`SELECT program, layout, ready, store, revision FROM ${tables.root} WHERE id = 1`);
  } catch (error) {
    if (error instanceof ServerError && error.isColumnMissing) throw otherProgram(client, tables.root);
    throw error;
  }
  const [row] = rows;
  if (row === undefined) return null;
  const [program, layout, ready, id, revision] = row;
  if (textIn(program) !== PROGRAM) throw otherProgram(client, tables.root);
  if (numberIn(layout) !== LAYOUT) {
    throw refused(
      client,
      `the tables ${tables.root} … have the layout ${numberIn(layout)}, and this holdline knows ${LAYOUT}`,
      numberIn(layout) > LAYOUT ? "a later holdline has been here: update this one" : "name another prefix in the URL",
    );
  }
  return { id: textIn(id), revision: numberIn(revision), isReady: numberIn(ready) === 1 };
}

async function make(client: Client, tables: Tables): Promise<void> {
  const statements = tableStatements(tables, randomUUID());
  try {
    for (const statement of statements) await client.query(statement);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (!error.isOfRights) throw errorOf(error, client.server);
    throw new HoldlineError("not-allowed", `this user may not make Holdline's tables in the database at ${client.server}`, {
      hint: `have somebody run there who may: ${statements.join("; ")};`,
      cause: error,
    });
  }
}

function otherProgram(client: Client, table: string): HoldlineError {
  return refused(client, `the table ${table} belongs to another program`, "name another prefix or another database in the URL");
}

function refused(client: Client, message: string, hint: string): HoldlineError {
  return new HoldlineError("configuration", `the database at ${client.server} cannot be used: ${message}`, { hint });
}
