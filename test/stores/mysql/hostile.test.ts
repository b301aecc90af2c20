// A server whose configuration would cut values off, hide rows, move its clock or lose its commits: Holdline's own settings stand above it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { draftFor, ownerAt, recordFor, TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import type { Step } from "../../../src/queue/store.js";
import { openMysql, openMysqlStore } from "../../../src/stores/mysql/index.js";
import type { MysqlStore } from "../../../src/stores/mysql/store.js";
import { failOnLeaks } from "../../support/leaks.js";
import { DATABASE, type MariaDb, startMariaDb } from "../../support/servers/mariadb.js";
import { freshPrefix, mariadbProblem } from "./places.js";

failOnLeaks();

describe.skipIf(mariadbProblem() !== null)("on a server that is configured for something else", () => {
  let server: MariaDb;
  beforeAll(async () => {
    server = await startMariaDb({
      options: {
        "sql-mode": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH",
        "character-set-server": "latin1",
        "collation-server": "latin1_swedish_ci",
        "default-storage-engine": "MyISAM",
        "default-time-zone": "+05:30",
        "transaction-isolation": "SERIALIZABLE",
        "innodb-flush-log-at-trx-commit": "2",
        "max-allowed-packet": "1M",
        // It is run for every account that is not an administrator's.
        "init-connect":
          "SET autocommit = 0, completion_type = 2, sql_select_limit = 1, sql_safe_updates = 1, tx_read_only = 1, time_zone = '-11:00'",
      },
      init: ["CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'w';", `GRANT ALL ON ${DATABASE}.* TO plain@'%';`],
    });
  });
  afterAll(() => server.close());

  const url = (prefix: string): string => `mariadb://plain:w@${server.host}:${server.port}/${DATABASE}?prefix=${prefix}`;
  const withStore = async (use: (store: MysqlStore, session: string) => Promise<void>): Promise<void> => {
    const store = await openMysqlStore(url(freshPrefix()), TEST_OPTIONS);
    try {
      await use(store, await store.openSession(60_000));
    } finally {
      await store.close();
    }
  };
  const appendTo = (lock: string, session: string, more: object = {}): Step => ({
    do: "append",
    lock,
    claim: `of ${lock}`,
    session: { id: session, epoch: 0 },
    key: null,
    slots: 1,
    record: "{}",
    ...more,
  });

  test("names that a collation, a blank or an index would take for one another are different locks and documents", async () => {
    const long = "ü".repeat(127);
    const names = [
      "a",
      "A",
      "á",
      "a ",
      " a",
      "a\0",
      "ss",
      "ß",
      "\u{1f512}",
      "\u{1f513}",
      `${long}1`,
      `${long}2`,
      "x'; DROP TABLE",
      '\\"%_',
    ];
    await withStore(async (store, session) => {
      for (const name of names) {
        expect(await store.commit([appendTo(name, session)])).toMatchObject({ isDone: true, appended: [{ ahead: [] }] });
        const document = { do: "document", name, value: name, revision: 0 } as const;
        expect(await store.commit([document])).toMatchObject({ isDone: true });
      }
      expect(await store.locks()).toEqual([...names].sort());
      for (const name of names) {
        expect((await store.read(name)).map(({ lock, claim }) => [lock, claim])).toEqual([[name, `of ${name}`]]);
        expect((await store.readClaim(`of ${name}`)).length).toBe(1);
        expect((await store.document(name))?.value).toBe(name);
      }
      expect((await store.documents(long)).map(({ name }) => name)).toEqual([`${long}1`, `${long}2`]);
    });
  });

  test("a name that the index does not take is refused, and not cut off", async () => {
    await withStore(async (store, session) => {
      await expect(store.commit([appendTo("n".repeat(1_025), session, { claim: "c" })])).rejects.toThrow("a name has 1025 bytes");
      expect(await store.commit([appendTo("n".repeat(1_024), session, { claim: "c" })])).toMatchObject({ isDone: true });
    });
  });

  test("data up to the store's bound go in whole; what the server would not take is refused in words, and the connection stays", async () => {
    await withStore(async (store, session) => {
      const largest = JSON.stringify("é".repeat(Math.floor(store.traits.maxBytes / 2) - 2_000));
      expect(store.traits.maxBytes).toBeGreaterThan(500_000);
      expect(await store.commit([appendTo("large", session, { record: largest })])).toMatchObject({ isDone: true });
      expect((await store.read("large"))[0]?.record).toBe(largest);
      const tooLarge = appendTo("larger", session, { record: "x".repeat(600_000) });
      await expect(store.commit([tooLarge])).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringMatching(/a transaction takes 1\d{6} bytes, and the server .* takes 1048575/) as string,
        hint: expect.stringContaining("max_allowed_packet") as string,
      });
      expect(await store.locks()).toEqual(["large"]);
    });
  });

  test("what may be lost is said, and its time is right", async () => {
    await withStore(async (store) => {
      expect(store.traits.durability).toBe("may-lose");
      expect(Math.abs((await store.sync()).ms - Date.now())).toBeLessThan(2_000);
      const { findings } = await store.examine();
      expect(findings).toMatchObject([{ severity: "warning", message: expect.stringContaining("can lose") as string }]);
    });
  });

  test("a claim is settled, updated and ended with its history", async () => {
    const coordinator = await openMysql(url(freshPrefix()), TEST_OPTIONS);
    const draft = draftFor(["one", "two"], { owner: ownerAt("web-1") });
    const joined = await coordinator.join(draft);
    const settled = await coordinator.settle(draft, joined, recordFor(draft));
    expect((await coordinator.queue("two")).map(({ id }) => id)).toEqual([draft.id]);
    const ending = { event: "released", by: "ops", reason: null } as const;
    expect(await coordinator.leave(draft.id, settled.entries, ending)).toBe("done");
    expect((await coordinator.history(null, 10)).map(({ lock }) => lock).sort()).toEqual(["one", "two"]);
    await coordinator.close();
  });
});
