// A prefix of a test's own on the run's etcd.
import { inject } from "vitest";
import { freshRoot } from "../../support/roots.js";

/** Call it where etcd is there: `inject("etcd").missing` says so. */
export function runServer(): { readonly host: string; readonly port: number } {
  const server = inject("etcd");
  if (server.missing !== null) throw new Error(server.missing);
  return server;
}

export function freshUrl(): string {
  const { host, port } = runServer();
  return `etcd://${host}:${port}${freshRoot()}`;
}
