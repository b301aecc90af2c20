// What the page says when it cannot know: with a ZooKeeper that is really stopped, and with a server that is.
import type { Page } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { ageText } from "../../src/page/ages.js";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { canStartServers, startZooKeeper } from "../support/zookeeper-server.js";
import { openPage, shareBrowser, WITHOUT_BROWSER } from "./browser.js";
import { type Serving, startServer } from "./serving.js";

failOnLeaks();
shareBrowser();

const SOON_MS = 5_000;
const isHere = await canStartServers();

/** A server on a ZooKeeper of its own, a lock, and a page that is live. */
async function watched() {
  const zookeeper = await startZooKeeper();
  onTestFinished(() => zookeeper.close());
  const fleet = await openFleet("sqlite");
  const store = { coordinator: `zookeeper://${zookeeper.address}/holdline` };
  const server = await startServer(fleet, "server", store);
  const node = fleet.node("web-01", {}, store);
  expect((await node.run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
  const { page, complaints } = await openPage();
  await page.goto(`${server.url}/`);
  await untilSign(page, "live");
  return { zookeeper, server, node, page, complaints };
}

const untilSign = (page: Page, state: "live" | "stale" | "lost") => page.locator(`#live[data-state=${state}]`).waitFor();

const item = (page: Page, lock: string) => page.locator(`#locks > [data-lock=${JSON.stringify(lock)}]`);

/** The moment that a text names, in milliseconds since 1970: whole seconds. */
function momentIn(text: string): number {
  const [, day, time] = /since (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/.exec(text.replace(/\s+/g, " ")) ?? [];
  return Date.parse(`${day}T${time}Z`);
}

/** Does something that silences what the page goes by, and waits for what it says of that. */
async function silence(page: Page, state: "stale" | "lost", act: () => unknown): Promise<string> {
  const begun = { at: Date.now(), ms: performance.now() };
  await act();
  await untilSign(page, state);
  expect(performance.now() - begun.ms).toBeLessThan(SOON_MS);
  const words = (await page.locator("#live").textContent()) ?? "";
  // It was known until then, and no longer.
  expect(momentIn(words)).toBeGreaterThan(begun.at - SOON_MS);
  expect(momentIn(words)).toBeLessThanOrEqual(Date.now());
  return words;
}

/** How long the lock has been held, as the page says it, and the texts that are right for the moment `at`, which has lost its milliseconds. */
async function heldFor(page: Page, at: number) {
  const time = item(page, "db/migrate").locator("time[data-age=for]");
  const since = Date.parse((await time.getAttribute("datetime")) ?? "");
  return { shown: await time.textContent(), right: [at, at + 999].map((moment) => ageText("for", since, moment)) };
}

/** Waits until the age stands where it stood at that moment: one that counts on is past it already. */
async function untilAgeOf(page: Page, at: number): Promise<void> {
  await until(async () => {
    const { shown, right } = await heldFor(page, at);
    return right.includes(shown ?? "");
  }, "the age to stand still");
}

/** What all pages say that are loaded now, each within the time. */
async function loadDuring(page: Page, server: Serving): Promise<void> {
  for (const path of ["/", "/view/db/migrate", "/history"]) {
    const begun = performance.now();
    const answer = await page.goto(`${server.url}${path}`, { waitUntil: "domcontentloaded" });
    expect(performance.now() - begun, path).toBeLessThan(SOON_MS);
    expect(answer?.status(), path).toBe(503);
    expect(await page.locator("#outage").textContent(), path).toMatch(/The store has not answered since .* UTC/s);
    await untilSign(page, "stale");
  }
  await page.goto(`${server.url}/`);
  await item(page, "db/migrate").waitFor();
}

describe.skipIf(WITHOUT_BROWSER !== null || !isHere)(`the page${WITHOUT_BROWSER === null ? "" : ` (${WITHOUT_BROWSER})`}`, () => {
  test.each(["is stopped", "is killed"] as const)("says within five seconds that a store %s, and since when", async (how) => {
    const { zookeeper, server, node, page, complaints } = await watched();
    const words = await silence(page, "stale", () => (how === "is stopped" ? zookeeper.freeze() : zookeeper.kill()));
    expect(words).toMatch(/not live since .*: the store does not answer, and later changes are unknown/);
    expect((await server.ask("GET", "/readyz")).status).toBe(503);
    await untilAgeOf(page, momentIn(words));
    await loadDuring(page, server);
    // Seconds later, on a page that was loaded meanwhile.
    await untilAgeOf(page, momentIn(words));
    if (how === "is stopped") zookeeper.thaw();
    else await zookeeper.restart();
    await untilSign(page, "live");
    await page.locator("#outage").waitFor({ state: "hidden" });
    await until(async () => {
      const { shown, right } = await heldFor(page, momentIn(words));
      return !right.includes(shown ?? "");
    }, "the age to go on");
    expect((await node.run("acquire", "new/lock", "--ttl", "1 h")).code).toBe(0);
    await item(page, "new/lock").waitFor();
    expect(complaints).toEqual([]);
  });

  test("says within five seconds that the server is silent, also when its connections stay open", async () => {
    const fleet = await openFleet("sqlite");
    const server = await startServer(fleet);
    expect((await fleet.node("web-01", {}).run("acquire", "db/migrate", "--ttl", "1 h")).code).toBe(0);
    const { page } = await openPage();
    await page.goto(`${server.url}/`);
    await untilSign(page, "live");
    const words = await silence(page, "lost", () => server.cli.kill("SIGSTOP"));
    expect(words).toMatch(/not live since .*: the server cannot be reached; trying again/);
    await untilAgeOf(page, momentIn(words));
    server.cli.kill("SIGCONT");
    await untilSign(page, "live");
  });
});

test.skipIf(!isHere)("the stream tells that the store is silent, and of its return; also to those who come meanwhile", async () => {
  const zookeeper = await startZooKeeper();
  onTestFinished(() => zookeeper.close());
  const fleet = await openFleet("sqlite");
  const { url } = await startServer(fleet, "server", { coordinator: `zookeeper://${zookeeper.address}/holdline` });
  const reader = async () => {
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    const { body } = await fetch(`${url}/v1/events`, { signal: leaving.signal });
    const blocks = (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    return async (expected: RegExp): Promise<void> => {
      while (!expected.test(text)) text += (await blocks.read()).value ?? "";
      text = "";
    };
  };
  const told = await reader();
  await told(/event: locks\n/);
  await zookeeper.freeze();
  await told(/event: store\ndata: {"silentSince":"[-\d]+T[:.\d]+Z"}\n/);
  const late = await reader();
  await late(/event: locks\n[^]*event: store\ndata: {"silentSince":"/);
  zookeeper.thaw();
  for (const each of [told, late]) await each(/event: store\ndata: {"silentSince":null}\n/);
});
