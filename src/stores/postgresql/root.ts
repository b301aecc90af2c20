// The root: a schema that is Holdline's, made where there is none, and refused where it is another's or of another layout.
import { HoldlineError, UnreachableError } from "../../locks/errors.js";
import type { Connection } from "./connection.js";
import type { Reached, ServerState } from "./primary.js";
import { LAYOUT, quoteName, rootSql } from "./tables.js";
import { isForbidden, isThereAlready, sqlState } from "./troubles.js";
import type { PostgresAddress } from "./url.js";

/** A root as it was found. */
export interface Root {
  readonly id: string;
  readonly timeline: number;
}

/**
 * Finds the root, or makes it.
 * @throws HoldlineError for a schema that is no root of this layout, or that this user may not make
 */
export async function prepareRoot({ connection, state }: Reached, address: PostgresAddress): Promise<Root> {
  if (!state.isRoot) await makeRoot(connection, state, address);
  const { database, schema } = address;
  const name = quoteName(schema);
  try {
    const root = await connection.ask<Root & { readonly layout: number }>(
      `SELECT id, layout, ${name}.timeline()::int AS timeline FROM ${name}.holdline`,
    );
    if (root.layout === LAYOUT) return root;
    throw new UnreachableError(`the schema ${schema} has layout ${root.layout}, and this holdline knows layout ${LAYOUT}`, {
      hint: "another version of holdline has made it: use that version, or name another schema in the URL",
    });
  } catch (error) {
    // Undefined columns or functions, or no row: a table that is only called like ours.
    if (!(error instanceof TypeError) && !/^(?:42703|42883)$/.test(sqlState(error) ?? "")) throw error;
    throw foreign(database, schema, error);
  }
}

async function makeRoot(connection: Connection, state: ServerState, address: PostgresAddress): Promise<void> {
  const { database, schema } = address;
  if (state.isUsed) throw foreign(database, schema);
  try {
    await connection.script(rootSql(schema, !state.hasSchema));
  } catch (error) {
    // Another process has made it meanwhile.
    if (isThereAlready(error)) return;
    if (!isForbidden(error)) throw error;
    throw new HoldlineError("not-allowed", `${state.user} may not make holdline's schema in the database ${database}`, {
      hint: `as the database's owner: ${
        state.hasSchema ? `ALTER SCHEMA ${quoteName(schema)} OWNER TO` : `CREATE SCHEMA ${quoteName(schema)} AUTHORIZATION`
      } ${quoteName(state.user)};`,
      cause: error,
    });
  }
}

function foreign(database: string, schema: string, cause?: unknown): UnreachableError {
  return new UnreachableError(`the schema ${schema} of the database ${database} belongs to another program`, {
    hint: "name another one in the coordinator's URL, such as ?schema=holdline",
    cause,
  });
}
