// The benchmark's driver does its work and prints its lines in the form in which they are compared with other libraries'.
// What it measures is not looked at here.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";

const driver = new URL("../bench/driver", import.meta.url).pathname;
const { host, port } = inject("zookeeper");
const SMALL = { ITER: "5", WARM: "2", ACQ: "12", W2_WARM: "6" };

async function drive(peer: string, ...workload: string[]): Promise<unknown> {
  const env = { ...process.env, ...SMALL, ZK: `${host}:${port}`, PEER: peer };
  const { stdout } = await promisify(execFile)(process.execPath, [driver, ...workload], { env });
  expect(stdout.trim().split("\n")).toHaveLength(1);
  return JSON.parse(stdout);
}

const W1 = ["peer", "w", "n", "p50_us", "p99_us", "mean_us", "recv_per", "sent_per", "rss_kb"];
const GAPS = ["gap_p50_us", "gap_p99_us", "gap_mean_us", "recv_per", "sent_per", "rss_kb"];
const W2 = ["peer", "w", "clients", "n", "acq_per_s", ...GAPS];
const W4 = ["peer", "w", "clients", "n", "queue_ms", "drain_ms", "acq_per_s", ...GAPS];

describe.each(["holdline", "holdline-durable", "bare"])("the benchmark's driver with %s", (peer) => {
  it.each([
    { workload: ["w1"], names: W1, said: { peer, w: "w1", n: 5 } },
    { workload: ["w2", "3"], names: W2, said: { peer, w: "w2", clients: 3, n: 12 } },
    { workload: ["w4", "4"], names: W4, said: { peer, w: "w4", clients: 4, n: 4 } },
  ])("prints $names for $workload", async ({ workload, names, said }) => {
    const figures = await drive(peer, ...workload);
    expect(figures).toMatchObject(said);
    expect(Object.keys(figures as object)).toEqual(names);
    expect(Object.values(figures as object).filter((value) => value === null || Number.isNaN(value))).toEqual([]);
  });
});

it("the benchmark's driver says how it is used", async () => {
  await expect(drive("holdline", "w3")).rejects.toMatchObject({ code: 64, stderr: expect.stringContaining("usage: ") as string });
});
