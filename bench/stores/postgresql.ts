// PostgreSQL, beside a row that comes and goes, and advisory locks.
import pg from "pg";
import { POSTGRESQL } from "../../test/support/postgresql-framer.js";
import { findPostgres, startPostgres } from "../../test/support/servers/postgresql.js";
import type { Member } from "../peer.js";
import { type BenchStore, roadTo } from "./store.js";

const urlAt = (address: string): string => `postgresql://postgres@${address}/postgres?schema=bench&sslmode=disable`;

export const store: BenchStore = {
  title: "PostgreSQL",
  aims: { alone: 1.7, handOffMs: 2 },
  async start() {
    if ((await findPostgres()) === null) return "its programs are not there";
    const server = await startPostgres({ settings: ["max_connections = 500"] });
    await server.query("CREATE TABLE bare (name text PRIMARY KEY)");
    const at = `${server.host}:${server.port}`;
    return { url: urlAt(at), at, openRoad: roadTo(POSTGRESQL, [server], urlAt), close: () => server.close() };
  },
  floor: (at) => openMember(at, "INSERT INTO bare VALUES ($1)", "DELETE FROM bare WHERE name = $1"),
  rivals: {
    pg_advisory_lock: {
      isToBeat: false,
      open: (at) => openMember(at, "SELECT pg_advisory_lock(hashtext($1))", "SELECT pg_advisory_unlock(hashtext($1))"),
    },
  },
};

async function openMember(at: string, take: string, release: string): Promise<Member> {
  const client = new pg.Client({ connectionString: `postgresql://postgres@${at}/postgres` });
  await client.connect();
  return {
    acquire: async (lock) => {
      await client.query(take, [lock]);
      return async () => void (await client.query(release, [lock]));
    },
    close: () => client.end(),
  };
}
