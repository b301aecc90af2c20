// How the benchmark runs its workloads: each with every peer in turn, in a process of its own, as often and as large as the scale says.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { median } from "./processes.js";
import { say } from "./table.js";

export interface Scale {
  /** How often each workload runs with each peer, in turn. Ratios are taken within a turn, and the middle one counts. */
  readonly rounds: number;
  readonly processRounds: number;
  /** Numbers of sessions that pass one lock around. */
  readonly sessions: readonly number[];
  readonly line: number;
  readonly shortLine: number;
  /** Numbers of claims. The first is what the others are compared with. */
  readonly fleets: readonly [number, ...number[]];
  readonly processes: number;
  /** How long a waiting process is left alone before its memory is read. */
  readonly settleMs: number;
  /** Sizes within a workload that differ from the driver's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** What all workloads run on. */
export interface Ground {
  readonly scale: Scale;
  /** ZooKeeper's address. */
  readonly address: string;
  /** For databases and everything else that is written. The end of the benchmark removes it. */
  readonly folder: string;
}

export type Round<F> = ReadonlyMap<string, F>;

const driver = fileURLToPath(new URL("./driver.js", import.meta.url));

/** Runs a workload with each of the peers in turn, and again; prints each line as it comes. */
export async function inTurn<F>(ground: Ground, peers: readonly string[], workload: readonly string[]): Promise<Round<F>[]> {
  say(workload.join(" "));
  const rounds: Round<F>[] = [];
  for (let round = 0; round < ground.scale.rounds; round += 1) {
    const figures = new Map<string, F>();
    for (const peer of peers) figures.set(peer, JSON.parse(await drive(ground, peer, workload)) as F);
    rounds.push(figures);
  }
  return rounds;
}

/** One run of the driver; gives the line that it prints, after printing it. */
export async function drive({ address, folder, scale }: Ground, peer: string, workload: readonly string[]): Promise<string> {
  // Each peer has a database of its own, so that none finds another's leftovers.
  const places = { ZK: address, SQLITE: `${folder}/${peer}.db` };
  const child = spawn(process.execPath, [driver, ...workload], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...scale.env, ...places, PEER: peer },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${peer} ${workload.join(" ")} ended with ${code ?? "a signal"}`);
  process.stdout.write(output);
  return output;
}

export function ratioOf<F>(rounds: readonly Round<F>[], peer: string, other: string, figure: (figures: F) => number): number {
  return median(rounds.map((round) => figure(round.get(peer) as F) / figure(round.get(other) as F)));
}

export function medianOf<F>(rounds: readonly Round<F>[], peer: string, figure: (figures: F) => number): number {
  return median(rounds.map((round) => figure(round.get(peer) as F)));
}
