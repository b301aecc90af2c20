// Who is let in, over which connection, and what is said where that fails: TLS, certificates of clients, passwords, rights, tables of others.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { ReplyLostError, type Step, type StoredDocument } from "../../../src/queue/store.js";
import { openMysql, openMysqlStore } from "../../../src/stores/mysql/index.js";
import { tablesOf } from "../../../src/stores/mysql/sql.js";
import { type CertificateOptions, makeCertificate, type Pem, PEM_PROBLEM } from "../../support/certificates.js";
import { failOnLeaks } from "../../support/leaks.js";
import { DATABASE, type MariaDb, startMariaDb } from "../../support/servers/mariadb.js";
import { freshPrefix, mariadbProblem, openAt, runServer } from "./places.js";

failOnLeaks();

describe.skipIf(mariadbProblem() !== null || PEM_PROBLEM !== null)("on a MariaDB with TLS", () => {
  let directory: string;
  let authority: Pem;
  let server: MariaDb;
  const readable = ({ cert, key }: Pem): Pem => {
    for (const file of [cert, key]) chmodSync(file, 0o644);
    return { cert, key };
  };
  const serverShows = (options: CertificateOptions, signer: Pem = authority): Pem =>
    readable(makeCertificate(directory, "db", signer, { file: "server", ...options }));

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdline-mysql-tls-"));
    chmodSync(directory, 0o755);
    authority = readable(makeCertificate(directory, "authority"));
    chmodSync(join(directory, "pem"), 0o755);
    const { cert, key } = serverShows({});
    server = await startMariaDb({
      options: { "ssl-ca": authority.cert, "ssl-cert": cert, "ssl-key": key },
      init: [
        "CREATE USER IF NOT EXISTS encrypted@'%' IDENTIFIED BY 'w' REQUIRE SSL;",
        "CREATE USER IF NOT EXISTS certified@'%' REQUIRE X509;",
        "CREATE USER IF NOT EXISTS worker@'%' IDENTIFIED BY 'w';",
        "CREATE USER IF NOT EXISTS looker@'%' IDENTIFIED BY 'w';",
        `GRANT ALL ON ${DATABASE}.* TO encrypted@'%';`,
        `GRANT ALL ON ${DATABASE}.* TO certified@'%';`,
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ${DATABASE}.* TO worker@'%';`,
        `GRANT SELECT ON ${DATABASE}.* TO looker@'%';`,
      ],
    });
  });
  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  const urlOf = (user: string, rest: string, prefix = freshPrefix()): string =>
    `mariadb://${user}@${server.host}:${server.port}/${DATABASE}?prefix=${prefix}${rest}`;
  const opens = async (url: string): Promise<void> => {
    const coordinator = await openMysql(url, TEST_OPTIONS);
    expect(await coordinator.list()).toEqual([]);
    await coordinator.close();
  };
  /** What is said, hint and all, without a word of what is secret. */
  const refusal = async (url: string): Promise<string> => {
    const error: unknown = await openMysql(url, TEST_OPTIONS).catch((thrown: unknown) => thrown);
    const { message, hint, code } = error as { message: string; hint: string | null; code: string };
    expect(`${message} ${hint}`).not.toContain("s3cret");
    return `${code}: ${message} (${hint})`;
  };

  test("a user that has to use TLS is let in by it, and told so without it", async () => {
    await opens(urlOf("encrypted:w", `&ca=${authority.cert}`));
    expect(await refusal(urlOf("encrypted:w", ""))).toMatch(/^not-allowed: .* user encrypted into the database .* TLS/);
  });

  test("a certificate takes the place of a password, and its lack is told", async () => {
    const { cert, key } = makeCertificate(directory, "web-1", authority);
    await opens(urlOf("certified", `&ca=${authority.cert}&cert=${cert}&key=${key}`));
    expect(await refusal(urlOf("certified", `&ca=${authority.cert}`))).toMatch(/^not-allowed: .* certified .* certificate/);
    const other = makeCertificate(directory, "other");
    const own = makeCertificate(directory, "web-2", other);
    expect(await refusal(urlOf("certified", `&ca=${authority.cert}&cert=${own.cert}&key=${own.key}`))).toMatch(
      /authority of this client's certificate|does not take this client's certificate/,
    );
    expect(await refusal(urlOf("certified", `&ca=${authority.cert}&cert=${cert}&key=${own.key}`))).toContain(
      "the client's key does not belong to its certificate",
    );
  });

  test("a server is believed by its certificate alone, which is looked at for each connection", async () => {
    const url = urlOf("encrypted:w", `&ca=${authority.cert}`);
    expect(await refusal(urlOf("encrypted:w", "&tls=on"))).toContain("of an authority that is not known here");
    for (const [options, words] of [
      [{ names: ["DNS:elsewhere.example"] }, "shows a certificate for another name"],
      [{ isExpired: true }, "shows a certificate that has expired"],
    ] as const) {
      serverShows(options);
      await server.sql("FLUSH SSL");
      expect(await refusal(url)).toMatch(new RegExp(`^configuration: the server .* ${words}`));
    }
    serverShows({});
    await server.sql("FLUSH SSL");
    await opens(url);
  });

  test("a server without TLS, and one that is no database, are told as such", async () => {
    const { host, port } = runServer();
    const plain = `mariadb://encrypted:w@${host}:${port}/${DATABASE}?tls=on`;
    expect(await refusal(plain)).toContain(`the server ${host}:${port} has no TLS`);
    expect(await refusal(urlOf("worker:w", `&ca=${directory}/none.pem`))).toContain("there is no such file");
  });

  test("a commit whose answer this user may not read counts as lost, and not as refused", async () => {
    const prefix = freshPrefix();
    const maker = await openMysqlStore(urlOf("encrypted:w", `&ca=${authority.cert}`, prefix), TEST_OPTIONS);
    await server.sql("CREATE USER IF NOT EXISTS writer@'%' IDENTIFIED BY 'w'");
    for (const table of Object.values<string>({ ...tablesOf(prefix) })) {
      const rights = table.endsWith("archive") ? "INSERT" : "SELECT, INSERT, UPDATE, DELETE";
      await server.sql(`GRANT ${rights} ON ${DATABASE}.${table} TO writer@'%'`);
    }
    const store = await openMysqlStore(urlOf("writer:w", "", prefix), TEST_OPTIONS);
    const document = (revision: number): Step => ({ do: "document", name: "d", value: "x", revision });
    const archive: Step = { do: "archive", lock: "a", record: "{}", endedAt: null, room: 1 };
    // What it has told is whether the archive has room: it looks behind the commit.
    await expect(store.commit([document(0), archive])).rejects.toBeInstanceOf(ReplyLostError);
    const written = (await maker.document("d")) as StoredDocument;
    expect(written.value).toBe("x");
    // What fails before is a refusal again.
    await expect(store.archived({ lock: null, limit: 1, before: null, among: 1 })).rejects.toMatchObject({ code: "not-allowed" });
    expect(await store.commit([document(written.revision)])).toMatchObject({ isDone: true });
    for (const one of [store, maker]) await one.close();
  });

  test("a password from a file is read for each connection, and is in no message", async () => {
    const file = join(directory, "password");
    writeFileSync(file, "s3cret\nand what follows\n");
    await server.sql("CREATE OR REPLACE USER filed@'%' IDENTIFIED BY 's3cret'", `GRANT ALL ON ${DATABASE}.* TO filed@'%'`);
    const store = await openMysqlStore(urlOf("filed", `&password_file=${file}`), TEST_OPTIONS);
    writeFileSync(file, "s3cret-2\n");
    await server.sql("ALTER USER filed@'%' IDENTIFIED BY 's3cret-2'");
    store.reconnect("it is tried with the new password");
    expect(await store.locks()).toEqual([]);
    await store.close();
    expect(await refusal(urlOf("filed:s3cret-3", ""))).toMatch(/^not-allowed: .* user filed into .* \(look at .* password/);
    writeFileSync(file, "\n");
    expect(await refusal(urlOf("filed", `&password_file=${file}`))).toContain("begins with an empty line");
  });

  test("a user without a right to make tables says the SQL that makes them, and needs no more rights afterwards", async () => {
    const prefix = freshPrefix();
    const url = urlOf("worker:w", "", prefix);
    const said = await refusal(url);
    expect(said).toMatch(/^not-allowed: this user may not make Holdline's tables/);
    const sql = /run there who may: (.*;)\)$/s.exec(said)?.[1] ?? "";
    await server.sql(...sql.split("; ").map((statement) => statement.replace(/;$/, "")));
    await opens(url);
    const store = await openMysqlStore(url, TEST_OPTIONS);
    expect((await store.examine()).findings).toEqual([]);
    await store.close();
  });

  test("the setup in the documentation lets Holdline in, with all that it needs", async () => {
    const page = readFileSync("docs/stores.md", "utf8");
    const section = page.slice(page.indexOf("## MariaDB and MySQL"));
    const sql = /```sql\n(.*?)```/s.exec(section)?.[1] ?? "";
    await server.sql(...sql.trim().split("\n"));
    const url = `mariadb://holdline:a-long-password@${server.host}:${server.port}/locks`;
    await opens(url);
    const store = await openMysqlStore(url, TEST_OPTIONS);
    expect((await store.examine()).findings).toEqual([]);
    await store.close();
  });

  test("a user who may only look sees who holds what, and is told each right that is missing", async () => {
    const prefix = freshPrefix();
    const store = await openMysqlStore(urlOf("worker:w", "", prefix), TEST_OPTIONS).catch(() => null);
    expect(store).toBeNull();
    const owner = await openMysqlStore(urlOf("encrypted:w", `&ca=${authority.cert}`, prefix), TEST_OPTIONS);
    const session = { id: await owner.openSession(1), epoch: 0 };
    const looker = await openMysqlStore(urlOf("looker:w", "", prefix), TEST_OPTIONS);
    await expect(looker.commit([{ do: "check", session }])).rejects.toMatchObject({ code: "not-allowed" });
    expect((await looker.endedSessions()).length).toBeLessThan(2);
    expect(await looker.locks()).toEqual([]);
    const { findings } = await looker.examine();
    expect(findings.map(({ code }) => code)).toEqual(findings.map(() => "not-allowed"));
    expect(findings.map(({ message }) => message).join()).toContain(`may not add to the table ${prefix}archive`);
    for (const one of [owner, looker]) await one.close();
  });

  test("a database that is not there is told", async () => {
    const url = `mariadb://admin:admin-word@${server.host}:${server.port}/nowhere`;
    expect(await refusal(url)).toMatch(/^configuration: .*nowhere.*create the database/);
  });

  test("tables of another program, another version or another engine are refused, and not touched", async () => {
    const cases: readonly (readonly [name: string, make: (prefix: string) => readonly string[], words: RegExp])[] = [
      ["another's entries", (prefix) => [`CREATE TABLE ${prefix}entries (id INT)`], /entries belongs to another program/],
      ["another's root", (prefix) => [`CREATE TABLE ${prefix}root (id INT)`], /root belongs to another program/],
      [
        "another's layout",
        (prefix) => [`UPDATE ${prefix}root SET layout = 2`],
        /have the layout 2, and this holdline knows 1.*a later holdline/s,
      ],
      ["another's row", (prefix) => [`UPDATE ${prefix}root SET program = 'other'`], /belongs to another program/],
      [
        "another engine",
        (prefix) => [`ALTER TABLE ${prefix}sessions ENGINE=MyISAM`],
        /sessions is kept by MyISAM, and not by InnoDB/,
      ],
    ];
    for (const [, make, words] of cases) {
      const prefix = freshPrefix();
      const url = `mariadb://admin:admin-word@${server.host}:${server.port}/${DATABASE}?prefix=${prefix}`;
      if (!make(prefix)[0]?.startsWith("CREATE")) await (await openMysqlStore(url, TEST_OPTIONS)).close();
      await server.sql(...make(prefix));
      const before = await server.sql(`SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME LIKE '${prefix}%'`);
      expect(await refusal(url)).toMatch(words);
      expect(await server.sql(`SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME LIKE '${prefix}%'`)).toEqual(
        before,
      );
    }
  });

  test("tables that were half made are made to their end, by several at once", async () => {
    const prefix = freshPrefix();
    const { root, entries } = tablesOf(prefix);
    const { store } = await openAt(server, prefix);
    await store.close();
    await server.sql(`UPDATE ${root} SET ready = 0`, `DROP TABLE ${entries}`);
    const opened = await Promise.all([1, 2, 3, 4].map(() => openAt(server, prefix)));
    expect(new Set(opened.map((one) => one.store.name)).size).toBe(1);
    for (const one of opened) {
      expect(await one.store.locks()).toEqual([]);
      await one.store.close();
    }
  });
});
