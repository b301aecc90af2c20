// etcd, beside a key that comes and goes, and the lock of its command line. The npm package etcd3 is left out: it cannot be installed
// without scripts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { parseEtcdUrl } from "../../src/stores/etcd/url.js";
import { Links } from "../../src/stores/etcd/wire/links.js";
import { Wire } from "../../src/stores/etcd/wire/wire.js";
import { ETCD_PROTOCOL } from "../../test/stores/etcd/framer.js";
import { ETCD_PROGRAM, startEtcd } from "../../test/support/servers/etcd.js";
import { SILENT } from "../holdline.js";
import type { Member } from "../peer.js";
import { type BenchStore, roadTo } from "./store.js";

const ETCDCTL = "/usr/bin/etcdctl";

const urlAt = (address: string): string => `etcd://${address}/bench`;

export const store: BenchStore = {
  title: "etcd",
  aims: { alone: 1.5, handOffMs: 2 },
  async start() {
    if (!existsSync(ETCD_PROGRAM)) return `${ETCD_PROGRAM} is not there`;
    const cluster = await startEtcd();
    const { address, members } = cluster;
    return {
      url: urlAt(address),
      at: address,
      openRoad: roadTo(ETCD_PROTOCOL, members, urlAt, opensStream),
      close: () => cluster.close(),
    };
  },
  floor: openBare,
  rivals: existsSync(ETCDCTL) ? { "etcdctl lock": { isToBeat: true, open: openEtcdctl } } : {},
};

// Where a frame of HTTP/2 says what it is, and what it is when a request begins.
const [TYPE_AT, HEADERS] = [3, 1];

function opensStream(frame: Buffer): boolean {
  return frame[TYPE_AT] === HEADERS;
}

async function openBare(at: string): Promise<Member> {
  const { endpoints } = parseEtcdUrl(urlAt(at));
  const links = new Links({ endpoints, credentials: null, connectTimeoutMs: 10_000, sessionTimeoutMs: 30_000, log: SILENT });
  const wire = new Wire(links);
  return {
    acquire: async (lock) => {
      const key = `/bare/${lock}`;
      await wire.transact({ compares: [], success: [{ put: { key, value: "bare" } }] });
      return async () => void (await wire.transact({ compares: [], success: [{ remove: { key } }] }));
    },
    close: async () => links.close(),
  };
}

/** A process for each turn, which says the key of its claim once it has the lock, and gives it back when it is interrupted. */
async function openEtcdctl(at: string): Promise<Member> {
  return {
    acquire: async (lock) => {
      const env = { ...process.env, ETCDCTL_API: "3" };
      const child = spawn(ETCDCTL, ["--endpoints", at, "lock", lock], { env, stdio: ["ignore", "pipe", "inherit"] });
      const ended = once(child, "exit");
      await Promise.race([once(child.stdout, "data"), ended.then(() => Promise.reject(new Error("etcdctl has ended")))]);
      return async () => {
        child.kill("SIGINT");
        await ended;
      };
    },
    close: async () => undefined,
  };
}
