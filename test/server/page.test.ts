// The page in a real browser, on the built server: live, safe, and usable by all.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { draftFor } from "../coordinators/conformance/store.js";
import { type Fleet, openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { openPage, shareBrowser, WITHOUT_BROWSER } from "./browser.js";
import { hashOf } from "./credentials.js";
import { type Serving, startServer } from "./serving.js";

failOnLeaks();
shareBrowser();

const OUTPUT = ["checking …", "nginx: [emerg] <b>unknown</b> directive"];
const FAILING = { fail: { lock: "restart/nginx", shell: `printf '%s\\n' '${OUTPUT.join("' '")}'; exit 3` } };

interface HistoryDocument {
  readonly history: readonly {
    readonly lock: string;
    readonly event: string;
    readonly by: string;
    readonly reason: string | null;
  }[];
}

async function historyOf({ ask }: Serving, lock: string) {
  return ((await ask("GET", `/v1/history?lock=${encodeURIComponent(lock)}`)).json as HistoryDocument).history;
}

/** An item of the list. */
function item(page: Page, lock: string) {
  return page.locator(`#locks > [data-lock=${JSON.stringify(lock)}]`);
}

async function untilLive(page: Page): Promise<void> {
  await page.locator("#live[data-state=live]").waitFor();
}

/** The `data-key` of what has the focus. */
function focused(page: Page): Promise<string | null> {
  return page.evaluate("document.activeElement.dataset.key ?? null");
}

async function tabUntil(page: Page, key: string): Promise<void> {
  await until(async () => {
    await page.keyboard.press("Tab");
    return (await focused(page)) === key;
  }, `the focus to come to ${key}`);
}

/** A lock whose holder has failed, and one who waits behind it. */
async function failedLock(fleet: Fleet) {
  const failing = fleet.node("web-07", FAILING);
  expect((await failing.run("run", "fail")).code).toBe(4);
  const [claim] = await fleet.queue("restart/nginx");
  fleet.node("web-08", {}).start("exec", "restart/nginx", "--timeout", "10 min", "--", "true");
  await fleet.untilQueue("restart/nginx", 2);
  return { id: claim?.id ?? "", node: failing };
}

describe.skipIf(WITHOUT_BROWSER !== null)(`the page${WITHOUT_BROWSER === null ? "" : ` (${WITHOUT_BROWSER})`}`, () => {
  describe.each(STORES)("on %s", (kind) => {
    test("shows what the command line takes and ends, without being loaded again", async () => {
      const fleet = await openFleet(kind);
      const server = await startServer(fleet);
      const { page, complaints, requests } = await openPage();
      await page.goto(`${server.url}/`);
      await untilLive(page);
      expect(await page.locator("#summary").textContent()).toBe("Nobody holds or waits for any lock.");
      const node = fleet.node("web-01", {});
      const id = (await node.run("acquire", "deploy/app", "--ttl", "1 h", "--reason", "release 7")).stdout.trim();
      await item(page, "deploy/app").getByText("release 7").waitFor();
      expect(await item(page, "deploy/app").locator(".badge").textContent()).toMatch(/◆.*leased/);
      await page.getByText("1 lock: 1 leased, 0 waiting.").waitFor();
      const age = item(page, "deploy/app").locator("time").first();
      const before = await age.textContent();
      await until(async () => (await age.textContent()) !== before, "the age to tick");
      expect((await node.run("release", "deploy/app", id)).code).toBe(0);
      await item(page, "deploy/app").waitFor({ state: "detached" });
      expect(requests.filter((address) => address === `${server.url}/`)).toHaveLength(1);
      expect(complaints).toEqual([]);
    });
  });

  test("tells in words what has failed, with its output, and whom it blocks; the keyboard alone clears it", async () => {
    const fleet = await openFleet("sqlite");
    const { id } = await failedLock(fleet);
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    const words = await item(page, "restart/nginx").textContent();
    expect(words).toMatch(/✖.*FAILED/s);
    expect(words).toMatch(/Failed on\s+web-07\s+.* ago: exit code 3/s);
    expect(words).toMatch(/Blocks\s+web-08 for\s+\d/s);

    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    await tabUntil(page, `summary-${id}`);
    await page.keyboard.press("Enter");
    expect(await item(page, "restart/nginx").locator("pre").innerText()).toBe(OUTPUT.join("\n"));
    await tabUntil(page, `act-${id}`);
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    // Away and back again: nothing is done, and the focus is where it was.
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    expect(await focused(page)).toBe(`act-${id}`);
    await page.keyboard.press("Enter");
    // A dialog keeps the focus, and asks for a reason.
    const isInside =
      "document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)";
    for (let tab = 0; tab < 8; tab += 1) {
      expect(await page.evaluate(isInside)).toBe(true);
      await page.keyboard.press("Tab");
    }
    await page.locator("dialog textarea").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.locator("dialog[open]").count()).toBe(1);
    // The browser brings the focus back to what is missing, in its own time.
    await until(() => page.evaluate("document.activeElement.matches('dialog textarea')"), "the reason to be asked for");
    await page.keyboard.type("replaced by hand");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");

    // One or the other is said, and what went wrong says more than that nothing went well.
    const answer = await until(
      async () => (await page.locator("#said").textContent()) || (await page.locator("#act-problem").textContent()),
      "what came of it to be said",
    );
    expect(answer).toBe("Cleared the claim of web-07 on restart/nginx.");
    await item(page, "restart/nginx").waitFor({ state: "detached" });
    expect(await historyOf(server, "restart/nginx")).toMatchObject([
      { event: "cleared", by: "ops@server", reason: "replaced by hand" },
      { event: "failed", reason: "exit code 3" },
    ]);
    await page.goto(`${server.url}/history`);
    expect(await page.locator("#history .record").first().textContent()).toMatch(
      /⌫.*cleared.*restart\/nginx.*web-07.*cleared by ops@server: replaced by hand/s,
    );
    expect(complaints).toEqual([]);
  });

  test("releases a lease with a reason, and shows that in the history of its own page at once", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const node = fleet.node("web-01", {});
    expect((await node.run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/view/db/migrate`);
    await untilLive(page);
    await page.getByRole("button", { name: "Release the claim of ops@web-01 on db/migrate" }).click();
    await page.getByLabel("Reason").fill("done early");
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await page.getByText("Nobody holds or waits for it.").waitFor();
    await page.locator("#history").getByText("done early").waitFor();
    expect(await historyOf(server, "db/migrate")).toMatchObject([{ event: "released", by: "ops@server", reason: "done early" }]);
    expect(complaints).toEqual([]);
  });

  test("ends a claim whose owner runs only when that is confirmed as well", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const running = fleet.node("web-01", {}).start("exec", "jobs", "--durable", "--", "sleep", "600");
    await fleet.untilQueue("jobs", 1);
    const { page } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    await item(page, "jobs").getByText("running").waitFor();
    expect(await item(page, "jobs").getByRole("button").count()).toBe(0);
    await page.goto(`${server.url}/view/jobs`);
    await untilLive(page);
    await page.getByRole("button", { name: "Clear the claim" }).click();
    await page.getByLabel("Reason").fill("it hangs");
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    // The browser itself asks for the box to be ticked.
    expect(await fleet.queue("jobs")).toHaveLength(1);
    await page.getByLabel("Its owner or command is running").check();
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    await page.getByText("Nobody holds or waits for it.").waitFor();
    expect(await historyOf(server, "jobs")).toMatchObject([{ event: "cleared", reason: "it hangs" }]);
    running.kill("SIGKILL");
  });

  test("says before a stale claim is cleared where its command may still run, and asks once more where it is seen to", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const go = fleet.signalFile();
    const agent = fleet.node("web-01", {}).start("exec", "jobs", "--durable", "--", "sh", "-c", fleet.waitingShell(go.path));
    await fleet.untilLine("start web-01");
    agent.kill("SIGKILL");
    await agent.ended;
    const { page } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    await page.getByRole("button", { name: "Clear the claim" }).click();
    await page.getByText("its command may still run: check on web-01 that it has ended").waitFor();
    await page.getByLabel("Reason").fill("killed");
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    await page.getByText("its command still runs on the server's machine: pid").waitFor();
    expect(await fleet.queue("jobs")).toHaveLength(1);
    await page.getByLabel("Its owner or command is running").check();
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    await item(page, "jobs").waitFor({ state: "detached" });
    go.give();
    expect(await historyOf(server, "jobs")).toMatchObject([{ event: "cleared", reason: "killed" }]);
  });

  test("shows claims as text, whatever they contain", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const evil = `<script>hacked=1</script><img src=x onerror="hacked=1">'"><svg onload=hacked=1>`;
    const lock = `"><img src=x onerror=hacked=1>`;
    const node = fleet.node("web-01", {}, { settings: { node: evil, principal: evil } });
    const data = JSON.stringify({ [evil]: evil });
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    const taken = await node.run("acquire", lock, "--ttl", "1 h", "--reason", evil, "--key", evil, "--data", data);
    expect(taken.code).toBe(0);
    // Made by the browser, and then by the server.
    await page.getByText("1 lock: 1 leased").waitFor();
    for (const address of ["/", `/view/${encodeURIComponent(lock)}`]) {
      await page.goto(`${server.url}${address}`);
      await untilLive(page);
      expect(await page.locator("dd").allInnerTexts()).toContain(evil);
      await page.getByRole("button", { name: "Release" }).first().click();
      expect(await page.locator("#act-title").innerText()).toContain(evil);
      await page.keyboard.press("Escape");
    }
    await page.getByRole("button", { name: "Release" }).first().click();
    await page.getByLabel("Reason").fill(evil);
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await page.locator("#history").getByText(evil).first().waitFor();
    await page.goto(`${server.url}/history`);
    expect(await page.locator("#history").innerText()).toContain(evil);
    expect(await page.evaluate("typeof hacked")).toBe("undefined");
    expect(await page.locator("img, main svg, main script").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("loads under 100 KB, all of it from the server, under a policy without exceptions", async () => {
    const fleet = await openFleet("sqlite");
    await failedLock(fleet);
    const server = await startServer(fleet);
    const { page, complaints, requests } = await openPage();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Network.enable");
    let bytes = 0;
    devtools.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    devtools.on("Network.eventSourceMessageReceived", ({ data }) => (bytes += data.length));
    const response = await page.goto(`${server.url}/`, { waitUntil: "load" });
    await untilLive(page);
    const policy = (await response?.headerValue("content-security-policy")) ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toMatch(/unsafe|data:|\*/);
    expect(await response?.headerValue("x-content-type-options")).toBe("nosniff");
    expect(await response?.headerValue("referrer-policy")).toBe("same-origin");
    await until(() => requests.length >= 4, "script, style and stream to be asked for");
    expect(requests.filter((address) => !address.startsWith(server.url))).toEqual([]);
    expect(bytes).toBeGreaterThan(5_000);
    expect(bytes).toBeLessThan(100_000);
    console.log(`the page loads with ${bytes} bytes`);
    expect(complaints).toEqual([]);
  });

  test.each(["light", "dark"] as const)("can be read in %s", async (colorScheme) => {
    const fleet = await openFleet("sqlite");
    await failedLock(fleet);
    expect((await fleet.node("web-09", {}).run("acquire", "b", "--ttl", "1 h", "--reason", "why")).code).toBe(0);
    const server = await startServer(fleet);
    const { page } = await openPage({ colorScheme });
    await page.goto(`${server.url}/`);
    const [ground] = await coloursOf(page, "body");
    expect(brightness(ground) > 0.5).toBe(colorScheme === "light");
    for (const what of [
      "body",
      ".badge.failed",
      ".badge.leased",
      ".failure",
      ".blocked",
      ".line li p",
      "dt",
      "dd",
      "button",
      "a",
    ]) {
      const [background, text] = await coloursOf(page, what);
      // WCAG 2.2, 1.4.3.
      expect(contrast(background, text), `${what}: ${text.join()} on ${background.join()}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  test("fits a phone, however long the names are", async () => {
    const fleet = await openFleet("sqlite");
    await failedLock(fleet);
    const long = `app/${"x".repeat(200)}`;
    const node = fleet.node(`web-01.${"long".repeat(15)}.example.com`, {});
    expect((await node.run("acquire", long, "--ttl", "1 h", "--reason", "r".repeat(250))).code).toBe(0);
    const server = await startServer(fleet);
    const { page } = await openPage({ viewport: { width: 375, height: 700 }, isMobile: true, hasTouch: true });
    for (const address of ["/", "/view/restart/nginx", `/view/${long}`, "/history"]) {
      await page.goto(`${server.url}${address}`);
      await untilLive(page);
      expect(await page.evaluate("document.documentElement.scrollWidth"), address).toBeLessThanOrEqual(375);
    }
    await page.goto(`${server.url}/view/${long}`);
    await page.getByRole("button", { name: "Release" }).tap();
    const box = await page.locator("dialog").boundingBox();
    expect(box?.x).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(375);
  });

  test("lists, finds and shows without JavaScript", async () => {
    const fleet = await openFleet("sqlite");
    await failedLock(fleet);
    expect((await fleet.node("web-09", {}).run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
    const server = await startServer(fleet);
    const { page } = await openPage({ javaScriptEnabled: false });
    await page.goto(`${server.url}/`);
    // Those that somebody has to look after come first.
    expect(await page.locator("#locks h2 a").allInnerTexts()).toEqual(["restart/nginx", "db/migrate"]);
    expect(await page.locator("#locks button:visible").count()).toBe(0);
    await page.getByLabel("Find").fill("WEB-09");
    await page.getByRole("button", { name: "Show" }).click();
    expect(await page.locator("#locks h2 a").allInnerTexts()).toEqual(["db/migrate"]);
    await page.goto(`${server.url}/`);
    await page.getByRole("link", { name: "restart/nginx" }).click();
    expect(await page.locator("#locks").innerText()).toContain(OUTPUT[1]);
    await page.goto(`${server.url}/history`);
    await page.getByLabel("Within the last").fill("soon");
    await page.getByRole("button", { name: "Show" }).click();
    expect(await page.getByRole("alert").innerText()).toMatch(/since/);
    expect(await page.getByLabel("Within the last").inputValue()).toBe("soon");
  });

  test("offers only what the viewer may do, of locks that the viewer may see", async () => {
    const fleet = await openFleet("sqlite");
    await failedLock(fleet);
    expect((await fleet.node("web-09", {}).run("acquire", "secret/plan", "--ttl", "1 h")).code).toBe(0);
    const hash = JSON.parse((await fleet.node("hash", {}, { input: "open sesame" }).run("serve", "--hash", "--json")).stdout) as {
      readonly hash: string;
    };
    const access = { reader: { password: hash.hash, may: ["read"], locks: ["restart/*"] } };
    const server = await startServer(fleet, "server", { settings: { access } });
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/`);
    await page.getByLabel("Name").fill("reader");
    await page.getByLabel("Password").fill("open sesame");
    await page.getByRole("button", { name: "Sign in" }).click();
    await untilLive(page);
    await page.getByText("reader may read").waitFor();
    expect(await page.locator("#locks h2 a").allInnerTexts()).toEqual(["restart/nginx"]);
    expect(await page.content()).not.toContain("secret");
    expect(await page.locator("#locks button").count()).toBe(0);
    const refused = await page.goto(`${server.url}/view/secret/plan`);
    expect(refused?.status()).toBe(403);
    expect(await page.locator("main").innerText()).toContain("reader may not see secret/plan");
    expect(complaints).toEqual([]);
  });

  test("an address that does not exist is a page, and a problem document to programs", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    const answer = await page.goto(`${server.url}/nosuch?x=1`);
    expect([answer?.status(), answer?.headers()["content-type"]]).toEqual([404, "text/html; charset=utf-8"]);
    expect(await page.locator("main").innerText()).toContain("there is nothing at GET /nosuch");
    await page.getByRole("link", { name: "Locks" }).click();
    await untilLive(page);
    expect(complaints).toEqual([]);
    for (const headers of [{ Accept: "*/*" }, { Accept: "application/json" }])
      expect((await server.ask("GET", "/nosuch", undefined, headers)).json).toMatchObject({ status: 404, title: "nothing-there" });
    expect((await server.ask("POST", "/nosuch", {}, { Accept: "text/html" })).json).toMatchObject({ status: 404 });
  });

  test("an address that does not exist asks unknown readers to sign in first", async () => {
    const access = { ann: { password: hashOf("open sesame"), may: ["read"] } };
    const server = await startServer(await openFleet("sqlite"), "server", { settings: { access } });
    const { page } = await openPage();
    expect((await page.goto(`${server.url}/nosuch`))?.status()).toBe(401);
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password").fill("open sesame");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("there is nothing at GET /nosuch").waitFor();
    expect((await server.ask("GET", "/nosuch")).json).toMatchObject({ status: 401, title: "not-allowed" });
  });

  test("another site's page cannot clear with the viewer's credentials", async () => {
    const fleet = await openFleet("sqlite");
    const { id } = await failedLock(fleet);
    const server = await startServer(fleet);
    const request = JSON.stringify({ lock: "restart/nginx", reason: "x" });
    const script = `fetch(${JSON.stringify(`${server.url}/v1/claims/${id}/clear`)}, { method: "POST", mode: "no-cors", credentials: "include", body: ${JSON.stringify(request)} }).finally(() => document.title = "sent")`;
    const other = createServer((_request, response) =>
      response.setHeader("Content-Type", "text/html").end(`<script>${script}</script>`),
    );
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise<void>((resolve) => (other.closeAllConnections(), other.close(() => resolve()))));
    const { page } = await openPage();
    const answered = page.waitForResponse((response) => response.url().endsWith("/clear"));
    await page.goto(`http://localhost:${(other.address() as AddressInfo).port}/`);
    expect((await answered).status()).toBe(403);
    expect(await fleet.queue("restart/nginx")).toHaveLength(2);
  });

  test("says when it is not live, and catches up when the server is back", async () => {
    const fleet = await openFleet("sqlite");
    const first = await startServer(fleet);
    const { page } = await openPage();
    await page.goto(`${first.url}/`);
    await untilLive(page);
    first.cli.kill("SIGKILL");
    await page.getByText("not live since").waitFor();
    expect((await fleet.node("web-01", {}).run("acquire", "meanwhile", "--ttl", "1 h")).code).toBe(0);
    await startServer(fleet, "second", { args: ["--listen", new URL(first.url).host] });
    await item(page, "meanwhile").waitFor();
    await untilLive(page);
  });

  test("keeps the focus, and what is unfolded, while locks change", async () => {
    const fleet = await openFleet("sqlite");
    const { id } = await failedLock(fleet);
    const server = await startServer(fleet);
    const { page } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    await item(page, "restart/nginx").locator("summary").click();
    await page.getByRole("button", { name: "Clear the claim" }).focus();
    fleet.node("web-09", {}).start("exec", "restart/nginx", "--timeout", "10 min", "--", "true");
    await item(page, "restart/nginx").getByText("web-09").first().waitFor();
    expect(await focused(page)).toBe(`act-${id}`);
    expect(await item(page, "restart/nginx").locator("details").getAttribute("open")).toBe("");
    const coordinator = await fleet.coordinator();
    const entries = (await coordinator.find(id)).map(({ lock, ref, revision }) => ({ lock, ref, revision }));
    expect(await coordinator.leave(id, entries, { event: "cleared", by: "x", reason: null })).toBe("done");
    // The lock may be gone by then, or have a new holder: the focus is near to where it was.
    await page.getByRole("button", { name: "Clear the claim of web-07" }).waitFor({ state: "detached" });
    expect(await page.evaluate("document.activeElement !== document.body")).toBe(true);
  });

  test("1,000 locks with 10,000 claims stay usable", { timeout: 180_000 }, async () => {
    const fleet = await openFleet("sqlite");
    const coordinator = await fleet.coordinator();
    const names = Array.from({ length: 1_000 }, (_, index) => `app-${String(index).padStart(4, "0")}/restart`);
    const draftOf = (claim: number) => {
      const draft = draftFor(names, { reason: `claim ${claim}`, settles: false });
      return { ...draft, owner: { ...draft.owner, action: "exec backup" } };
    };
    for (let claim = 0; claim < 10; claim += 1) await coordinator.join(draftOf(claim));
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    const served = "window.untouched = [...document.querySelectorAll('#locks .holders')]";
    await page.addInitScript({ content: `document.addEventListener("DOMContentLoaded", () => { ${served} })` });
    const started = performance.now();
    const times: Record<string, number> = {};
    const lap = (name: string) => (times[name] = Math.round(performance.now() - started));
    await page.goto(`${server.url}/`, { waitUntil: "commit" });
    await untilLive(page);
    lap("live");
    await page.getByText("1,000 locks: 1000 running, 9000 waiting.").waitFor();
    expect(await page.locator("#locks > li").count()).toBe(1_000);
    // Of each line a few are shown, and how many more there are.
    expect(await item(page, "app-0500/restart").locator("li").count()).toBe(4);
    expect(await item(page, "app-0500/restart").textContent()).toContain("and 6 more waiting");
    const typed = performance.now();
    await page.getByLabel("Find").fill("app-0777");
    await page.getByText("1 of 1000 shown").waitFor();
    times["find"] = Math.round(performance.now() - typed);
    expect(await page.locator("#locks > li:visible").count()).toBe(1);
    await page.getByLabel("Find").fill("");
    const taken = performance.now();
    expect((await fleet.node("web-01", {}).run("acquire", "new/lock", "--ttl", "1 h")).code).toBe(0);
    await item(page, "new/lock").waitFor({ state: "attached" });
    times["change"] = Math.round(performance.now() - taken);
    // What was served is still so, and neither the stream's first event nor another lock's change makes it anew.
    expect(await page.evaluate("window.untouched.length")).toBe(1_000);
    expect(await page.evaluate("window.untouched.every((element) => element.isConnected)")).toBe(true);
    console.log(`1,000 locks with 10,000 claims, in ms: ${JSON.stringify(times)}`);
    expect(complaints).toEqual([]);
  });
});

/** The colours behind and of the text of the first such element, as [red, green, blue] from 0 to 255. */
async function coloursOf(page: Page, selector: string): Promise<readonly [Rgb, Rgb]> {
  const script = `(() => {
    const element = document.querySelector(${JSON.stringify(selector)});
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return [getComputedStyle(behind).backgroundColor, getComputedStyle(element).color].map((text) => text.match(/[0-9]+/g).map(Number));
  })()`;
  return page.evaluate(script);
}

type Rgb = readonly [number, number, number];

/** WCAG's relative luminance. */
function brightness(colour: Rgb): number {
  const [red = 0, green = 0, blue = 0] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: Rgb, other: Rgb): number {
  const [dark = 0, light = 0] = [brightness(one), brightness(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
