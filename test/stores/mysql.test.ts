// The conformance suite on a real MariaDB, with a fault proxy for each session. What only this store has is tested beside this, in mysql/.
import { createConnection } from "mysql2/promise";
import { describe, test } from "vitest";
import type { Operation } from "../../src/conformance/stage.js";
import { openMysql, openMysqlStore } from "../../src/stores/mysql/index.js";
import { describeCoordinator } from "../coordinators/conformance.js";
import { ADMIN, DATABASE } from "../support/servers/mariadb.js";
import { MYSQL } from "../support/mysql-framer.js";
import { freshPrefix, mariadbProblem, runServer, urlAt } from "./mysql/places.js";
import { openNetworkTestStore } from "./network/test-store.js";

const KIND = { coordinator: "stores/mysql", opener: "openMysql" };

/** What stands first in the comment of a commit, behind what is only checked. */
const WORDS: Readonly<Record<Operation, string>> = {
  join: "append",
  settle: "settle",
  adopt: "adopt",
  update: "update",
  leave: "remove",
  document: "document",
};

function openTestStore() {
  const server = runServer();
  const prefix = freshPrefix();
  return openNetworkTestStore({
    protocol: MYSQL,
    servers: [server],
    kind: KIND,
    urlAt: (address) => urlAt(address, prefix),
    open: openMysql,
    openStore: openMysqlStore,
    matching: (operation, claim) => {
      const named = new RegExp(`holdline: (?:check(?:-document)?, )*${WORDS[operation]}\\b`);
      return { operation: "query", claim, where: (frame) => named.test(frame.toString("latin1")) };
    },
    expireSession: async (id) => {
      const connection = await createConnection({ ...server, ...ADMIN, database: DATABASE });
      await connection.query(`UPDATE ${prefix}sessions SET ended = 1 WHERE id = ?`, [Buffer.from(id)]);
      await connection.end();
    },
  });
}

if (mariadbProblem() === null) {
  describeCoordinator("MariaDB", {
    hasFaults: true,
    // A session lasts 4 s without its process.
    goneWithinMs: 15_000,
    open: () => Promise.resolve(openTestStore()),
  });
} else {
  describe("MariaDB as a coordinator", () => test.skip(`no MariaDB: ${mariadbProblem()}`, () => undefined));
}
