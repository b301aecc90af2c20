// etcd as tests run it: one member, or three that are one cluster, each a process of its own.
import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../ports.js";
import { ServerProcess, startServers } from "../server-process.js";

/** Where Debian's package and Ubuntu's put it. */
export const ETCD_PROGRAM = "/usr/bin/etcd";

export interface EtcdMember {
  readonly host: string;
  readonly port: number;
  readonly process: ServerProcess;
}

export interface EtcdOptions {
  readonly members?: number;
  /** Command line options that all members get. */
  readonly options?: readonly string[];
  /** Clients have to speak TLS. */
  readonly isSecure?: boolean;
}

/** Starts a cluster. Its members know each other on the loopback device. */
export async function startEtcd({ members = 1, options = [], isSecure = false }: EtcdOptions = {}): Promise<EtcdCluster> {
  const ports = await freePorts(2 * members);
  const own = ports.slice(0, members);
  const peers = ports.slice(members).map((port) => `http://127.0.0.1:${port}`);
  const initial = peers.map((peer, index) => `m${index}=${peer}`).join(",");
  const started = await Promise.all(
    own.map(async (port, index): Promise<EtcdMember> => {
      const directory = await mkdtemp(join(tmpdir(), "holdline-etcd-"));
      const client = `${isSecure ? "https" : "http"}://127.0.0.1:${port}`;
      const peer = peers[index] as string;
      const argv = [
        ...[ETCD_PROGRAM, "--name", `m${index}`, "--data-dir", join(directory, "data")],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", initial],
        // Tests are many, and what they write is worth nothing.
        ...["--logger", "zap", "--log-level", "error", "--max-txn-ops", "128"],
        ...options,
      ];
      const plan = {
        name: `etcd at ${client}`,
        directory,
        prepare: () => Promise.resolve({ argv }),
        serves: () => listens(port),
      };
      return { host: "127.0.0.1", port, process: new ServerProcess(plan) };
    }),
  );
  const cluster = new EtcdCluster(started);
  await startServers(started.map((member) => member.process));
  return cluster;
}

export class EtcdCluster {
  constructor(readonly members: readonly EtcdMember[]) {}

  /** `host:port` of all members, with commas. */
  get address(): string {
    return this.members.map(({ host, port }) => `${host}:${port}`).join(",");
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.process.close()));
  }
}

/** A member listens when it has joined its cluster and has a leader. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
