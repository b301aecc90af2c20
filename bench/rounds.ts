// How the benchmark runs its workloads: each with every peer in turn, a process each time, as often and as large as its scale says.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { median } from "./processes.js";
import { say } from "./table.js";

export interface Scale {
  /** Each workload is run so often with each peer, in turn; ratios are taken within a turn, and the middle one counts. */
  readonly rounds: number;
  readonly processRounds: number;
  /** Numbers of sessions that pass one lock around. */
  readonly sessions: readonly number[];
  readonly line: number;
  readonly shortLine: number;
  /** Numbers of claims; the others are compared with the first. */
  readonly fleets: readonly [number, ...number[]];
  readonly processes: number;
  /** A waiting process is left alone for so long before its memory is read. */
  readonly settleMs: number;
  /** Sizes within a workload, where they are not the driver's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** What every workload runs on. */
export interface Ground {
  readonly scale: Scale;
  /** Of the ZooKeeper. */
  readonly address: string;
  /** For databases and whatever else there is to write; it goes in the end. */
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
  // Each peer has a database of its own, so that none finds what another has left behind.
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
