// Opening a SQLite database as a coordinator: the queue engine over the SQLite store, or over a view for those who only look.
import type { Coordinator, CoordinatorOptions } from "../../locks/coordinator.js";
import { openEngine } from "../../queue/engine.js";
import { connect } from "./database.js";
import { prepareSchema } from "./schema.js";
import { SqliteStore } from "./store.js";
import { parseSqliteUrl } from "./url.js";
import { openView } from "./view.js";

/**
 * Opens a database, and makes it where there is none, unless it is to be taken as it is found.
 * @param url see url.ts
 * @throws UnreachableError when the file cannot be used, with its path, what is wrong and what to do
 */
export async function openSqlite(url: string, options: CoordinatorOptions): Promise<Coordinator> {
  const path = parseSqliteUrl(url);
  const view = options.isAsFound === true ? await openView(path, options) : null;
  if (view !== null) return openEngine(view, options);
  const engine = await openEngine(await openStore(path, options), options);
  try {
    // Where the file is taken away, those who come later see by the sessions that it is in use: see strangers.ts.
    await engine.begin();
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function openStore(path: string, options: CoordinatorOptions): Promise<SqliteStore> {
  const database = await connect(path, options);
  try {
    await prepareSchema(database, options.connectTimeoutMs);
    const store = new SqliteStore(database, options);
    await store.begin();
    return store;
  } catch (error) {
    database.close();
    throw error;
  }
}
