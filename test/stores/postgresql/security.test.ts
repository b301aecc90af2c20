// How a client gets in: TLS in each of libpq's modes, certificates, passwords, and each refusal in words. The server is this file's own.
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { HoldlineError, UnreachableError } from "../../../src/locks/errors.js";
import type { StoreReport } from "../../../src/locks/store-report.js";
import { openPostgres } from "../../../src/stores/postgresql/index.js";
import { makeCertificate, type Pem, PEM_PROBLEM } from "../../support/certificates.js";
import { failOnLeaks } from "../../support/leaks.js";
import { type PostgresServer, startPostgres } from "../../support/servers/postgresql.js";
import { TEST_OPTIONS } from "../../coordinators/conformance/store.js";

failOnLeaks();

const missing = inject("postgresql").missing ?? PEM_PROBLEM;

interface Certificates {
  readonly ca: Pem;
  readonly otherCa: Pem;
  readonly server: Pem;
  readonly client: Pem;
  readonly strangers: Pem;
}

let directory: string;
let pem: Certificates;
let server: PostgresServer;

const SECRET = "hunter2-ü€";

beforeAll(async () => {
  if (missing !== null) return;
  directory = await mkdtemp(join(tmpdir(), "holdline-test-"));
  const ca = makeCertificate(directory, "ca");
  const otherCa = makeCertificate(directory, "other-ca");
  pem = {
    ca,
    otherCa,
    server: makeCertificate(directory, "db1", ca, { file: "server" }),
    client: makeCertificate(directory, "carol", ca, { file: "carol" }),
    strangers: makeCertificate(directory, "carol", otherCa, { file: "strangers" }),
  };
  server = await startPostgres({
    isInMemory: true,
    settings: ["ssl = on", "ssl_ca_file = 'ca.crt'", "password_encryption = 'scram-sha-256'"],
    access: [
      "host all nobody 127.0.0.1/32 reject",
      "host all bob 127.0.0.1/32 scram-sha-256",
      "host all dave 127.0.0.1/32 md5",
      "hostssl all carol 127.0.0.1/32 cert",
      "hostnossl all plain 127.0.0.1/32 trust",
    ],
    files: {
      "server.crt": readFileSync(pem.server.cert, "utf8"),
      "server.key": readFileSync(pem.server.key, "utf8"),
      "ca.crt": readFileSync(ca.cert, "utf8"),
    },
  });
  await server.query(`CREATE ROLE bob LOGIN PASSWORD '${SECRET}'; CREATE ROLE carol LOGIN; CREATE ROLE plain LOGIN; CREATE ROLE nobody LOGIN;
    SET password_encryption = 'md5'; CREATE ROLE dave LOGIN PASSWORD '${SECRET}';
    GRANT CREATE ON DATABASE postgres TO bob, carol, dave, plain`);
  await server.query(`CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
});

afterAll(async () => {
  if (missing !== null) return;
  await server.close();
  await rm(directory, { recursive: true });
});

interface Asked {
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly host?: string;
  readonly params?: Readonly<Record<string, string>>;
}

async function reportOf({
  user = "postgres",
  password,
  database = "postgres",
  host = "127.0.0.1",
  params = {},
}: Asked): Promise<StoreReport> {
  const query = new URLSearchParams({ schema: `of_${user}`, ...params }).toString();
  const who = password === undefined ? user : `${user}:${encodeURIComponent(password)}`;
  const engine = await openPostgres(`postgresql://${who}@${host}:${server.port}/${database}?${query}`, TEST_OPTIONS);
  try {
    return await engine.examine();
  } finally {
    await engine.close();
  }
}

async function refusalOf(asked: Asked): Promise<HoldlineError> {
  const error: unknown = await reportOf(asked).then(
    () => null,
    (problem: unknown) => problem,
  );
  if (!(error instanceof HoldlineError)) throw new Error(`expected one of Holdline's errors, and got ${String(error)}`);
  expect(`${error.message} ${error.hint}`).not.toContain(SECRET);
  return error;
}

describe.skipIf(missing !== null)("TLS with PostgreSQL", () => {
  test.each<[what: string, params: () => Record<string, string>, encrypted: string]>([
    ["is used where the server has it", () => ({}), "yes, with sslmode prefer"],
    ["is left alone where it is not wanted", () => ({ sslmode: "disable" }), "no"],
    ["is required, and nobody's certificate looked at", () => ({ sslmode: "require" }), "yes, with sslmode require"],
    ["has its chain checked", () => ({ sslmode: "verify-ca", sslrootcert: pem.ca.cert }), "yes, with sslmode verify-ca"],
    [
      "has its chain checked where one is named",
      () => ({ sslmode: "require", sslrootcert: pem.ca.cert }),
      "yes, with sslmode require",
    ],
    [
      "has chain and name checked",
      () => ({ sslmode: "verify-full", sslrootcert: pem.ca.cert }),
      "yes, and the server's certificate is checked",
    ],
    [
      "has both checked as soon as an authority is named",
      () => ({ sslrootcert: pem.ca.cert }),
      "yes, and the server's certificate is checked",
    ],
  ])("%s", async (_, params, encrypted) => {
    expect((await reportOf({ params: params() })).facts).toMatchObject({ encrypted });
  });

  test.each(["verify-ca", "verify-full", "require"])("is refused with an unknown authority: sslmode=%s", async (sslmode) => {
    const refusal = await refusalOf({ params: { sslmode, sslrootcert: pem.otherCa.cert } });
    expect(refusal).toBeInstanceOf(UnreachableError);
    expect(refusal.message).toContain(
      `the server 127.0.0.1:${server.port} shows a certificate of an authority that is not known here`,
    );
    expect(refusal.hint).toContain("?sslrootcert=FILE");
  });

  test("is refused by verify-full, and by nothing less, under another name", async () => {
    const params = { sslrootcert: pem.ca.cert };
    const refusal = await refusalOf({ host: "localhost", params: { ...params, sslmode: "verify-full" } });
    expect(refusal.message).toBe(`the server localhost:${server.port} shows a certificate for another name`);
    await reportOf({ host: "localhost", params: { ...params, sslmode: "verify-ca" } });
  });

  test("is refused where a file is not there", async () => {
    const refusal = await refusalOf({ params: { sslrootcert: "/nowhere/ca.pem" } });
    expect(refusal).toMatchObject({ code: "configuration" });
    expect(refusal.message).toContain("/nowhere/ca.pem: there is no such file");
  });

  test("is refused where the server has none", async () => {
    const other = inject("postgresql");
    if (other.missing !== null) throw new Error(other.missing);
    const url = `postgresql://postgres@${other.host}:${other.port}/postgres?sslmode=require`;
    await expect(openPostgres(url, TEST_OPTIONS)).rejects.toThrow(/has no TLS, which the URL's sslmode asks for/);
  });
});

describe.skipIf(missing !== null)("a client of PostgreSQL", () => {
  test("gets in by its certificate, and by no other", async () => {
    const params = { sslmode: "verify-full", sslrootcert: pem.ca.cert };
    const own = { sslcert: pem.client.cert, sslkey: pem.client.key };
    expect((await reportOf({ user: "carol", params: { ...params, ...own } })).facts).toMatchObject({ user: "carol" });
    expect(await refusalOf({ user: "carol", params })).toMatchObject({ code: "not-allowed" });
    const strangers = { sslcert: pem.strangers.cert, sslkey: pem.strangers.key };
    const refusal = await refusalOf({ user: "carol", params: { ...params, ...strangers } });
    expect(refusal.message).toContain("does not know the authority of this client's certificate");
    // A certificate speaks for the name in it.
    expect(await refusalOf({ user: "dave", params: { ...params, ...own } })).toMatchObject({ code: "not-allowed" });
  });

  test.each(["bob", "dave"])("gets in by its password: %s", async (user) => {
    expect((await reportOf({ user, password: SECRET })).facts).toMatchObject({ user });
    const wrong = await refusalOf({ user, password: `${SECRET}x` });
    expect(wrong).toMatchObject({ code: "not-allowed" });
    expect(wrong.message).toContain(`does not let ${user} in`);
  });

  test("gets in by the password in a file, which is read anew", async () => {
    const file = join(directory, "password");
    writeFileSync(file, "wrong\n");
    expect(await refusalOf({ user: "bob", params: { password_file: file } })).toMatchObject({ code: "not-allowed" });
    writeFileSync(file, `${SECRET}\n`);
    expect((await reportOf({ user: "bob", params: { password_file: file } })).facts).toMatchObject({ user: "bob" });
    const refusal = await refusalOf({ user: "bob", params: { password_file: "/nowhere/password" } });
    expect(refusal.message).toContain("the password cannot be read from /nowhere/password: there is no such file");
  });

  test.each<[what: string, asked: Asked, code: string, words: RegExp]>([
    ["without a password where one is asked for", { user: "bob" }, "not-allowed", /it asks for a password, and the URL has none/],
    ["whom the server rejects", { user: "nobody" }, "not-allowed", /pg_hba.conf rejects connection/],
    ["who is not known", { user: "eve" }, "not-allowed", /role "eve" does not exist/],
    ["who must not use TLS", { user: "plain", params: { sslmode: "disable" } }, "", /^$/],
    ["of a database that is not there", { database: "nowhere" }, "configuration", /has no database nowhere/],
    ["of a database in another encoding", { database: "latin" }, "configuration", /the database latin is in LATIN1/],
  ])("%s", async (_, asked, code, words) => {
    if (code === "") expect((await reportOf(asked)).facts).toMatchObject({ encrypted: "no" });
    else {
      const refusal = await refusalOf(asked);
      expect(refusal.code).toBe(code);
      expect(refusal.message).toMatch(words);
    }
  });
});
