// `npm run chaos -- [--store NAME] [--minutes N] [--nodes N]`: a chaos campaign with its report. Exits 1 when anything was violated.
import { parseArgs } from "node:util";
import { campaign } from "./campaign.js";
import type { NemesisStore } from "./faults.js";

const STORES: Readonly<Record<string, () => Promise<{ readonly openNemesisStore: () => Promise<NemesisStore> }>>> = {
  zookeeper: () => import("./stores/zookeeper.js"),
  etcd: () => import("./stores/etcd.js"),
  postgresql: () => import("./stores/postgresql.js"),
  redis: () => import("./stores/redis.js"),
  mariadb: () => import("./stores/mariadb.js"),
  dynamodb: () => import("./stores/dynamodb.js"),
};

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "zookeeper" },
    minutes: { type: "string", default: "1" },
    nodes: { type: "string", default: "12" },
  },
});
const minutes = Number(values.minutes);
const nodes = Number(values.nodes);
const load = STORES[values.store];
if (load === undefined || !(minutes > 0) || !Number.isSafeInteger(nodes) || nodes < 4) {
  const names = Object.keys(STORES).join("|");
  process.stderr.write(`usage: npm run chaos -- [--store ${names}] [--minutes N] [--nodes N, at least 4]\n`);
  process.exit(64);
}
const { openNemesisStore } = await load();
const report = await campaign({ minutes, nodes, openStore: openNemesisStore });
const row = (name: string, value: string | number): string => `${name.padEnd(24)} ${value}\n`;
const counts = (of: Readonly<Record<string, number>>): string =>
  Object.entries(of)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
process.stdout.write(
  row("store", values.store) +
    row("minutes", report.minutes) +
    row(
      "faults injected",
      Object.values(report.faults).reduce((sum, count) => sum + count, 0),
    ) +
    row("", counts(report.faults)) +
    row("actions run", report.actionsRun) +
    row("exit codes", counts(report.exitCodes)) +
    row("longest time stuck", `${report.longestStuckMs} ms`) +
    row("violations", report.violations.length),
);
for (const reason of report.leftOut) process.stdout.write(row("left out", reason));
for (const violation of report.violations) process.stdout.write(`  ${violation}\n`);
if (report.evidence !== null) process.stdout.write(row("evidence", report.evidence));
process.exit(report.violations.length === 0 ? 0 : 1);
