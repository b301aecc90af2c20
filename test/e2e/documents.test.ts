// What the documents show of a shell is what a shell shows: their transcripts are run with the built program, with the
// configuration that docs/settings.md has, and compared line by line but for ids, times and ages.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { startServer } from "../server/serving.js";
import { failOnLeaks } from "../support/leaks.js";
import { openFleet } from "./fleet.js";
import { alike, installPrograms, readPage, shown, type Step, stepsUnder } from "./transcripts.js";

failOnLeaks();

test.each([
  ["leases", [["Leases"]]],
  ["hosts and their history", [["Hosts"], ["Looking", "$ holdline history"]]],
  ["data", [["Data"]]],
] as const)("docs/commands.md shows %s as they are", async (_, sections) => {
  const { directory } = await openFleet("sqlite");
  const samples = [...readPage("settings.md").matchAll(/^```yaml\n(locks:[\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
  expect(samples).toHaveLength(1);
  const settings = parse(samples[0] as string) as object;
  const config = join(directory, "holdline.yaml");
  writeFileSync(config, JSON.stringify({ node: "web-07", principal: "ann@web-07", ...settings }));
  installPrograms(directory);
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
  const asked = steps.map(({ at, line, output }) => ({
    at,
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

  const page = readPage("commands.md");
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
    [
      ...new Set([
        ...Object.keys(whole),
        ...Object.keys(whole["owner"] as object),
        "type",
        "caller",
        "path",
        "name",
        "until",
        "drained",
      ]),
    ].toSorted(),
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
