// A plain client of a PostgreSQL server, as a superuser, for what tests do and look at behind a store's back.
import pg from "pg";

export interface PostgresPlace {
  readonly host: string;
  readonly port: number;
}

export type Query = (statements: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Connects for as long as `work` lasts. Several statements at once give the rows of the last. */
export async function connectPostgres<T>({ host, port }: PostgresPlace, work: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({ host, port, user: "postgres", database: "postgres" });
  client.on("error", () => undefined); // Told to the query.
  await client.connect();
  try {
    return await work(async (statements) => {
      const results = (await client.query(statements)) as pg.QueryResult | readonly pg.QueryResult[];
      const last = Array.isArray(results) ? (results as readonly pg.QueryResult[]).at(-1) : results;
      return (last as pg.QueryResult).rows as Record<string, unknown>[];
    });
  } finally {
    await client.end();
  }
}
