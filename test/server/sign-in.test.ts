// Signing in to the page and out of it, in a real browser on the built server; and that the cookie is worth nothing to anybody else.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { LONGEST_SESSION_MS, Sessions } from "../../src/server/session/sessions.js";
import { openFleet } from "../e2e/fleet.js";
import type { Fleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { openPage, PLAIN_HOST, shareBrowser, WITHOUT_BROWSER } from "./browser.js";
import { bearer, hashOf } from "./credentials.js";
import { makeCertificate, PEM_PROBLEM } from "../support/certificates.js";
import { startServer } from "./serving.js";
import type { Serving } from "./serving.js";

failOnLeaks();
shareBrowser();

const PASSWORD = "pässword: of ann";
const TOKEN = "t0ken-of-ci";
const NAMED = {
  ann: { password: hashOf(PASSWORD), may: ["read", "lock", "clear"] },
  ci: { token: hashOf(TOKEN), may: ["read", "lock"], locks: ["app/*"] },
};
const OPEN = { ...NAMED, anonymous: { may: ["read"] } };

async function serve(access: object, settings: object = {}): Promise<{ readonly fleet: Fleet; readonly server: Serving }> {
  const fleet = await openFleet("sqlite");
  return { fleet, server: await startServer(fleet, "server", { settings: { access, ...settings } }) };
}

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** What the header says of the reader. */
const viewer = (page: Page, words: string) => page.locator("header .viewer").getByText(words, { exact: true }).waitFor();

const form = (
  server: Serving,
  path: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
) => fetch(`${server.url}${path}`, { method: "POST", body: new URLSearchParams(fields), headers, redirect: "manual" });

const ANN = { user: "ann", password: PASSWORD };

/** Signs in without a browser. @returns the cookie, as a browser sends it */
async function cookieOf(server: Serving): Promise<string> {
  const answer = await form(server, "/sign-in", ANN);
  expect(answer.status).toBe(303);
  return (answer.headers.get("set-cookie") ?? "").replace(/;.*/, "");
}

describe.skipIf(WITHOUT_BROWSER !== null)(`in a browser${WITHOUT_BROWSER === null ? "" : ` (${WITHOUT_BROWSER})`}`, () => {
  test("who may only look signs in with a password, ends what may be ended then, and signs out", async () => {
    const { fleet, server } = await serve(OPEN);
    expect((await fleet.node("web-01", {}).run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
    const { page, complaints, requests } = await openPage();
    await page.goto(`${server.url}/view/db/migrate`);
    await viewer(page, "anonymous may read");
    const release = page.getByRole("button", { name: "Release the claim of ops@web-01" });
    expect(await release.count()).toBe(0);
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");
    expect(new URL(page.url()).pathname).toBe("/view/db/migrate");
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", secure: false, path: "/" });
    expect(await page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")).toEqual(["", 0, 0]);

    await release.click();
    await page.getByLabel("Reason").fill("done early");
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await page.locator("#history").getByText("done early").waitFor();
    const { history } = (await server.ask("GET", "/v1/history")).json as { readonly history: readonly object[] };
    expect(history).toMatchObject([{ event: "released", by: "ann", reason: "done early" }]);

    await page.getByRole("button", { name: "Sign out" }).click();
    await viewer(page, "anonymous may read");
    expect(await page.context().cookies()).toEqual([]);
    // Whoever has kept a copy of it has nothing.
    const copy = { Cookie: `${cookie?.name}=${cookie?.value}` };
    expect((await server.ask("POST", "/v1/leases", { lock: "a" }, copy)).status).toBe(403);
    expect(requests.filter((address) => address.includes("ssword"))).toEqual([]);
    expect(server.cli.stderr() + server.cli.stdout()).not.toMatch(/ssword|holdline-session/);
    expect(complaints).toEqual([]);
  });

  test("a token is as good, with the rights of its name", async () => {
    const { server } = await serve(OPEN);
    const { page } = await openPage();
    await page.goto(`${server.url}/sign-in`);
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Sign in with the token" }).click();
    expect(await page.getByRole("alert").innerText()).toContain("The token is wrong.");
    await page.getByLabel("Token").fill(TOKEN);
    await page.getByRole("button", { name: "Sign in with the token" }).click();
    await viewer(page, "ci may read, lock");
    await page.getByRole("button", { name: "Sign out" }).click();
    await viewer(page, "anonymous may read");
  });

  test("without an entry for anonymous the form is what is shown, and leads on to what was wanted", async () => {
    const { server } = await serve(NAMED);
    const { page, complaints } = await openPage();
    const asked = await page.goto(`${server.url}/history?limit=20`);
    expect([asked?.status(), await asked?.headerValue("www-authenticate")]).toEqual([401, 'Bearer realm="holdline"']);
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    expect(await page.getByRole("alert").innerText()).toContain("The name or the password is wrong.");
    expect(await page.getByLabel("Name").inputValue()).toBe("ann");
    expect(await page.getByLabel("Password").inputValue()).toBe("");
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");
    expect(page.url()).toBe(`${server.url}/history?limit=20`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("works without JavaScript, and without HTTPS by any name", async () => {
    const { server } = await serve(OPEN);
    const { page } = await openPage({ javaScriptEnabled: false });
    await page.goto(`http://${PLAIN_HOST}:${new URL(server.url).port}/`);
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");
    await page.getByRole("button", { name: "Sign out" }).click();
    await viewer(page, "anonymous may read");
  });

  test.skipIf(PEM_PROBLEM !== null)("over HTTPS the cookie goes nowhere else", async () => {
    const fleet = await openFleet("sqlite");
    const { cert, key } = makeCertificate(fleet.directory, "server");
    const server = await startServer(fleet, "server", { settings: { access: OPEN, serve: { cert, key } } });
    const { page } = await openPage({ ignoreHTTPSErrors: true });
    await page.goto(`${server.url}/sign-in`);
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ secure: true, httpOnly: true, sameSite: "Strict" });
    expect(cookie?.name).toMatch(/^__Host-/);
    await page.getByRole("button", { name: "Sign out" }).click();
    await viewer(page, "anonymous may read");
    expect(await page.context().cookies()).toEqual([]);
  });

  test("two servers of one host keep their sessions apart", async () => {
    const [one, other] = [await serve(OPEN), await serve(OPEN)];
    const { page } = await openPage();
    for (const { server } of [one, other]) {
      await page.goto(`${server.url}/sign-in`);
      await signIn(page);
      await viewer(page, "ann may read, lock, clear");
    }
    await page.goto(`${one.server.url}/`);
    await viewer(page, "ann may read, lock, clear");
  });

  test("a page becomes another reader's: of one who signs out elsewhere, or comes by another site's link", async () => {
    const { server } = await serve(OPEN);
    const { page, requests } = await openPage();
    const loadsOf = (path: string): number => requests.filter((address) => address === `${server.url}${path}`).length;
    await page.goto(`${server.url}/sign-in`);
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");

    const other = createServer((_request, response) =>
      response.setHeader("Content-Type", "text/html").end(`<a href="${server.url}/">the locks</a>`),
    );
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise<void>((resolve) => (other.closeAllConnections(), other.close(() => resolve()))));
    await page.goto(`http://localhost:${(other.address() as AddressInfo).port}/`);
    const before = loadsOf("/");
    await page.getByRole("link", { name: "the locks" }).click();
    await viewer(page, "ann may read, lock, clear");
    // The browser sends no cookie with another site's link.
    expect(loadsOf("/") - before).toBe(2);

    const elsewhere = await page.context().newPage();
    await elsewhere.goto(`${server.url}/history`);
    await elsewhere.getByRole("button", { name: "Sign out" }).click();
    await viewer(page, "anonymous may read");
  });

  test("a session that has ended is asked for anew where nobody may look without one", async () => {
    const { server } = await serve(NAMED);
    const { page } = await openPage();
    await page.goto(`${server.url}/history`);
    await signIn(page);
    await viewer(page, "ann may read, lock, clear");
    const [cookie] = await page.context().cookies();
    expect((await form(server, "/sign-out", {}, { Cookie: `${cookie?.name}=${cookie?.value}` })).status).toBe(303);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  test("nobody is offered to sign in where nobody has to", async () => {
    const server = await startServer(await openFleet("sqlite"));
    const { page } = await openPage();
    await page.goto(`${server.url}/`);
    await viewer(page, "ops@server may read, lock, clear");
    expect(await page.getByText(/Sign (in|out)/).count()).toBe(0);
  });
});

describe("the session", () => {
  test("is not begun, used or ended by another site's page", async () => {
    const { server } = await serve(OPEN);
    const foreign = { Origin: "http://evil.example" };
    const refused = await form(server, "/sign-in", ANN, foreign);
    expect([refused.status, refused.headers.get("set-cookie")]).toEqual([403, null]);
    const cookie = { Cookie: await cookieOf(server) };
    expect((await server.ask("POST", "/v1/leases", { lock: "a" }, { ...cookie, ...foreign })).status).toBe(403);
    expect((await form(server, "/sign-out", {}, { ...cookie, ...foreign })).status).toBe(403);
    expect((await server.ask("POST", "/v1/leases", { lock: "a" }, cookie)).status).toBe(201);
  });

  test("ends with its streams", async () => {
    const { server } = await serve(OPEN);
    const cookie = { Cookie: await cookieOf(server) };
    const stream = await fetch(`${server.url}/v1/events`, { headers: cookie });
    const ended = stream.text();
    expect((await form(server, "/sign-out", {}, cookie)).status).toBe(303);
    expect(await within(ended, "the stream to end")).toMatch(/^event: locks$/m);
  });

  test("is a new one each time, and the former one ends", async () => {
    const { server } = await serve(OPEN);
    const former = await cookieOf(server);
    const again = await form(server, "/sign-in", ANN, { Cookie: former });
    const cookie = (again.headers.get("set-cookie") ?? "").replace(/;.*/, "");
    expect(cookie).not.toBe(former);
    const statusWith = async (Cookie: string) =>
      (await server.ask("POST", "/v1/leases", { lock: "a", key: "k" }, { Cookie })).status;
    expect([await statusWith(former), await statusWith(cookie)]).toEqual([403, 201]);
  });

  test("gives way to credentials that a request brings", async () => {
    const { fleet, server } = await serve(OPEN);
    const headers = { Cookie: await cookieOf(server), ...bearer(TOKEN) };
    expect((await server.ask("POST", "/v1/leases", { lock: "app/a" }, headers)).status).toBe(201);
    expect((await fleet.queue("app/a")).map(({ owner }) => owner.principal)).toEqual(["ci"]);
  });

  test("leads to no other site", async () => {
    const { server } = await serve(OPEN);
    const targets = ["//evil.example/", "https://evil.example/", "/\\evil.example/", "/..//evil.example", "evil", "/view/a?x=1#y"];
    const locations: (string | null)[] = [];
    for (const to of targets) locations.push((await form(server, "/sign-in", { ...ANN, to })).headers.get("location"));
    expect(locations).toEqual(["/", "/", "/", "/", "/", "/view/a?x=1"]);
  });

  test("is for those who know a secret: guesses are counted as all others are, and what is no form is refused", async () => {
    const { server } = await serve(OPEN);
    const statuses = await Promise.all(
      Array.from(
        { length: 40 },
        async (_, index) => (await form(server, "/sign-in", { user: "ann", password: `guess ${index}` })).status,
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect((await form(server, "/sign-in", { user: "anonymous", password: "" })).status).not.toBe(303);
    expect((await server.ask("POST", "/sign-in", { user: "ann", password: PASSWORD })).status).toBe(400);
    expect((await form(server, "/sign-in", { user: "ann" })).status).toBe(400);
    expect((await form(server, "/sign-in", { ...ANN, to: "x".repeat(20_000) })).status).toBe(413);
  });

  test("garbage for a cookie is no session, and does no harm", async () => {
    const { server } = await serve(OPEN);
    const [name = ""] = (await cookieOf(server)).split("=");
    for (const value of ["", "x", "x".repeat(43), `${"x".repeat(43)}; ${name}=y`, '"', "__proto__"])
      expect((await server.ask("GET", "/v1/locks", undefined, { Cookie: `${name}=${value}` })).status).toBe(200);
  });
});

describe("sessions", () => {
  test("last for twelve hours at most", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const sessions = new Sessions();
    const id = sessions.begin("ann", true);
    const session = sessions.find(id);
    vi.advanceTimersByTime(LONGEST_SESSION_MS - 1);
    expect([sessions.find(id), session?.ended.aborted]).toEqual([session, false]);
    vi.advanceTimersByTime(1);
    expect([sessions.find(id), session?.ended.aborted]).toEqual([null, true]);
  });

  test("of one name are a hundred at most: the oldest ends, and no other name's", async () => {
    const sessions = new Sessions();
    const other = sessions.begin("ci", true);
    const ids = Array.from({ length: 101 }, () => sessions.begin("ann", true));
    expect(ids.map((id) => sessions.find(id)?.name ?? null)).toEqual([null, ...Array.from({ length: 100 }, () => "ann")]);
    expect(sessions.find(other)?.name).toBe("ci");
    const { ended } = sessions.find(other) ?? {};
    sessions.end(other);
    await until(() => ended?.aborted === true, "its end to be told");
    for (const id of ids) sessions.end(id);
  });
});
