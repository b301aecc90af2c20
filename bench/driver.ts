// Runs one workload with one peer against the ZooKeeper that $ZK names, and prints one line of JSON, in the form that
// drivers for other lock libraries print as well. See usage() for what it takes.
import { bare, threeWrites, twoWrites } from "./bare.js";
import { holdline, holdlineDurable } from "./holdline.js";
import { alone, handOffs, line, type Sizes } from "./workloads.js";

const PEERS = [holdline, holdlineDurable, bare, twoWrites, threeWrites];

const USAGE = `usage: ZK=host:port node bench/driver w1 | w2 CLIENTS | w4 CLIENTS
  w1  one session: acquire and release ($ITER rounds, 2000, after $WARM, 1000)
  w2  CLIENTS sessions on one lock ($ACQ acquisitions, 1000, after $W2_WARM, 500)
  w4  CLIENTS sessions queued behind a holder, which pass through
  $PEER: ${PEERS.map(({ name }) => name).join(", ")} (holdline)
`;

process.exitCode = await drive(process.argv.slice(2));

async function drive(given: readonly string[]): Promise<number> {
  const address = process.env["ZK"];
  const peer = PEERS.find(({ name }) => name === (process.env["PEER"] ?? "holdline"));
  const [workload, clientsText] = given;
  const clients = Number(clientsText);
  const measure = peer === undefined || address === undefined ? null : workloadOf(workload, clients);
  if (peer === undefined || address === undefined || measure === null) {
    process.stderr.write(USAGE);
    return 64;
  }
  process.stdout.write(`${JSON.stringify(await measure(peer, address))}\n`);
  return 0;
}

type Measure = (peer: (typeof PEERS)[number], address: string) => Promise<object>;

function workloadOf(name: string | undefined, clients: number): Measure | null {
  if (name === "w1") return (peer, address) => alone(peer, address, sizes());
  if (!Number.isSafeInteger(clients) || clients < 1) return null;
  if (name === "w2") return (peer, address) => handOffs(peer, address, clients, sizes());
  if (name === "w4") return (peer, address) => line(peer, address, clients);
  return null;
}

function sizes(): Sizes {
  return {
    iterations: size("ITER", 2000),
    warmUp: size("WARM", 1000),
    acquisitions: size("ACQ", 1000),
    handOffWarmUp: size("W2_WARM", 500),
  };
}

function size(variable: string, usual: number): number {
  const value = Number(process.env[variable] ?? usual);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`$${variable} must be a whole number`);
  return value;
}
