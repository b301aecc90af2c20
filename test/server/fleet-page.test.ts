// The page of the fleet, and freezes on all pages, in a real browser on the built server.
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { documentOfNode, encodeNode } from "../../src/fleet/node.js";
import { FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import type { Fleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { openPage, shareBrowser, WITHOUT_BROWSER } from "./browser.js";
import { hashOf } from "./credentials.js";
import { nodeWith, plant, plantFreezes, plantNode } from "./planted.js";
import { startServer } from "./serving.js";

failOnLeaks();
shareBrowser();

const untilLive = (page: Page) => page.locator("#live[data-state=live]").waitFor();

/** The words of an element, with single spaces. */
async function wordsOf(page: Page, selector: string): Promise<string> {
  return ((await page.locator(selector).textContent()) ?? "").replace(/\s+/g, " ").trim();
}

/** Four nodes of one group: one has done it, one has failed, one is outside its window, one has said nothing. */
async function plantRollout(fleet: Fleet): Promise<void> {
  const now = Date.now();
  const wishedAt = now - 600_000;
  const of = (action: object) => ({ group: "web", actions: { restart: { wishedAt, ...action } } });
  await plantNode(fleet, { node: "web-01", ...of({ at: now - 300_000, ranMs: 65_000 }) });
  await plantNode(fleet, { node: "web-02", ...of({ outcome: "failed", message: "exit code 3", at: now - 200_000 }) });
  const outside = { outcome: "outside-window", message: "opens at 02:00", pendingSince: wishedAt, ranMs: null };
  await plantNode(fleet, { node: "web-03", ...of(outside) });
  await plantNode(fleet, { node: "web-04", group: "web" });
}

describe.skipIf(WITHOUT_BROWSER !== null)(`the page of the fleet${WITHOUT_BROWSER === null ? "" : ` (${WITHOUT_BROWSER})`}`, () => {
  describe.each(STORES)("on %s", (kind) => {
    test("shows nodes and rollouts as they change, without being loaded again", async () => {
      const fleet = await openFleet(kind);
      const server = await startServer(fleet);
      const { page, complaints, requests } = await openPage();
      await page.goto(`${server.url}/fleet`);
      await untilLive(page);
      expect(await wordsOf(page, "#summary")).toBe("No node has told of itself yet.");
      await plantRollout(fleet);
      await page.getByText("4 nodes in 1 group: 1 failed, 1 pending, 1 done, 1 idle.").waitFor();
      expect(await page.locator("#nodes strong bdi").allInnerTexts()).toEqual(["web-02", "web-03", "web-01", "web-04"]);
      expect(await wordsOf(page, "[data-node=web-02]")).toMatch(
        /✖.* failed web-02 in web, seen .* ago, version 0\.2\.0 restart: failed .* ago, took .*, exit code 3/,
      );
      await page.locator("#fleet").getByRole("link", { name: "restart" }).click();
      await untilLive(page);
      expect(await wordsOf(page, ".chosen")).toMatch(/restart in web 1 of 4 done, 1 failed, 1 pending, 1 not yet; begun .* ago/);
      expect(await wordsOf(page, ".each.failed")).toMatch(/^web-02 .* ago: exit code 3$/);
      expect(await wordsOf(page, ".each.pending")).toMatch(/^web-03 .*: opens at 02:00$/);
      const loaded = requests.length;
      const go = fleet.signalFile();
      const agent = fleet.node("web-04", { restart: { shell: fleet.waitingShell(go.path) } }, { settings: { group: "web" } });
      const run = agent.runAction("restart");
      await page.locator(".each.running").getByText("web-04").waitFor();
      go.give();
      expect((await run).code).toBe(0);
      await plantNode(fleet, { node: "web-04", group: "web", actions: { restart: {} } });
      await page.locator(".chosen").getByText("2 of 4 done").first().waitFor();
      // The stream told of each, and the page itself was not loaded: its script and style were not asked for again.
      expect(requests.slice(loaded).filter((address) => address.includes("/page/"))).toEqual([]);
      expect(complaints).toEqual([]);
    });
  });

  test("finds nodes while people type, and keeps what they chose in the address", async () => {
    const fleet = await openFleet("sqlite");
    await plantRollout(fleet);
    await plantNode(fleet, { node: "db-01", group: "db", version: "0.1.9" });
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/fleet`);
    await untilLive(page);
    const names = () => page.locator("#nodes strong bdi").allInnerTexts();
    await page.getByLabel("Find").fill("EXIT CODE");
    await page.getByText("1 of 5 nodes").waitFor();
    expect(await names()).toEqual(["web-02"]);
    expect(await page.evaluate("document.activeElement.name")).toBe("find");
    await page.getByLabel("Find").fill("");
    await page.getByLabel("Group", { exact: false }).and(page.locator("select")).selectOption("db");
    await page.getByText("1 of 5 nodes").waitFor();
    await until(async () => (await names()).join() === "db-01", "the group alone to be shown");
    await page.getByLabel("Group", { exact: false }).and(page.locator("select")).selectOption("");
    await page.getByLabel("State").selectOption("pending");
    await until(async () => (await names()).join() === "web-03", "the state alone to be shown");
    expect(new URL(page.url()).search).toBe("?state=pending");
    await page.reload();
    expect(await names()).toEqual(["web-03"]);
    expect(complaints).toEqual([]);
  });

  test("lists, finds and shows without JavaScript", async () => {
    const fleet = await openFleet("sqlite");
    await plantRollout(fleet);
    await plantFreezes(fleet, [{ locks: ["db/*"], reason: "the sale" }]);
    const server = await startServer(fleet);
    const { page } = await openPage({ javaScriptEnabled: false });
    await page.goto(`${server.url}/fleet`);
    expect(await wordsOf(page, "#freezes")).toMatch(/frozen db\/\*: the sale by ann for .*, until it is thawed\./);
    expect(await page.locator("main button:visible").allInnerTexts()).toEqual(["Show"]);
    await page.getByLabel("Find").fill("web-03");
    await page.getByLabel("State").selectOption("pending");
    await page.getByRole("button", { name: "Show" }).click();
    expect(await page.locator("#nodes strong bdi").allInnerTexts()).toEqual(["web-03"]);
    await page.locator("#fleet").getByRole("link", { name: "restart" }).click();
    expect(await wordsOf(page, ".chosen")).toContain("1 of 4 done");
  });

  test("freezes stand on top of the pages that they are about, with why, by whom and until when", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    await plantFreezes(fleet, [
      { locks: ["restart/*", "db"], node: "web-*", group: "web", reason: "the sale", until: Date.now() + 600_000 },
      { locks: ["other"], reason: "something else" },
    ]);
    await page.getByText("something else").waitFor();
    expect(await wordsOf(page, "#freezes .freeze:first-child")).toMatch(
      /❄.* frozen restart\/\*, db on nodes like web-\* in the group web: the sale by ann for .*, until .* UTC \(\d+ min.* left\)\. What has begun goes on\./,
    );
    await page.goto(`${server.url}/view/db`);
    await untilLive(page);
    expect(await page.locator("#freezes .freeze").count()).toBe(1);
    await page.goto(`${server.url}/fleet`);
    await untilLive(page);
    expect(await page.locator("#freezes .freeze").count()).toBe(2);
    await plant(fleet, FREEZES_DOCUMENT, "no JSON");
    await page.getByText("A store's freezes cannot be read, so nothing begins there").waitFor();
    await page.goto(`${server.url}/`);
    await page.getByText("A store's freezes cannot be read, so nothing begins there").waitFor();
    await plant(fleet, FREEZES_DOCUMENT, null);
    await page.locator("#freezes .warning").waitFor({ state: "detached" });
    expect(complaints).toEqual([]);
  });

  test("freezes with a reason, and thaws, by the keyboard too; the history has both", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/fleet`);
    await untilLive(page);
    await page.getByRole("button", { name: "Freeze…" }).focus();
    await page.keyboard.press("Enter");
    // Away and back again: nothing is frozen, and the focus is where it was.
    await page.keyboard.press("Escape");
    expect(await page.evaluate("document.activeElement.dataset.key")).toBe("freeze");
    await page.keyboard.press("Enter");
    await page.getByLabel("Locks, one pattern a line").fill("deploy/*\n\n  restart/nginx ");
    await page.getByLabel("Only nodes like").fill("web-*");
    await page.getByLabel("For how long").fill("soon");
    // The browser itself asks for a reason.
    await page.getByRole("button", { name: "Freeze", exact: true }).click();
    expect(await page.locator("#freeze-problem").isVisible()).toBe(false);
    await page.locator("#freeze").getByLabel("Reason").fill("the  sale\nis on");
    await page.getByRole("button", { name: "Freeze", exact: true }).click();
    await page.locator("#freeze-problem").getByText("for").waitFor();
    await page.getByLabel("For how long").fill("2 h");
    await page.getByRole("button", { name: "Freeze", exact: true }).click();
    await page.locator("#freezes").getByText("the sale is on").waitFor();
    expect(await page.locator("#said").textContent()).toBe("Frozen.");
    expect(await wordsOf(page, "#freezes")).toMatch(
      /frozen deploy\/\*, restart\/nginx on nodes like web-\*: the sale is on by ops@server for .*, until .* \((1 h 59 min|2 h) left\)/,
    );
    await page.getByRole("button", { name: "Thaw deploy/*" }).click();
    expect(await page.locator("#freeze-title").innerText()).toBe("Thaw deploy/*, restart/nginx?");
    await page.keyboard.press("Enter");
    await page.locator("#freezes .freeze").waitFor({ state: "detached" });
    await page.getByText("Thawed deploy/*, restart/nginx.").waitFor();
    expect(await page.evaluate("document.activeElement !== document.body")).toBe(true);
    await page.goto(`${server.url}/history`);
    const records = await page.locator("#history .record").allInnerTexts();
    expect(records.filter((text) => /thawed.*restart\/nginx, after/s.test(text))).toHaveLength(1);
    expect(records.filter((text) => /frozen.*restart\/nginx,.*the sale is on/s.test(text))).toHaveLength(1);
    expect(complaints).toEqual([]);
  });

  test("shows documents as text, whatever they contain", async () => {
    const fleet = await openFleet("sqlite");
    const evil = `<script>hacked=1</script><img src=x onerror="hacked=1">'"><svg onload=hacked=1>`;
    const odd = `\u202eright to left\u0007\u001b[31m\u0000\n${evil}`;
    const long = "m".repeat(10_240);
    const node = `"><img src=x onerror=hacked=1>`;
    const action = { lock: evil, outcome: odd, message: `${odd}${long}`, pendingSince: 1e300, at: -1e300, wishedAt: Date.now() };
    const actions = { [odd]: action, ["__proto__"]: action, [long]: action };
    await plantNode(fleet, { node, group: odd, version: `${evil}${long}`, machine: long, actions });
    await plantNode(fleet, { node: "web-01", group: long, actions });
    await plantFreezes(fleet, [
      { id: odd, locks: [`${odd}*`, "*".repeat(10_000), long], node: odd, group: odd, reason: `${odd}${long}`, by: odd },
      { locks: Array.from({ length: 1_000 }, () => odd), reason: odd, until: 8.64e15 },
    ]);
    const server = await startServer(fleet);
    const { page, complaints } = await openPage({ viewport: { width: 360, height: 700 }, isMobile: true, hasTouch: true });
    const query = new URLSearchParams({ group: odd, action: odd }).toString();
    for (const address of [
      "/",
      "/fleet",
      `/fleet?${query}`,
      `/fleet?find=${encodeURIComponent(odd)}&group=${encodeURIComponent(evil)}`,
    ]) {
      await page.goto(`${server.url}${address}`);
      await untilLive(page);
      expect(await page.locator("body").innerText(), address).toContain("<script>hacked=1</script>");
      expect(await page.evaluate("document.documentElement.scrollWidth"), address).toBeLessThanOrEqual(360);
      // eslint-disable-next-line no-control-regex -- it is these that must not be there
      expect(await page.locator("main").innerText(), address).not.toMatch(/[\u202e\u0007\u001b\0]/);
    }
    await page.goto(`${server.url}/fleet?${query}`);
    await untilLive(page);
    // Made anew by the script.
    await plantNode(fleet, { node: "web-02", group: odd, actions });
    await page.locator(".nodes").getByText("web-02").waitFor();
    expect(await page.evaluate("typeof hacked")).toBe("undefined");
    expect(await page.locator("img, main script, main svg:not(.bar)").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("a viewer sees only what is about locks that it may read, and no button without the right", async () => {
    const fleet = await openFleet("sqlite");
    await plantNode(fleet, {
      node: "web-01",
      actions: { web: { lock: "app/web" }, secret: { lock: "db/secret", outcome: "failed" } },
    });
    await plantFreezes(fleet, [
      { locks: ["app/*", "db/secret"], reason: "for some" },
      { locks: ["db/secret"], reason: "hush" },
    ]);
    const access = {
      reader: { password: hashOf("x"), may: ["read"], locks: ["app/*"] },
      ops: { password: hashOf("x"), may: ["read", "clear"], locks: ["app/*", "x/*"] },
      blind: { password: hashOf("x"), may: ["lock"] },
    };
    const server = await startServer(fleet, "server", { settings: { access } });
    const signIn = async (name: string, to = "/fleet") => {
      const opened = await openPage();
      await opened.page.goto(`${server.url}${to}`);
      await opened.page.getByLabel("Name").fill(name);
      await opened.page.getByLabel("Password").fill("x");
      await opened.page.getByRole("button", { name: "Sign in" }).click();
      return opened;
    };
    const { page, complaints } = await signIn("reader");
    await untilLive(page);
    expect(await wordsOf(page, "#summary")).toBe("1 node in 1 group: 1 done.");
    expect(await wordsOf(page, "#freezes")).toMatch(/frozen app\/\*: for some/);
    expect(await page.content()).not.toMatch(/secret|hush|failed web-01/);
    expect(await page.locator("main button:visible").count()).toBe(0);
    expect(complaints).toEqual([]);
    const ops = (await signIn("ops")).page;
    await untilLive(ops);
    // What it may see of that freeze it may thaw; the server knows of the rest.
    expect(await ops.locator("main button:visible").allInnerTexts()).toEqual(["Thaw…", "Freeze…"]);
    await ops.getByRole("button", { name: "Freeze…" }).click();
    expect(await ops.getByLabel("Locks, one pattern a line").inputValue()).toBe("app/*\nx/*");
    const blind = (await signIn("blind")).page;
    await blind.getByText("blind has none of the rights read").waitFor();
  });

  test("the history fits a phone, whatever stands in it", async () => {
    const fleet = await openFleet("sqlite");
    const long = `app/${"x".repeat(200)}`;
    const node = fleet.node(`web-01.${"long".repeat(15)}.example.com`, {
      fail: { lock: long, shell: `printf '%0300d' 0; exit 3`, on_failure: "release" },
    });
    expect((await node.run("run", "fail")).code).toBe(4);
    const id = (await node.run("acquire", long, "--ttl", "1 h", "--reason", "r".repeat(250))).stdout.trim();
    expect((await node.run("release", long, id)).code).toBe(0);
    const server = await startServer(fleet);
    const { page } = await openPage({ viewport: { width: 360, height: 700 }, isMobile: true, hasTouch: true });
    for (const address of ["/history", `/history?lock=${long}&by=${"y".repeat(200)}`, `/view/${long}`, "/fleet", "/"]) {
      await page.goto(`${server.url}${address}`);
      await untilLive(page);
      expect(await page.evaluate("document.documentElement.scrollWidth"), address).toBeLessThanOrEqual(360);
    }
    await page.goto(`${server.url}/history`);
    expect(await page.locator("#history .record").count()).toBe(2);
    // All that can be tapped is within the screen, and large enough for a finger.
    for (const control of await page.locator("main :is(input, select, button):visible").all()) {
      const box = await control.boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? 999)).toBeLessThanOrEqual(360);
      expect(box?.height ?? 0).toBeGreaterThanOrEqual(24);
    }
  });

  test("10,000 nodes are a page in under a second", { timeout: 180_000 }, async () => {
    const fleet = await openFleet("sqlite");
    const coordinator = await fleet.coordinator();
    const actions = { restart: {}, patch: {}, reboot: { outcome: "timed-out", pendingSince: Date.now() - 60_000 } };
    for (let index = 0; index < 10_000; index += 1) {
      const node = nodeWith({ node: `web-${String(index).padStart(5, "0")}`, group: `group-${index % 4}`, actions });
      await coordinator.writeDocument(documentOfNode(node.node), encodeNode(node), 0);
    }
    const server = await startServer(fleet);
    const times: Record<string, number> = {};
    const addresses = ["/fleet", "/fleet?group=group-1&action=restart", "/fleet?find=web-04242"];
    for (const address of addresses) {
      const begun = performance.now();
      expect((await server.ask("GET", address)).status).toBe(200);
      times[address] = Math.round(performance.now() - begun);
    }
    const { page, complaints } = await openPage();
    const begun = performance.now();
    await page.goto(`${server.url}/fleet`, { waitUntil: "commit" });
    await untilLive(page);
    times["live"] = Math.round(performance.now() - begun);
    await page.getByText("10,000 nodes, the first 100 of which are shown").waitFor();
    const changed = performance.now();
    await plantNode(fleet, { node: "web-00001", group: "group-1", version: "9.9.9", actions: { restart: { outcome: "failed" } } });
    await page.locator("[data-node=web-00001]").getByText("9.9.9").waitFor();
    times["change"] = Math.round(performance.now() - changed);
    console.log(`the page of 10,000 nodes, in ms: ${JSON.stringify(times)}`);
    expect(complaints).toEqual([]);
  });
});
