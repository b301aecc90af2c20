// The page's dialog that ends claims: what it says while nobody answers, and whose claim it is about.
import type { Page } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { canStartServers, startZooKeeper } from "../support/zookeeper-server.js";
import { openPage, shareBrowser, WITHOUT_BROWSER } from "./browser.js";
import { startServer } from "./serving.js";

failOnLeaks();
shareBrowser();

const SOON_MS = 5_000;
const isHere = await canStartServers();
const FAILING = { fail: { lock: "restart/nginx", shell: "exit 3" } };

const untilLive = (page: Page) => page.locator("#live[data-state=live]").waitFor();
const item = (page: Page, lock: string) => page.locator(`#locks > [data-lock=${JSON.stringify(lock)}]`);

describe.skipIf(WITHOUT_BROWSER !== null)(`the dialog${WITHOUT_BROWSER === null ? "" : ` (${WITHOUT_BROWSER})`}`, () => {
  describe.skipIf(!isHere).each([
    { verb: "Clear", lock: "restart/nginx", route: "/v1/claims/:id/clear", leave: "Cancel" },
    { verb: "Release", lock: "db/migrate", route: "/v1/leases/:id", leave: "Escape" },
  ])("$verb, while the store is stopped", ({ verb, lock, route, leave }) => {
    /** A page on a ZooKeeper that is stopped then, with what was asked for. */
    async function asked() {
      const zookeeper = await startZooKeeper();
      onTestFinished(() => zookeeper.close());
      const fleet = await openFleet("sqlite");
      const store = { coordinator: `zookeeper://${zookeeper.address}/holdline` };
      const server = await startServer(fleet, "server", store);
      const node = fleet.node("web-01", FAILING, store);
      if (verb === "Clear") expect((await node.run("run", "fail")).code).toBe(4);
      else expect((await node.run("acquire", lock, "--ttl", "1 h")).code).toBe(0);
      const { page, complaints } = await openPage();
      await page.goto(`${server.url}/`);
      await untilLive(page);
      await page.getByRole("button", { name: `${verb} the claim of` }).click();
      await page.getByLabel("Reason").fill("by hand");
      await zookeeper.freeze();
      const begun = performance.now();
      await page.getByRole("button", { name: verb, exact: true }).click();
      await page.locator("#act-problem").getByText("has not answered yet").waitFor();
      expect(performance.now() - begun).toBeLessThan(SOON_MS);
      expect(await page.locator("#act-problem").textContent()).toMatch(/Your request still stands/);
      return { zookeeper, server, node, page, complaints };
    }

    test("says so within five seconds, and what came of it when the store is back", async () => {
      const { zookeeper, page, complaints } = await asked();
      zookeeper.thaw();
      await page
        .locator("#said")
        .getByText(`${verb === "Clear" ? "Cleared" : "Released"} the claim of`)
        .waitFor();
      expect(await page.locator("dialog[open]").count()).toBe(0);
      await item(page, lock).waitFor({ state: "detached" });
      expect(complaints).toEqual([]);
    });

    test(`${leave} takes it back, and the page says that the claim may have ended or not`, async () => {
      const { zookeeper, server, node, page, complaints } = await asked();
      if (leave === "Cancel") await page.getByRole("button", { name: leave }).click();
      else await page.keyboard.press(leave);
      await page.locator("#said").getByText("You cancelled before the server answered").waitFor();
      expect(await page.locator("#said").textContent()).toMatch(/See the history\.$/);
      expect(await page.locator("dialog[open]").count()).toBe(0);
      zookeeper.thaw();
      // The server has given the request up: its client had gone.
      const method = verb === "Clear" ? "POST" : "DELETE";
      const givenUp = new RegExp(
        `^holdline_http_requests_total\\{(?=.*method="${method}")(?=.*route="${route}")(?=.*status="none")`,
        "m",
      );
      await until(async () => givenUp.test((await server.ask("GET", "/metrics")).text), "the request to be given up");
      expect((await node.run("acquire", "later", "--ttl", "1 h")).code).toBe(0);
      await item(page, "later").waitFor();
      expect(await item(page, lock).count()).toBe(1);
      const { history } = (await server.ask("GET", "/v1/history")).json as { readonly history: readonly { event: string }[] };
      expect(history.map(({ event }) => event).filter((event) => event !== "failed")).toEqual([]);
      expect(complaints).toEqual([]);
    });
  });

  test("does what it is asked for when it was closed and opened again at once", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    expect((await fleet.node("web-01", {}).run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
    const { page, complaints } = await openPage();
    await page.goto(`${server.url}/`);
    await untilLive(page);
    // In one task: the browser tells of the closing only after it, when the dialog is open again.
    const told = await page.evaluate(`new Promise((resolve) => {
      const [dialog, button] = [document.querySelector("dialog"), document.querySelector("button[data-act]")];
      dialog.addEventListener("close", () => resolve(dialog.open), { once: true });
      button.click();
      dialog.close();
      button.click();
    })`);
    expect(told).toBe(true);
    await page.getByLabel("Reason").fill("done early");
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await page.locator("#said").getByText("Released the claim of").waitFor();
    await item(page, "db/migrate").waitFor({ state: "detached" });
    expect(complaints).toEqual([]);
  });

  test("names whose claim it is and why it is there, and says whether it holds the lock or waits for it", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    const lease = { lock: "vm/17", caller: "backup", reason: "nightly dump" };
    expect((await server.ask("POST", "/v1/leases", lease)).status).toBe(201);
    expect((await server.ask("POST", "/v1/leases", { lock: "vm/18" })).status).toBe(201);
    const { page } = await openPage();
    const opened = async (address: string, button: string) => {
      await page.goto(`${server.url}${address}`);
      await untilLive(page);
      await page.getByRole("button", { name: button }).click();
      return { title: await page.locator("#act-title").textContent(), words: await page.locator("#act-words").textContent() };
    };
    expect(await opened("/", "on vm/17")).toEqual({
      title: "Release the claim of backup?",
      words: "It holds vm/17. Its reason: nightly dump. When it ends, the next in line goes on.",
    });
    // Nobody but the principal is known: the node is the server's own.
    expect(await opened("/", "on vm/18")).toEqual({
      title: "Release the claim of ops@server?",
      words: "It holds vm/18. When it ends, the next in line goes on.",
    });
    fleet.node("web-08", {}).start("exec", "vm/18", "--timeout", "10 min", "--", "sleep", "600");
    const [holder] = await fleet.untilQueue("vm/18", 2);
    expect(await opened("/view/vm/18", "Clear the claim of web-08")).toEqual({
      title: "Clear the claim of web-08?",
      words: "It waits for vm/18. When it ends, those behind it move up.",
    });
    // It is held meanwhile.
    expect((await server.ask("DELETE", `/v1/leases/${holder?.id}`)).status).toBe(200);
    await page.locator("#act-words").getByText("It holds vm/18.").waitFor();
  });
});
