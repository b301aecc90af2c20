// Pages as people meet them: Debian's Chromium without a screen. What a page complains of counts as a failure of the test.
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";

const EXECUTABLE = "/usr/bin/chromium";

const ARGS = ["--disable-dev-shm-usage", "--host-resolver-rules=MAP locks.example 127.0.0.1"];

/** A name for this machine that a browser trusts no more than any other, unlike localhost. */
export const PLAIN_HOST = "locks.example";

/** Why there is no browser to test with; `null` when there is one. */
export const WITHOUT_BROWSER = existsSync(EXECUTABLE) ? null : `there is no ${EXECUTABLE}; on Debian: apt-get install chromium`;

let browser: Browser | null = null;

/** Starts a browser for all tests of a file; it ends with the last of them. */
export function shareBrowser(): void {
  beforeAll(async () => {
    if (WITHOUT_BROWSER !== null) return;
    // Root, as which tests run on machines that are there for them, has no sandbox of Chromium's.
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    // What ends the tests ends the browser, without listeners of its own.
    const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
    browser = await chromium.launch({ executablePath: EXECUTABLE, args: [...args, ...ARGS], ...signals });
  });
  afterAll(async () => browser?.close());
}

export interface Opened {
  readonly page: Page;
  /** What scripts could not do, and what the page's policy has kept them from. */
  readonly complaints: readonly string[];
  /** The addresses that were asked. */
  readonly requests: readonly string[];
}

/** A browser with nothing in it, and no page yet; it ends with the test. */
export async function openPage(options: BrowserContextOptions = {}): Promise<Opened> {
  if (browser === null) throw new Error("shareBrowser() comes first");
  const context = await browser.newContext(options);
  const page = await context.newPage();
  onTestFinished(() => context.close());
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => requests.push(request.url()));
  const content = "document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective))";
  await page.addInitScript({ content });
  return { page, complaints, requests };
}
