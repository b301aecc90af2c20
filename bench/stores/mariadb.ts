// MariaDB, beside a row that comes and goes, and GET_LOCK.
import { type Connection, createConnection } from "mysql2/promise";
import { MYSQL } from "../../test/support/mysql-framer.js";
import { ADMIN, DATABASE, missingMariaDb, startMariaDb } from "../../test/support/servers/mariadb.js";
import type { Member } from "../peer.js";
import { type BenchStore, roadTo } from "./store.js";

const urlAt = (address: string): string => `mariadb://${ADMIN.user}:${ADMIN.password}@${address}/${DATABASE}`;

export const store: BenchStore = {
  title: "MariaDB",
  // It tells nobody of a release: those who wait look every quarter of a second.
  aims: { alone: 1.7, handOffMs: 255 },
  async start() {
    const missing = missingMariaDb();
    if (missing !== null) return missing;
    const server = await startMariaDb({ isOnDisk: true });
    await server.sql("CREATE TABLE bare (name VARCHAR(255) PRIMARY KEY) ENGINE = InnoDB");
    const at = `${server.host}:${server.port}`;
    return { url: urlAt(at), at, openRoad: roadTo(MYSQL, [server], urlAt), close: () => server.close() };
  },
  floor: (at) => openMember(at, "INSERT INTO bare VALUES (?)", "DELETE FROM bare WHERE name = ?"),
  rivals: {
    GET_LOCK: {
      isToBeat: false,
      open: (at) => openMember(at, "SELECT GET_LOCK(?, 86400)", "SELECT RELEASE_LOCK(?)"),
    },
  },
};

async function openMember(at: string, take: string, release: string): Promise<Member> {
  const [host, port] = at.split(":") as [string, string];
  const connection: Connection = await createConnection({ host, port: Number(port), ...ADMIN, database: DATABASE });
  return {
    acquire: async (lock) => {
      await connection.query(take, [lock]);
      return async () => void (await connection.query(release, [lock]));
    },
    close: () => connection.end(),
  };
}
