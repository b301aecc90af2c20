// A member as the URL names it: where it listens, and how it is to be trusted.
import type { ConnectionOptions } from "node:tls";
import { secureOptions, type SecurityFiles } from "../../../secure-connection.js";
import { addressOf, type ServerName } from "../../../store-url.js";

const DEFAULT_PORT = 2379;

export interface Endpoint {
  /** `host:port`, for people. */
  readonly name: string;
  readonly origin: string;
  readonly isSecure: boolean;
  /** Read anew for each connection; empty without TLS. */
  tls(): ConnectionOptions;
}

/** @param files `null` without TLS */
export function createEndpoint(server: ServerName, files: SecurityFiles | null): Endpoint {
  const name = addressOf(server, DEFAULT_PORT);
  return {
    name,
    origin: `${files === null ? "http" : "https"}://${name}`,
    isSecure: files !== null,
    tls: () => (files === null ? {} : secureOptions(files, server.host)),
  };
}
