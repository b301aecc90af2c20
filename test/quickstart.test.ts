// `npm start` without arguments, as a newcomer runs it: it shows what it promises and leaves nothing behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const start = new URL("../scripts/start.mjs", import.meta.url).pathname;

describe("npm start", () => {
  let temporary: string;

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), "holdline-start-"));
  });

  afterEach(() => rmSync(temporary, { recursive: true, force: true }));

  /** Starts it; `onOutput` sees all that it has printed so far. */
  async function run(onOutput: (output: string, interrupt: (signal: NodeJS.Signals) => void) => void = () => undefined) {
    const child = spawn(process.execPath, [start], {
      env: { ...process.env, TMPDIR: temporary, HOLDLINE_NODE: "vm", HOLDLINE_PRINCIPAL: "root@vm" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        onOutput(output, (signal) => child.kill(signal));
      });
    }
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output, services: [...output.matchAll(/hello runs as process (\d+)/g)].map(([, pid]) => Number(pid)) };
  }

  function expectNothingLeft(services: readonly number[]): void {
    expect(readdirSync(temporary)).toEqual([]);
    expect(services.filter(isHello)).toEqual([]);
  }

  it("restarts a service under its lock, shows a failure that keeps it, and tells the history", async () => {
    const { code, output, services } = await run();
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(services.length).toBeGreaterThan(1);
    expect(new Set(services).size).toBe(services.length);
    expect(output).toContain("$ holdline run restart-hello");
    expect(output).toContain("$ holdline history");
    expect(output).toMatch(/FAILED/);
    // That the restarted service goes on is the point of it, and nothing to remark on.
    expect(output).not.toContain("process groups of their own");
    expect(alike(output)).toEqual(expect.arrayContaining(readmeTranscript()));
    expectNothingLeft(services);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("ended by %s it leaves nothing behind either", async (signal) => {
    let interrupted = false;
    const { code, services } = await run((output, interrupt) => {
      if (interrupted || !output.includes("$ holdline run restart-hello")) return;
      interrupted = true;
      interrupt(signal);
    });
    expect(code).toBe(signal === "SIGINT" ? 130 : 143);
    expect(services.length).toBeGreaterThan(0);
    expectNothingLeft(services);
  });
});

/** What README.md shows of it, without the lines that say that something is left out. */
function readmeTranscript(): string[] {
  const section = /^## See it work$[\s\S]*?^```\n( *\$ [\s\S]*?)^```$/m.exec(
    readFileSync(new URL("../README.md", import.meta.url), "utf8"),
  );
  const lines = alike(section?.[1] ?? "").filter((line) => line !== "…");
  expect(lines.length).toBeGreaterThan(8);
  return lines;
}

/** The lines of a text, the same for times, counts, ids and folders that differ. */
function alike(text: string): string[] {
  return text
    .replace(/[\d.]+ (?:ms|s)\b(?: ago)?|just now/g, "AGE")
    .replace(/tried \d+ times/g, "tried N times")
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "ID")
    .replace(/\S*\/holdline-quickstart-\S*?\//g, "FOLDER/")
    .replace(/ {2,}(?=\S)/g, "  ")
    .split("\n")
    .map((line) => line.trimEnd());
}

/** Whether that process is still the service: its number may be another's by now. */
function isHello(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("quickstart-service");
  } catch {
    return false;
  }
}
