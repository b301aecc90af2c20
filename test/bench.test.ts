// The benchmark's driver does its work and prints its lines in the form in which they are compared with other libraries'.
// What it measures is not looked at here.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, inject, it } from "vitest";

const driver = new URL("../bench/driver", import.meta.url).pathname;
const { host, port } = inject("zookeeper");
const SMALL = { ITER: "5", WARM: "2", ACQ: "12", W2_WARM: "6", S2_MS: "500" };
const folder = mkdtempSync(join(tmpdir(), "holdline-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

function drive(peer: string, ...workload: string[]): Promise<unknown> {
  return driveWith({}, peer, ...workload);
}

async function driveWith(sizes: Readonly<Record<string, string>>, peer: string, ...workload: string[]): Promise<unknown> {
  const env = { ...process.env, ...SMALL, ...sizes, ZK: `${host}:${port}`, SQLITE: join(folder, `${peer}.db`), PEER: peer };
  const { stdout } = await promisify(execFile)(process.execPath, [driver, ...workload], { env });
  expect(stdout.trim().split("\n")).toHaveLength(1);
  return JSON.parse(stdout);
}

const W1 = ["peer", "w", "n", "p50_us", "p99_us", "mean_us", "recv_per", "sent_per", "rss_kb"];
const GAPS = ["gap_p50_us", "gap_p99_us", "gap_mean_us", "recv_per", "sent_per", "rss_kb"];
const W2 = ["peer", "w", "clients", "n", "acq_per_s", ...GAPS];
const W4 = ["peer", "w", "clients", "n", "queue_ms", "drain_ms", "acq_per_s", ...GAPS];
const W5 = ["peer", "w", "claims", "locks", "n", "queue_ms", "drain_ms", "each_us", "recv_per", "sent_per", "rss_kb"];
const S1 = ["peer", "w", "n", "p50_us", "p99_us", "mean_us", "rss_kb"];
const S2 = ["peer", "w", "processes", "n", "acq_per_s", "slowest_n", "slowest_share", "longest_wait_ms"];

function expectFigures(figures: unknown, names: readonly string[], said: object): void {
  expect(figures).toMatchObject(said);
  expect(Object.keys(figures as object)).toEqual(names);
  expect(Object.values(figures as object).filter((value) => value === null || Number.isNaN(value))).toEqual([]);
}

describe.each(["holdline", "holdline-durable", "bare"])("the benchmark's driver with %s", (peer) => {
  it.each([
    { workload: ["w1"], names: W1, said: { peer, w: "w1", n: 5 } },
    { workload: ["w2", "3"], names: W2, said: { peer, w: "w2", clients: 3, n: 12 } },
    { workload: ["w4", "4"], names: W4, said: { peer, w: "w4", clients: 4, n: 4 } },
    { workload: ["w5", "12", "3"], names: W5, said: { peer, w: "w5", claims: 12, locks: 3, n: 12 } },
  ])("prints $names for $workload", async ({ workload, names, said }) => {
    expectFigures(await drive(peer, ...workload), names, said);
  });
});

describe("the benchmark's driver on SQLite", () => {
  it.each(["holdline-sqlite", "holdline-sqlite-durable", "bare-sqlite", "bare-sqlite-durable"])(
    "prints what one process takes with %s",
    async (peer) => {
      expectFigures(await drive(peer, "s1"), S1, { peer, w: "s1", n: 5 });
    },
  );

  it.each(["holdline-sqlite", "holdline-sqlite-durable"])("prints what several processes get with %s", async (peer) => {
    expectFigures(await drive(peer, "s2", "3"), S2, { peer, w: "s2", processes: 3 });
  });
});

it("the benchmark's driver cuts off a fleet that takes too long", async () => {
  const late = { W5_MS: "0" };
  expect(await driveWith(late, "holdline", "w5", "40")).toMatchObject({ w: "w5", claims: 40 });
});

it("the benchmark's driver says how it is used", async () => {
  await expect(drive("holdline", "w3")).rejects.toMatchObject({ code: 64, stderr: expect.stringContaining("usage: ") as string });
});

it("the stores are measured side by side", async () => {
  const { stdout } = await promisify(execFile)("node", ["scripts/bench.mjs", "stores", "sqlite", "--quick"]);
  const figures = stdout.split("\n").map((line) => line.split(/ {2,}/));
  expect(figures.map(([figure]) => figure)).toEqual(
    expect.arrayContaining(["SQLite, acquire + release / two bare writes", "SQLite, exec x -- true / on ZooKeeper"]),
  );
  expect(stdout).not.toContain("NaN");
});
