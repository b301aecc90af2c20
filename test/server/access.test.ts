// Who is let in by the built program, and to what: passwords, tokens, certificates and nothing at all; on whose behalf locks are
// then taken and ended; and that guessing gets nobody anywhere.
import { readFileSync } from "node:fs";
import { request as requestHttps } from "node:https";
import type { RequestOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { openFleet, STORES } from "../e2e/fleet.js";
import type { Fleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { within } from "../support/wait.js";
import { basic, bearer, hashOf } from "./credentials.js";
import { makeCertificate, PEM_PROBLEM } from "../support/certificates.js";
import { startServer } from "./serving.js";
import type { Serving } from "./serving.js";

failOnLeaks();

const ACCESS = {
  ann: { password: hashOf("pässword"), may: ["read", "lock", "clear"] },
  ci: { token: hashOf("t0ken-of-ci"), may: ["read", "lock"], locks: ["app/*", "shared"] },
  eye: { token: hashOf("t0ken-of-eye"), password: hashOf("eye"), locks: ["app/web"] },
};

const serve = (fleet: Fleet, settings: object = {}) => startServer(fleet, "server", { settings: { access: ACCESS, ...settings } });

const lock = (name: string) => `/lock/${encodeURIComponent(name)}`;

describe.each(STORES)("on %s", (kind) => {
  test("whoever locks and unlocks over HTTP stands with that name in the history", async () => {
    const fleet = await openFleet(kind);
    const { ask, node } = await serve(fleet);
    const body = { key: "k", requestor: "somebody" };
    expect((await ask("PUT", lock("app/web"), body, bearer("t0ken-of-ci"))).status).toBe(200);
    expect((await fleet.queue("app/web"))[0]?.owner.principal).toBe("ci");
    expect((await ask("DELETE", lock("app/web"), body, basic("ann", "pässword"))).status).toBe(200);
    const { stdout } = await node.run("history", "--json");
    const { history } = JSON.parse(stdout) as { readonly history: readonly object[] };
    expect(history).toMatchObject([{ lock: "app/web", event: "released", by: "ann", owner: { principal: "ci" } }]);
  });
});

describe("rights", () => {
  test("are those of the name, for locks that its patterns fit", async () => {
    const { ask } = await serve(await openFleet("sqlite"));
    const body = { key: "k" };
    const statuses = async (headers: Readonly<Record<string, string>>) => {
      const found: number[] = [];
      for (const name of ["app/web", "shared", "shared2", "db"]) found.push((await ask("PUT", lock(name), body, headers)).status);
      return found;
    };
    expect(await statuses(bearer("t0ken-of-ci"))).toEqual([200, 200, 403, 403]);
    expect(await statuses(bearer("t0ken-of-eye"))).toEqual([403, 403, 403, 403]);
    expect(await statuses(basic("ann", "pässword"))).toEqual([200, 200, 200, 200]);
    expect((await ask("DELETE", lock("db"), body, bearer("t0ken-of-ci"))).status).toBe(403);
    const pools = async (headers: Readonly<Record<string, string>>) =>
      Object.keys((await ask("GET", "/locks", undefined, headers)).json as object);
    expect(await pools(basic("ann", "pässword"))).toEqual(["app/web", "db", "shared", "shared2"]);
    expect(await pools(bearer("t0ken-of-ci"))).toEqual(["app/web", "shared"]);
    expect(await pools(basic("eye", "eye"))).toEqual(["app/web"]);
  });

  test("without credentials are those of anonymous", async () => {
    const { ask } = await serve(await openFleet("sqlite"), { access: { ...ACCESS, anonymous: { may: "read", locks: "open/*" } } });
    for (const name of ["open/a", "app/web"]) await ask("PUT", lock(name), { key: "k" }, basic("ann", "pässword"));
    expect((await ask("GET", "/locks")).json).toEqual({ "open/a": { locked_by: { k: 1 }, key: "k" } });
    expect((await ask("DELETE", lock("open/a"), { key: "k" })).status).toBe(403);
    // Wrong credentials are no better for it.
    expect((await ask("GET", "/locks", undefined, basic("ann", "wrong"))).status).toBe(401);
    // The name has no credentials, and nobody gets its rights by it.
    expect((await ask("GET", "/locks", undefined, basic("anonymous", ""))).status).toBe(401);
  });

  test("where none are set, credentials that a client is set up with do no harm", async () => {
    const { ask } = await startServer(await openFleet("sqlite"));
    expect((await ask("PUT", lock("a"), { key: "k" }, basic("any", "thing"))).status).toBe(200);
  });
});

describe("credentials", () => {
  test("that are wrong, missing or garbage get the same answer, and the server goes on", async () => {
    const { ask } = await serve(await openFleet("sqlite"));
    const b64 = (text: string | Buffer) => Buffer.from(text as string).toString("base64");
    const values = [
      "",
      "Basic",
      "Basic ",
      "Basic =",
      "Basic ====",
      "Basic !!!",
      `Basic ${b64("ann")}`,
      `Basic ${b64(":")}`,
      `Basic ${b64("ann:")}`,
      `Basic ${b64(":pässword")}`,
      `Basic ${b64("ann:pässword ")}`,
      `Basic ${b64("ci:t0ken-of-ci")}`,
      `Basic ${b64("eye:t0ken-of-eye")}`,
      `Basic ${b64("__proto__:x")}`,
      `Basic ${b64(Buffer.from([0xff, 0xfe, 0x3a, 0xff]))}`,
      `Basic ${"A".repeat(8_000)}`,
      "Bearer",
      "Bearer pässword",
      "Bearer eye",
      `Bearer ${"x".repeat(8_000)}`,
      "Digest username=ann",
      "Negotiate x",
      "basic basic basic",
    ];
    const [first, ...others] = await Promise.all(
      values.map((value) => ask("GET", "/locks", undefined, { Authorization: Buffer.from(value).toString("latin1") })),
    );
    expect(first).toMatchObject({ status: 401, text: '{"error":"this needs valid credentials"}' });
    expect(first?.headers.get("WWW-Authenticate")).toBe('Basic realm="holdline", charset="UTF-8"');
    expect(others.map(({ status, text }) => [status, text])).toEqual(others.map(() => [401, first?.text]));
    expect((await ask("GET", "/locks", undefined, { Authorization: `bAsIc   ${b64("ann:pässword")}  ` })).status).toBe(200);
  });

  test("that are guessed are soon not looked at any more; those who are known are let in all the same", async () => {
    const { ask } = await serve(await openFleet("sqlite"));
    const known = () => ask("GET", "/locks", undefined, basic("ann", "pässword"));
    expect((await known()).status).toBe(200);
    const guesses = Array.from({ length: 40 }, (_, index) => ask("GET", "/locks", undefined, basic("ann", `guess ${index}`)));
    const answers = await Promise.all(guesses);
    const refused = answers.filter(({ status }) => status === 429);
    // A few may be given back while they are counted: one for every three seconds.
    expect(answers.filter(({ status }) => status === 401).length + refused.length).toBe(40);
    expect(refused.length).toBeGreaterThan(10);
    expect(Number(refused[0]?.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect((await known()).status).toBe(200);
  });

  test("that are right are let in however many come at once before they are known", async () => {
    const { ask } = await serve(await openFleet("sqlite"), {
      access: { ann: { password: hashOf("pässword", 16_384), may: "read" } },
    });
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask("GET", "/locks", undefined, basic("ann", "pässword"))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test("may be the last of many", async () => {
    const names = Array.from({ length: 30 }, (_, index) => `c${index}`);
    const access = Object.fromEntries(names.map((name) => [name, { token: hashOf(`token-of-${name}`), may: "lock" }]));
    const fleet = await openFleet("sqlite");
    const { ask } = await serve(fleet, { access });
    for (const name of ["c29", "c0", "c15", "c29"])
      expect((await ask("PUT", lock("l"), { key: "k" }, bearer(`token-of-${name}`))).status).toBe(200);
    expect((await fleet.queue("l")).map(({ owner }) => owner.principal)).toEqual(["c29", "c0", "c15", "c29"]);
  });

  test("are made by serve --hash out of what it reads", async () => {
    const fleet = await openFleet("sqlite");
    const made = await fleet.node("maker", {}, { input: "s3cret\n" }).run("serve", "--hash", "--json");
    expect(made).toMatchObject({ code: 0 });
    const { hash } = JSON.parse(made.stdout) as { readonly hash: string };
    expect(made.stdout + made.stderr).not.toContain("s3cret");
    const { ask } = await serve(fleet, { access: { bob: { password: hash, token: hash } } });
    expect((await ask("GET", "/locks", undefined, basic("bob", "s3cret"))).status).toBe(200);
    expect((await ask("GET", "/locks", undefined, bearer("s3cret"))).status).toBe(200);
    const nothing = await fleet.node("maker", {}, { input: "\n" }).run("serve", "--hash");
    expect(nothing).toMatchObject({ code: 64, stdout: "" });
  });

  test("of Locker's have all rights, beside those that are configured", async () => {
    const fleet = await openFleet("sqlite");
    const env = { AUTH_USER: "locker", AUTH_PASS: "pass:word" };
    const { ask } = await startServer(fleet, "server", { settings: { access: ACCESS }, env });
    expect((await ask("PUT", lock("db"), { key: "k" }, basic("locker", "pass:word"))).status).toBe(200);
    expect((await fleet.queue("db"))[0]?.owner.principal).toBe("locker");
    expect((await ask("GET", "/locks", undefined, bearer("t0ken-of-ci"))).text).toBe("{}\n");
    expect((await ask("GET", "/locks", undefined, basic("locker", "pass"))).status).toBe(401);
    expect((await ask("GET", "/locks")).status).toBe(401);
  });
});

describe("a browser", () => {
  test.each([
    ["a page of another site", { Origin: "http://evil.example" }],
    ["a page that does not say", { Origin: "null" }],
    ["a page of another port", { Origin: "http://127.0.0.1:1" }],
    ["a page that its browser tells of", { "Sec-Fetch-Site": "cross-site" }],
    ["a page of a neighbouring site", { "Sec-Fetch-Site": "same-site" }],
  ])("takes no lock for %s", async (_, headers) => {
    const { ask } = await serve(await openFleet("sqlite"));
    expect((await ask("PUT", lock("a"), { key: "k" }, { ...basic("ann", "pässword"), ...headers })).status).toBe(403);
    expect((await ask("GET", "/locks", undefined, basic("ann", "pässword"))).text).toBe("{}\n");
  });

  test("takes one for the server's own page", async () => {
    const { ask, url } = await serve(await openFleet("sqlite"));
    expect((await ask("PUT", lock("a"), { key: "k" }, { ...basic("ann", "pässword"), Origin: url })).status).toBe(200);
  });

  test("does not reach a server without credentials by another name", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const { port } = new URL(url);
    const statusOf = async (host: string) => /^HTTP\S+ (\d+)/.exec(await askRawFor(url, host))?.[1];
    for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example", ""])
      expect([host, await statusOf(host)]).toEqual([host, "403"]);
    for (const host of ["localhost", `LOCALHOST:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
      expect([host, await statusOf(host)]).toEqual([host, "200"]);
  });
});

async function askRawFor(url: string, host: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /locks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return readText(socket);
}

if (PEM_PROBLEM !== null) console.log(`TLS in access.test.ts is skipped: ${PEM_PROBLEM}`);

describe.skipIf(PEM_PROBLEM !== null)("over TLS", () => {
  interface Tls {
    readonly serving: Serving;
    readonly directory: string;
    readonly ask: (options?: RequestOptions) => Promise<{ readonly status: number; readonly text: string }>;
  }

  async function serveTls(access: object, settings: object = {}): Promise<Tls> {
    const fleet = await openFleet("sqlite");
    const { directory } = fleet;
    const authority = makeCertificate(directory, "authority");
    const { cert, key } = makeCertificate(directory, "server", authority);
    const serving = await startServer(fleet, "server", {
      settings: { access, serve: { cert, key, client_ca: authority.cert }, ...settings },
    });
    const ca = readFileSync(authority.cert);
    return {
      serving,
      directory,
      async ask(options = {}) {
        const request = requestHttps(`${serving.url}/locks`, { ca, agent: false, ...options });
        const response = await within(
          new Promise<IncomingMessage>((resolve, reject) => request.once("response", resolve).once("error", reject).end()),
          "an answer",
        );
        return { status: response.statusCode ?? 0, text: await readText(response) };
      },
    };
  }

  const pemOf = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
  });

  test("a certificate that the authority has signed is its name's credentials, and no other is", async () => {
    const { serving, directory, ask } = await serveTls({ deploy: { certificate: "deploy" }, ann: ACCESS.ann });
    expect(serving.url).toMatch(/^https:/);
    const authority = { cert: `${directory}/pem/authority.crt`, key: `${directory}/pem/authority.key` };
    expect(await ask(pemOf(makeCertificate(directory, "deploy", authority)))).toEqual({ status: 200, text: "{}\n" });
    expect(await ask()).toMatchObject({ status: 401 });
    expect(await ask({ headers: basic("ann", "pässword") })).toMatchObject({ status: 200 });
    expect(await ask(pemOf(makeCertificate(directory, "somebody", authority)))).toMatchObject({ status: 401 });
    expect(await ask(pemOf(makeCertificate(directory, "", authority, { file: "nameless" })))).toMatchObject({ status: 401 });
    // The same name, by its own word and by another authority's.
    expect(await ask(pemOf(makeCertificate(directory, "deploy", null, { file: "forged" })))).toMatchObject({ status: 401 });
    const other = makeCertificate(directory, "authority", null, { file: "other" });
    expect(await ask(pemOf(makeCertificate(directory, "deploy", other, { file: "others" })))).toMatchObject({ status: 401 });
  });

  test("old versions are not spoken", async () => {
    const { ask } = await serveTls({ ann: ACCESS.ann });
    await expect(ask({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" })).rejects.toThrow(
      /alert|protocol/i,
    );
    expect(await ask({ maxVersion: "TLSv1.2", headers: basic("ann", "pässword") })).toMatchObject({ status: 200 });
  });

  test("headers that are too large are refused as well", async () => {
    const { ask } = await serveTls({ ann: ACCESS.ann });
    expect(await ask({ headers: { "X-Large": "x".repeat(20_000) } })).toMatchObject({ status: 431 });
  });

  test("Locker's variables name certificate and key", async () => {
    const fleet = await openFleet("sqlite");
    const { cert, key } = makeCertificate(fleet.directory, "server");
    const { url } = await startServer(fleet, "server", { env: { SSL_CERT: cert, SSL_KEY: key, AUTH_USER: "u", AUTH_PASS: "p" } });
    expect(url).toMatch(/^https:/);
  });
});
