// dynamodb://TABLE?region=…&endpoint=…&prefix=…&ca=…: which table, where, and what in it is Holdline's.
import { parseStoreUrl } from "../../store-url.js";

export interface DynamoAddress {
  readonly table: string;
  /** `null`: as the environment or the profile says. */
  readonly region: string | null;
  /** Where another server than the region's own is asked. */
  readonly endpoint: URL | null;
  /** What the keys of all items begin with, so that several roots can share a table. */
  readonly prefix: string;
  /** The file with the authorities that the server is trusted by; undefined: the system's. */
  readonly ca: string | undefined;
}

/** @param url one that src/coordinators/schemes/dynamodb.ts has found right */
export function parseDynamoUrl(url: string): DynamoAddress {
  const { servers, params } = parseStoreUrl(url);
  const endpoint = params.get("endpoint");
  return {
    table: (servers[0] as { host: string }).host,
    region: params.get("region") ?? null,
    endpoint: endpoint === undefined ? null : new URL(endpoint),
    prefix: params.get("prefix") ?? "holdline",
    ca: params.get("ca"),
  };
}
