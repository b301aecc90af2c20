// A schema of a test's own on a PostgreSQL server, with what the tests do to it behind the store's back.
import { inject } from "vitest";
import { freshId } from "../../support/roots.js";
import type { Operation, TestStore } from "../../../src/conformance/stage.js";
import type { Step } from "../../../src/queue/store.js";
import { openPostgres, openPostgresStore } from "../../../src/stores/postgresql/index.js";
import { connectPostgres, type PostgresPlace } from "../../support/servers/postgresql-client.js";
import { firstValueOf, POSTGRESQL } from "../../support/postgresql-framer.js";
import type { RequestMatch, Target } from "../../support/framed-proxy.js";
import { openNetworkTestStore, operationOf } from "../network/test-store.js";

export const KIND = { coordinator: "stores/postgresql", opener: "openPostgres" };

/** A schema that nobody else uses. */
export function freshSchema(): string {
  return `t_${freshId().replaceAll("-", "")}`;
}

/** The URL of a schema that nobody has used, on the run's server. */
export function freshUrl(): string {
  const server = inject("postgresql");
  if (server.missing !== null) throw new Error(server.missing);
  return `postgresql://postgres@${server.host}:${server.port}/postgres?schema=${freshSchema()}&sslmode=disable`;
}

/**
 * @param server the server itself, for what the tests do there
 * @param through where clients connect to: the server, or a pooler before it
 */
export function openPostgresTestStore(server: PostgresPlace, through: Target = server): TestStore {
  const schema = freshSchema();
  return openNetworkTestStore({
    protocol: POSTGRESQL,
    servers: [through],
    kind: KIND,
    urlAt: (address) => `postgresql://postgres@${address}/postgres?schema=${schema}&sslmode=disable`,
    open: openPostgres,
    openStore: openPostgresStore,
    matching,
    expireSession: async (id) => {
      await connectPostgres(server, async (query) => {
        await query(`UPDATE ${schema}.sessions SET expires_at = 0 WHERE id = '${id}'`);
        await query(`SELECT ${schema}.look()`);
      });
    },
    clear: () => connectPostgres(server, async (query) => void (await query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`))),
  });
}

function matching(operation: Operation, claim: string): RequestMatch<string> {
  return {
    operation: "commit",
    where: (frame) => {
      const asked = operationOf(JSON.parse(firstValueOf(frame) ?? "[]") as readonly Step[]);
      return asked?.operation === operation && asked.claim === claim;
    },
  };
}
