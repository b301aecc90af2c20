// What the documents show of a shell is what a shell shows: their transcripts are run with the built program, with the
// configuration that docs/settings.md has, and compared line by line but for ids, times and ages.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { startServer } from "../server/serving.js";
import { failOnLeaks } from "../support/leaks.js";
import { openFleet, PROGRAM } from "./fleet.js";

failOnLeaks();

const read = (name: string): string => readFileSync(join(import.meta.dirname, "../../docs", name), "utf8");

interface Step {
  readonly line: string;
  readonly output: string;
}

/** The commands of a page's section that are shown with a `$`, each with what is shown below it. */
function stepsUnder(page: string, heading: string): Step[] {
  const section =
    read(page)
      .split(/^(?=## )/m)
      .find((part) => part.startsWith(`## ${heading}`)) ?? "";
  return [...section.matchAll(/^```(?:console)?\n(\$ [\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => ({ line: step.split("\n")[0] as string, output: step.slice(step.indexOf("\n") + 1) })),
  );
}

/** Runs all lines in one shell, as a person would, and gives what each has shown. */
function shown(steps: readonly Step[], folder: string, env: Readonly<Record<string, string>>): Step[] {
  const mark = "--- end of a step ---";
  const script = steps.map(({ line }) => `${line}\necho '${mark}'\n`).join("");
  const { stdout } = spawnSync("/bin/sh", ["-c", `exec 2>&1\n${script}`], {
    cwd: folder,
    env: { ...env, PATH: `${folder}/bin:${process.env["PATH"] ?? ""}` },
    encoding: "utf8",
    timeout: 60_000,
  });
  const outputs = stdout.split(`${mark}\n`);
  return steps.map(({ line }, index) => ({ line, output: outputs[index] ?? "" }));
}

/** The same for ids, times and ages that differ, and for columns that are as wide as these. */
function alike({ line, output }: Step): Step {
  const words = output
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/\d\d:\d\d UTC/g, "TIME")
    .replace(/(?:[\d.]+ (?:ms|s|min|h|d)\b ?)+(ago|left)/g, "AGE $1")
    .replace(/just now/g, "AGE ago")
    .replace(/ {2,}(?=\S)/g, "  ")
    .replace(/ [\d.]+ m?s /g, " AGE ")
    .replace(/ +$/gm, "");
  return { line, output: words };
}

test.each([
  ["leases", [["Leases"]]],
  ["hosts and their history", [["Hosts"], ["Looking", "$ holdline history"]]],
  ["data", [["Data"]]],
] as const)("docs/commands.md shows %s as they are", async (_, sections) => {
  const { directory } = await openFleet("sqlite");
  const samples = [...read("settings.md").matchAll(/^```yaml\n(locks:[\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
  expect(samples).toHaveLength(1);
  const settings = parse(samples[0] as string) as object;
  const [config, bin] = [join(directory, "holdline.yaml"), join(directory, "bin")];
  writeFileSync(config, JSON.stringify({ node: "web-07", principal: "ann@web-07", ...settings }));
  mkdirSync(bin);
  writeFileSync(join(bin, "holdline"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  chmodSync(join(bin, "holdline"), 0o755);
  const steps = sections.flatMap(([heading, only = "$ "]) =>
    stepsUnder("commands.md", heading).filter(({ line }) => `$ ${line}`.startsWith(only)),
  );
  expect(steps.length).toBeGreaterThan(3);
  const env = {
    HOME: directory,
    HOLDLINE_CONFIG: config,
    HOLDLINE_STATE_DIR: join(directory, "state"),
    HOLDLINE_LOG_FORMAT: "text",
  };
  expect(shown(steps, directory, env).map(alike)).toEqual(steps.map(alike));
});

test("docs/server.md shows what Locker's clients are answered", async () => {
  const serving = await startServer(await openFleet("sqlite"));
  const steps = stepsUnder("server.md", "For Locker's clients");
  expect(steps.length).toBeGreaterThan(3);
  const asked = steps.map(({ line, output }) => ({
    line: line.replace("curl", "curl -s").replace("http://localhost:3000", serving.url),
    output,
  }));
  const ends = ({ output }: Step): string => output.trimEnd();
  expect(shown(asked, serving.node.directory, {}).map(ends)).toEqual(steps.map(ends));
});

test("docs/commands.md names every key of what --json prints", async () => {
  const fleet = await openFleet("sqlite");
  const node = fleet.node("web-07", { ok: { command: ["true"] }, bad: { command: ["false"] } });
  const documents = new Map<string, unknown>();
  const ask = async (command: string, ...args: readonly string[]): Promise<unknown> => {
    const { stdout } = await node.run(command, ...args, "--json");
    if (!documents.has(command)) documents.set(command, JSON.parse(stdout));
    return JSON.parse(stdout);
  };
  await ask("run", "bad");
  await ask("resume");
  await ask("locks");
  await ask("clear", "bad", "--reason", "r");
  await ask("history");
  const { claim } = (await ask("acquire", "l")) as { readonly claim: { readonly id: string } };
  const refused = await ask("acquire", "l");
  await ask("renew", "l", claim.id);
  await ask("current", "l");
  await ask("is-held", "l", claim.id);
  await ask("data", "l", claim.id, "--set", "a=1");
  await ask("release", "l", claim.id);
  const { id } = (await ask("lock", "h")) as { readonly id: string };
  for (const command of ["status", "test", "deps"]) await ask(command, "h");
  await ask("unlock", id);

  const page = read("commands.md");
  const rows = [...page.matchAll(/^\| ([a-z`, ·-]+) \| (`\{.*) \|$/gm)];
  const shown = new Map<string, string[]>();
  for (const [, commands = "", document = ""] of rows) {
    // One row may have several commands: with one document for all of them, or with one for each.
    const texts = document.split(" · ");
    for (const [index, command] of commands.split(/, | · /).entries())
      shown.set(command.replaceAll("`", ""), namesIn(texts[commands.includes("·") ? index : 0] ?? ""));
  }
  for (const [command, document] of documents) expect([command, shown.get(command)]).toEqual([command, keysOf(document)]);
  expect(keysOf(refused)).toEqual(["code", "error", "hint", "holders", "message"]);
  const described = /^A claim is\s+`(.*?)`/m.exec(page)?.[1] ?? "";
  const { lock, ...whole } = claim as object as Record<string, unknown>;
  expect(lock).toBe("l");
  expect(namesIn(described)).toEqual(
    [...new Set([...Object.keys(whole), ...Object.keys(whole["owner"] as object), "type", "caller", "path"])].toSorted(),
  );
});

function namesIn(text: string): string[] {
  return [...new Set([...text.matchAll(/"([A-Za-z]+)"/g)].map(([, name = ""]) => name))].toSorted();
}

/** The keys of a document, without those of claims, owners, leases, failures and data in it. */
function keysOf(value: unknown): string[] {
  const keys = new Set<string>();
  const visit = (inner: unknown): void => {
    if (Array.isArray(inner)) inner.forEach(visit);
    else if (typeof inner === "object" && inner !== null && !("condition" in inner)) {
      for (const [key, deeper] of Object.entries(inner)) {
        keys.add(key);
        if (!["owner", "lease", "failure", "data"].includes(key)) visit(deeper);
      }
    }
  };
  visit(value);
  return [...keys].toSorted();
}
