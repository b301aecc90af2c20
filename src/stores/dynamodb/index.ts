// Opening a DynamoDB table as a coordinator: the queue engine over the DynamoDB store, put together from its parts.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { HoldlineError } from "../../locks/errors.js";
import { openEngine, type QueueEngine } from "../../queue/engine.js";
import { DynamoClient } from "./client.js";
import { StoreClock } from "./clock.js";
import { findCredentials, findRegion } from "./credentials/index.js";
import { Replica } from "./replica.js";
import { Sessions } from "./sessions.js";
import { Snapshots } from "./snapshots.js";
import { DynamoStore, type StoreParts } from "./store.js";
import { Table } from "./table.js";
import { type DynamoAddress, parseDynamoUrl } from "./url.js";
import { Writer } from "./writer.js";

/**
 * Opens a store in a table, and makes the table where there is none.
 * @param url see url.ts
 * @throws UnreachableError when the service does not answer within the connect timeout
 */
export async function openDynamo(url: string, options: CoordinatorOptions): Promise<QueueEngine> {
  return openEngine(await openDynamoStore(url, options), options);
}

/** The store itself, without the engine. */
export async function openDynamoStore(url: string, options: CoordinatorOptions): Promise<DynamoStore> {
  return new DynamoStore(await openParts(url, options));
}

/** What the store is put together from. Nothing is asked of the service yet. */
export async function openParts(url: string, { sleepTimeMs, log }: CoordinatorOptions): Promise<StoreParts> {
  const address = parseDynamoUrl(url);
  const region = await regionOf(address);
  const endpoint = address.endpoint ?? new URL(`https://dynamodb.${region}.${domainOf(region)}`);
  const clock = new StoreClock();
  const credentials = findCredentials(process.env, region);
  const client = new DynamoClient({ endpoint, region, table: address.table, ca: address.ca, credentials, clock });
  const table = new Table(client, address.table, address.prefix);
  const snapshots = new Snapshots(table);
  const replica = new Replica(table, snapshots);
  const writer = new Writer({ replica, snapshots, clock, log });
  const sessions = new Sessions(table, replica, writer);
  writer.onSnapshot = () => sessions.sweep();
  const where = address.endpoint === null ? region : endpoint.host;
  const place = { table: address.table, where, prefix: address.prefix, server: endpoint.host };
  return { place, client, table, replica, writer, sessions, clock, sleepTimeMs, log };
}

async function regionOf({ region, endpoint }: DynamoAddress): Promise<string> {
  const found = region ?? (await findRegion(process.env));
  if (found !== null) return found;
  // Somebody else's server has no regions, and signatures have to name one.
  if (endpoint !== null) return "us-east-1";
  throw new HoldlineError("configuration", "it is not known in which AWS region the DynamoDB table is", {
    hint: "name it in the URL, such as dynamodb://holdline?region=eu-central-1, or set AWS_REGION",
  });
}

function domainOf(region: string): string {
  return region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}
