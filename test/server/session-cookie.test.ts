// Which of the cookies that a request brings is the session, at the HTTP of the built server: browsers keep stale ones, and
// others may have planted some.
import { request } from "node:https";
import { expect, test } from "vitest";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { hashOf } from "./credentials.js";
import { makeCertificate, PEM_PROBLEM } from "../support/certificates.js";
import { startServer } from "./serving.js";

failOnLeaks();

const PASSWORD = "a password";
const may = ["read", "lock"];
const ACCESS = {
  ann: { password: hashOf(PASSWORD), may },
  mallory: { password: hashOf(PASSWORD), may },
  anonymous: { may: ["read"] },
};
const STALE = "s".repeat(43);
const SECURE = "__Host-";

interface Site {
  /** Posts a form. @returns the status and what `Set-Cookie` says */
  readonly post: (path: string, headers?: Readonly<Record<string, string>>, body?: string) => Promise<readonly [number, string]>;
  /** Signs in. @returns the cookie's plain name, and the id */
  readonly signIn: (user?: string, headers?: Readonly<Record<string, string>>) => Promise<readonly [name: string, id: string]>;
  /** Is somebody signed in with these cookies? Only they are offered to sign out. */
  readonly isIn: (cookie: string, headers?: Readonly<Record<string, string>>) => Promise<boolean>;
}

async function openSite(isTls = false): Promise<Site> {
  const fleet = await openFleet("sqlite");
  const serve = isTls ? makeCertificate(fleet.directory, "server") : {};
  const { url } = await startServer(fleet, "server", { settings: { access: ACCESS, serve } });
  const ask = (method: string, path: string, headers: Readonly<Record<string, string>>, body = "") =>
    isTls ? askTls(`${url}${path}`, method, headers, body) : askPlain(`${url}${path}`, method, headers, body);
  const post: Site["post"] = async (path, headers = {}, body = "") => {
    const form = { ...headers, "Content-Type": "application/x-www-form-urlencoded" };
    const { status, cookie } = await ask("POST", path, form, body);
    return [status, cookie];
  };
  return {
    post,
    async signIn(user = "ann", headers = {}) {
      const [status, cookie] = await post("/sign-in", headers, `user=${user}&password=${encodeURIComponent(PASSWORD)}`);
      expect(status).toBe(303);
      const [, name = "", id = ""] = /^(?:__Host-)?([^=]+)=([^;]+);/.exec(cookie) ?? [];
      return [name, id];
    },
    isIn: async (cookie, headers = {}) => (await ask("GET", "/", { Cookie: cookie, ...headers })).text.includes("Sign out"),
  };
}

interface Asked {
  readonly status: number;
  readonly cookie: string;
  readonly text: string;
}

async function askPlain(url: string, method: string, headers: Readonly<Record<string, string>>, body: string): Promise<Asked> {
  const response = await fetch(url, { method, headers, redirect: "manual", ...(method === "POST" ? { body } : {}) });
  return { status: response.status, cookie: response.headers.get("set-cookie") ?? "", text: await response.text() };
}

function askTls(url: string, method: string, headers: Readonly<Record<string, string>>, body: string): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers, rejectUnauthorized: false, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, cookie: (response.headers["set-cookie"] ?? []).join(), text }),
      );
    });
    asking.on("error", reject).end(body);
  });
}

test("a stale cookie in front of the right one, or behind it, keeps nobody out", async () => {
  const { signIn, isIn } = await openSite();
  const [name, id] = await signIn();
  expect(await isIn(`${name}=${STALE}`)).toBe(false);
  expect(await isIn(`${name}=${STALE}; ${name}=${id}`)).toBe(true);
  expect(await isIn(`${name}=${id}; ${name}=${STALE}`)).toBe(true);
  expect(await isIn(`${SECURE}${name}=${STALE}; ${name}=${id}`)).toBe(true);
});

test("a sign-out ends all sessions that were sent, and a sign-in the former ones", async () => {
  const { post, signIn, isIn } = await openSite();
  const [name, one] = await signIn();
  const [, other] = await signIn("mallory");
  expect((await post("/sign-out", { Cookie: `${name}=${STALE}; ${name}=${one}; ${name}=${other}` }))[0]).toBe(303);
  expect([await isIn(`${name}=${one}`), await isIn(`${name}=${other}`)]).toEqual([false, false]);
  const [, former] = await signIn();
  await signIn("ann", { Cookie: `${name}=${STALE}; ${name}=${former}` });
  expect(await isIn(`${name}=${former}`)).toBe(false);
});

test("over plain HTTP only the plain name counts", async () => {
  const { signIn, isIn } = await openSite();
  const [name, id] = await signIn();
  const [, planted] = await signIn("mallory");
  expect(await isIn(`${SECURE}${name}=${planted}`)).toBe(false);
  expect(await isIn(`${SECURE}${name}=${planted}; ${name}=${id}`)).toBe(true);
});

test.skipIf(PEM_PROBLEM !== null)(
  "over HTTPS only the name with the prefix counts, whatever was planted under the other",
  async () => {
    const { post, signIn, isIn } = await openSite(true);
    const [name, id] = await signIn();
    const [, planted] = await signIn("mallory");
    expect(await isIn(`${name}=${planted}`)).toBe(false);
    expect(await isIn(`${name}=${planted}; ${SECURE}${name}=${STALE}; ${SECURE}${name}=${id}`)).toBe(true);
    expect((await post("/sign-out", { Cookie: `${name}=${planted}; ${SECURE}${name}=${id}` }))[0]).toBe(303);
    expect([await isIn(`${SECURE}${name}=${id}`), await isIn(`${SECURE}${name}=${planted}`)]).toEqual([false, false]);
  },
);

test("behind a proxy that ends TLS it is the same, as the browser's or the proxy's headers say", async () => {
  const { post, signIn, isIn } = await openSite();
  const [, removed] = await post("/sign-out", { "X-Forwarded-Proto": "https, http" });
  expect(removed).toMatch(/^__Host-.*; Secure$/);
  const [name, id] = await signIn("ann", { Origin: "https://ops.example", "Sec-Fetch-Site": "same-origin" });
  // Browsers say no origin where a person follows a link.
  expect(await isIn(`${SECURE}${name}=${STALE}; ${SECURE}${name}=${id}`)).toBe(true);
  expect(await isIn(`${name}=${id}`)).toBe(false);
  const [, planted] = await signIn("mallory");
  expect(await isIn(`${name}=${planted}`, { "X-Forwarded-Proto": "https" })).toBe(false);
  expect(await isIn(`${name}=${planted}; ${SECURE}${name}=${id}`)).toBe(true);
});
