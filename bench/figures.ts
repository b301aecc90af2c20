// The instruments of the workloads: times and their middle, the server's packets, memory, and a guard against two holders.
import { fourLetter, type ServerAddress } from "../test/support/zookeeper-server.js";

/** Fails when two hold a lock at once: the figures of such a lock are worth nothing. */
export function createGuard(): { enter(): void; leave(): void } {
  let holders = 0;
  return {
    enter: () => {
      holders += 1;
      if (holders > 1) throw new Error(`${holders} held the lock at once`);
    },
    leave: () => {
      holders -= 1;
    },
  };
}

interface Packets {
  readonly received: number;
  readonly sent: number;
}

export async function countPackets(address: string, work: () => Promise<void>): Promise<Packets> {
  const before = await packetsOf(address);
  await work();
  const after = await packetsOf(address);
  return { received: after.received - before.received, sent: after.sent - before.sent };
}

async function packetsOf(address: string): Promise<Packets> {
  const answer = await fourLetter(parseAddress(address), "srvr");
  const figure = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(answer)?.[1]);
  return { received: figure("Received"), sent: figure("Sent") };
}

function parseAddress(address: string): ServerAddress {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

/** A new name for each run, so that leftovers of an earlier run do not matter. */
export function lockName(workload: string): string {
  return `${workload}-${process.pid}-${Date.now()}`;
}

export function per({ received, sent }: Packets, count: number): { recv_per: number; sent_per: number } {
  return { recv_per: rounded(received / count, 2), sent_per: rounded(sent / count, 2) };
}

/** Of times in milliseconds. */
export function timeFigures(times: readonly number[]): { p50_us: number; p99_us: number; mean_us: number } {
  const { p50, p99, mean } = summary(times);
  return { p50_us: p50, p99_us: p99, mean_us: mean };
}

/** Of times in milliseconds. */
export function gapFigures(gaps: readonly number[]): { gap_p50_us: number; gap_p99_us: number; gap_mean_us: number } {
  const { p50, p99, mean } = summary(gaps);
  return { gap_p50_us: p50, gap_p99_us: p99, gap_mean_us: mean };
}

/** Times in milliseconds as whole microseconds. */
function summary(times: readonly number[]): { p50: number; p99: number; mean: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  const mean = sorted.reduce((sum, time) => sum + time, 0) / sorted.length;
  return { p50: micros(at(0.5)), p99: micros(at(0.99)), mean: micros(mean) };
}

export function micros(ms: number): number {
  return Math.round(ms * 1_000);
}

export function perSecond(count: number, ms: number): number {
  return rounded(count / (ms / 1_000), 1);
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Of this process so far, in KiB. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS;
}
