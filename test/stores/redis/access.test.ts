// Who connects, and how it is protected: passwords, a user with the rights that docs/stores.md names, TLS, and each failure in words.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { draftFor, recordFor, RELEASED } from "../../../src/conformance/drafts.js";
import { makeCertificate, type Pem, PEM_PROBLEM } from "../../support/certificates.js";
import { failOnLeaks } from "../../support/leaks.js";
import { freePorts } from "../../support/ports.js";
import { type RedisServer, startRedisServer } from "../../support/servers/redis.js";
import type { Appended, Committed, Step } from "../../../src/queue/store.js";
import { appendOf, open, openStore, redisProblem } from "./places.js";

failOnLeaks();

const ADMIN = "s3cret-admin";
const PASSWORD = "s3cret/ä";

/** The rights that the documentation gives. */
function documentedRights(): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/stores.md"), "utf8");
  const rights = /^ACL SETUSER holdline on >PASSWORD (.*)$/m.exec(text)?.[1];
  if (rights === undefined) throw new Error("docs/stores.md has no ACL");
  return rights.split(" ");
}

describe.skipIf(redisProblem() !== null || PEM_PROBLEM !== null)("a server with users and TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdline-test-"));
  let server: RedisServer;
  let tlsPort: number;
  let [authority, stranger, client, expired]: Pem[] = [];

  beforeAll(async () => {
    authority = makeCertificate(directory, "authority");
    stranger = makeCertificate(directory, "stranger");
    client = makeCertificate(directory, "client", authority);
    expired = makeCertificate(directory, "expired", authority, { isExpired: true });
    const own = makeCertificate(directory, "redis", authority);
    [tlsPort] = (await freePorts(1)) as [number];
    server = await startRedisServer({
      login: [ADMIN],
      tls: { port: tlsPort },
      settings: [
        `requirepass ${ADMIN}`,
        `tls-cert-file ${own.cert}`,
        `tls-key-file ${own.key}`,
        `tls-ca-cert-file ${authority.cert}`,
        "tls-auth-clients optional",
      ],
    });
    await server.ask("ACL", "SETUSER", "holdline", "on", `>${PASSWORD}`, ...documentedRights());
  });
  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const plain = (user: string, query = "") => `redis://${user}127.0.0.1:${server.port}/0?durability=may-lose${query}`;
  const secure = (query: string, host = "127.0.0.1") =>
    `rediss://:${ADMIN}@${host}:${tlsPort}/0?prefix=secure&durability=may-lose${query}`;
  const holdline = `holdline:${encodeURIComponent(PASSWORD)}@`;
  const problemOf = async (url: string) => {
    const error = await open(url, { connectTimeoutMs: 5_000 }).then(
      () => null,
      (reason: unknown) => reason as Error & { readonly code: string },
    );
    expect(error?.message).not.toContain("s3cret");
    return `${error?.code}: ${error?.message}`;
  };

  test("the rights that are documented are all that is needed", async () => {
    const engine = await open(plain(holdline));
    const watch = await engine.watch(() => undefined);
    const draft = draftFor("a", { settles: true });
    const settled = await engine.settle(draft, await engine.join(draft), recordFor(draft));
    const waiting = draftFor("a");
    const joined = await engine.join(waiting);
    const departed = engine.departed(joined, "a", [settled.entries[0]?.ref as string]);
    expect(await engine.writeDocument("d", "x", 0)).toBe("done");
    expect(await engine.documents("d")).toMatchObject([{ name: "d", value: "x" }]);
    const updated = await engine.update(draft.id, settled, { ...recordFor(draft), reason: "noted" });
    expect(await engine.leave(draft.id, (updated as typeof settled).entries, RELEASED)).toBe("done");
    expect(await departed).toHaveLength(1);
    await engine.withdraw(joined.positions);
    expect(await engine.history("a", 5)).toHaveLength(1);
    expect(await engine.list()).toEqual([]);
    await watch.caughtUp();
    watch.close();
    const report = await engine.examine();
    expect(report.facts).toMatchObject({ rights: "all that runs need" });
    expect(report.findings).toMatchObject([{ severity: "warning" }]);
  });

  test("a right that is missing is named", async () => {
    await server.ask("ACL", "SETUSER", "holdline", "-hdel", "-publish");
    try {
      const report = await (await open(plain(holdline))).examine();
      const forbidden = report.findings.filter(({ code }) => code === "not-allowed").map(({ message }) => message);
      expect(forbidden).toEqual([expect.stringContaining("call HDEL"), expect.stringContaining("call PUBLISH")]);
    } finally {
      await server.ask("ACL", "SETUSER", "holdline", "+hdel", "+publish");
    }
  });

  test("a right that is taken away leaves no commit half done", async () => {
    const store = openStore(plain(holdline));
    const session = await store.openSession(5_000);
    const joined = await store.commit([appendOf(session, "half", "c")]);
    const { ref } = (joined as Extract<Committed, { isDone: true }>).appended[0] as Appended;
    const settles: Step = {
      ...{ do: "put", lock: "half", ref, claim: "c", revision: 0, record: "settled" },
      ...{ settles: true, isNewHolder: true },
    };
    const before = await store.read("half");
    for (const right of ["publish", "zrem", "srem"]) {
      await server.ask("ACL", "SETUSER", "holdline", `-${right}`);
      try {
        await expect(store.commit([appendOf(session, "half", "d")])).rejects.toThrow(right.toUpperCase());
        await expect(store.commit([settles])).rejects.toThrow(right.toUpperCase());
        await expect(store.commit([{ do: "withdraw", lock: "half", ref }])).rejects.toThrow(right.toUpperCase());
      } finally {
        await server.ask("ACL", "SETUSER", "holdline", `+${right}`);
      }
      expect(await store.read("half")).toEqual(before);
    }
    await store.commit([{ do: "end", session, isEnded: false }]);
  });

  test("a password comes from a file, which is read anew", async () => {
    const file = join(directory, "password");
    writeFileSync(file, "s3cret-wrong\n");
    const url = plain("holdline@", `&password_file=${encodeURIComponent(file)}`);
    expect(await problemOf(url)).toMatch(/^not-allowed: the server .* does not take this user and password/);
    writeFileSync(file, `${PASSWORD}\nmore`);
    expect(await (await open(url)).list()).toEqual([]);
  });

  test("no password, a wrong one, and keys that are not this user's are told apart", async () => {
    expect(await problemOf(plain(""))).toMatch(/^not-allowed: the server .* wants a password/);
    expect(await problemOf(plain("holdline:s3cret-no@"))).toMatch(
      /^not-allowed: the server .* does not take this user and password/,
    );
    expect(await problemOf(plain(holdline, "&prefix=others"))).toMatch(/^not-allowed: the server .* does not let this user do all/);
  });

  describe("TLS", () => {
    const files = (pem: Pem | undefined) => `&cert=${(pem as Pem).cert}&key=${(pem as Pem).key}`;
    const ca = () => `&ca=${(authority as Pem).cert}`;

    test("protects the connection where the authority is known", async () => {
      const engine = await open(secure(ca()));
      await engine.join(draftFor("a"));
      expect((await engine.examine()).facts).toMatchObject({ encrypted: "TLS" });
    });

    test("says which of both does not know or suit the other", async () => {
      expect(await problemOf(secure(""))).toContain("an authority that is not known here");
      expect(await problemOf(secure(ca(), "localhost"))).toContain("a certificate for another name");
      expect(await problemOf(plain(holdline).replace("redis:", "rediss:"))).toContain("does it speak TLS at this port?");
    });

    test("with certificates of clients says which is wrong", async () => {
      await server.ask("CONFIG", "SET", "tls-auth-clients", "yes");
      try {
        expect(await (await open(secure(`${ca()}${files(client)}`))).list()).toEqual(expect.any(Array));
        expect(await problemOf(secure(ca()))).toMatch(/wants a client's certificate|does not take this client's certificate/);
        expect(await problemOf(secure(`${ca()}${files(stranger)}`))).toMatch(
          /the authority of this client's|not take this client's/,
        );
        expect(await problemOf(secure(`${ca()}${files(expired)}`))).toMatch(/certificate has expired|not take this client's/);
      } finally {
        await server.ask("CONFIG", "SET", "tls-auth-clients", "optional");
      }
    });
  });
});
