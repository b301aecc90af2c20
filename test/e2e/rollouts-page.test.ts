// docs/rollouts.md shows what its nodes show: its transcripts are run on a fleet with the actions of config/rollouts.yaml, whose
// commands and checks are stand-ins.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { failOnLeaks } from "../support/leaks.js";
import { openFleet } from "./fleet.js";
import { alike, installPrograms, shown, stepsUnder } from "./transcripts.js";

failOnLeaks();

type Sample = Readonly<Record<string, unknown>> & { readonly actions: Readonly<Record<string, Readonly<Record<string, unknown>>>> };

/** The sample, for machines that have neither nginx nor Prometheus, and no time. */
function configuration(): Sample {
  const sample = parse(readFileSync(join(import.meta.dirname, "../../config/rollouts.yaml"), "utf8")) as Sample;
  const quick = (action: Readonly<Record<string, unknown>>) => {
    const { needed, process, windows, blockers, ...rest } = action;
    expect([needed, process, windows, blockers]).not.toEqual([undefined, undefined, undefined, undefined, undefined]);
    const verify = { ...(action["verify"] as object), interval: "20 ms" };
    return { ...rest, verify, soak: 0, ...(rest["mode"] === "serialize_process" ? { mode: "serialize" } : {}) };
  };
  const actions = Object.fromEntries(Object.entries(sample.actions).map(([name, action]) => [name, quick(action)]));
  return { ...sample, acquire: { timeout: "0.2 s" }, notify: [], actions };
}

const PROGRAMS = {
  systemctl: `[ "$HOLDLINE_NODE" != web-03 ] || { echo 'nginx: [emerg] unknown directive "sevrer"' >&2; exit 1; }`,
  ...{ curl: ":", drain: ":", undrain: ":" },
};

test("docs/rollouts.md shows a rollout and a freeze as they are", async () => {
  const { directory, url } = await openFleet("sqlite");
  const config = join(directory, "holdline.yaml");
  writeFileSync(config, stringify({ ...configuration(), coordinator: url }), { mode: 0o600 });
  installPrograms(directory, PROGRAMS);
  const onNode = (node: string): string =>
    `export HOLDLINE_NODE=${node} HOLDLINE_PRINCIPAL=${node === "desk" ? "ann" : "root"}@${node} HOLDLINE_STATE_DIR='${directory}/${node}'`;
  const steps = ["How far are we", "Frozen over the sale"].flatMap((heading) => stepsUnder("rollouts.md", heading));
  expect(steps.length).toBeGreaterThan(2);
  const runs = [1, 2, 3, 4].map((number) => `${onNode(`web-0${number}`)}; holdline run restart-nginx -q >/dev/null 2>&1`);
  mkdirSync(join(directory, "desk"));
  const setUp = ({ at }: { readonly at: string }, index: number): string => [...(index === 0 ? runs : []), onNode(at)].join("\n");
  const env = { HOME: directory, HOLDLINE_CONFIG: config, HOLDLINE_LOG_FORMAT: "text" };
  let index = 0;
  const seen = shown(steps, directory, env, (step) => setUp(step, index++));
  expect(seen.map(alike)).toEqual(steps.map(alike));
});
