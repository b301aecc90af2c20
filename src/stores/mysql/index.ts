// Opening a database of MariaDB's or MySQL's as a coordinator: the queue engine over the store.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { HoldlineError } from "../../locks/errors.js";
import { Asking } from "../../queue/asking.js";
import { openEngine, type QueueEngine } from "../../queue/engine.js";
import { systemTimers } from "../../queue/timers.js";
import type { Client } from "./client.js";
import { Link } from "./link.js";
import { lookOver, type Root } from "./schema.js";
import { type Tables, tablesOf } from "./sql.js";
import { MysqlStore } from "./store.js";
import { parseMysqlUrl } from "./url.js";

/**
 * Opens a database, and makes Holdline's tables where there are none.
 * @param url see url.ts
 * @throws UnreachableError when no server that takes writes answers within the connect timeout
 * @throws HoldlineError `configuration` or `not-allowed` for what no repetition mends
 */
export async function openMysql(url: string, options: CoordinatorOptions): Promise<QueueEngine> {
  return openEngine(await openMysqlStore(url, options), options);
}

/** The store alone, without an engine. */
export async function openMysqlStore(url: string, options: CoordinatorOptions): Promise<MysqlStore> {
  const address = parseMysqlUrl(url);
  const tables = tablesOf(address.prefix);
  let store: MysqlStore | null = null;
  let root: Root | null = null;
  const link = new Link(address, options, async (client) => {
    const found = await lookOver(client, tables);
    if (root !== null && found.id !== root.id) throw notACopy(client, tables);
    if (store !== null && found.revision < store.latest) {
      const lost = { server: client.server, known: store.latest, there: found.revision };
      options.log.warn(lost, "this server lacks what another one had confirmed: look at its replication");
    }
    root ??= found;
  });
  const way = { traits: { sessions: "renewed" } as const, reconnect: (why: string) => link.drop(why) };
  try {
    const { facts } = await new Asking(way, { ...options, timers: systemTimers() }).ask(undefined, () => link.client());
    store = new MysqlStore({ link, address, tables, facts, root: root as unknown as Root }, options);
    return store;
  } catch (error) {
    link.close();
    throw error;
  }
}

/** Two servers that do not copy each other would each give a lock to somebody. */
function notACopy({ server }: Client, { root }: Tables): HoldlineError {
  return new HoldlineError("configuration", `the server ${server} has other tables ${root} … than the server before it`, {
    hint: "name only servers in the URL that copy each other",
  });
}
