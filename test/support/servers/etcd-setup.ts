// Before the first test that needs etcd: one member for the whole run, which tests get with `inject("etcd")`. After the last: its end.
import { existsSync } from "node:fs";
import { ETCD_PROGRAM, startEtcd } from "./etcd.js";
import { type RunServer, setupOf } from "./run-server.js";

declare module "vitest" {
  export interface ProvidedContext {
    readonly etcd: RunServer<{ readonly host: string; readonly port: number }>;
  }
}

export default setupOf("etcd", async () => {
  if (!existsSync(ETCD_PROGRAM)) return "the program etcd is not there (Debian's package is etcd-server)";
  const cluster = await startEtcd();
  const [member] = cluster.members;
  if (member === undefined) throw new Error("a cluster has members");
  return { details: { host: member.host, port: member.port }, close: () => cluster.close() };
});
