// A root of a test's own in a table on dynalite, for the conformance suite and for this store's own tests.
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import type { Step } from "../../../src/queue/store.js";
import { TEST_OPTIONS } from "../../../src/conformance/drafts.js";
import { decode, type LogEntry } from "../../../src/stores/dynamodb/codec.js";
import { openDynamo, openDynamoStore, openParts } from "../../../src/stores/dynamodb/index.js";
import { bodyOf, DYNAMO_PROTOCOL } from "../../support/http-framer.js";
import type { Target } from "../../support/framed-proxy.js";
import { freshId } from "../../support/roots.js";
import { DYNAMO_CREDENTIALS } from "../../support/servers/dynamodb.js";
import { type NetworkPlace, operationOf } from "../network/test-store.js";

Object.assign(process.env, DYNAMO_CREDENTIALS);

export function freshPlace({ host, port }: Target): NetworkPlace<string, never> {
  const prefix = `t-${freshId()}`;
  const urlAt = (address: string): string => `dynamodb://holdline-tests?endpoint=http://${address}&prefix=${prefix}`;
  return {
    protocol: DYNAMO_PROTOCOL,
    servers: [{ host, port }],
    kind: { coordinator: "stores/dynamodb", opener: "openDynamo" },
    urlAt,
    open: openDynamo,
    openStore: openDynamoStore,
    matching: (operation, claim) => ({
      operation: "PutItem",
      where: (frame) => {
        const found = operationOf(stepsIn(frame));
        return found?.operation === operation && found.claim === claim;
      },
    }),
    expireSession: (id) => expireSession(urlAt(`${host}:${port}`), id),
  };
}

/** The steps that a request is to write to the log; none where it is about something else. */
export function stepsIn(frame: Buffer): readonly Step[] {
  const { Item } = JSON.parse(bodyOf(frame)) as { readonly Item?: { readonly entry?: { readonly B: string } } };
  if (Item?.entry === undefined) return [];
  const entry = decode(Buffer.from(Item.entry.B, "base64")) as LogEntry;
  return "do" in entry ? [] : entry;
}

/** Ends a session as one ends that has not been renewed for its whole timeout. */
export async function expireSession(url: string, id: string, options: CoordinatorOptions = TEST_OPTIONS): Promise<void> {
  const { table, replica, sessions, client } = await openParts(url, options);
  try {
    await replica.catchUp();
    for (let isMarked = false; !isMarked;) {
      const item = await table.get("sessions", id);
      isMarked = item?.["ended"] !== undefined || (await sessions.mark(id, item?.["counter"] as string));
    }
    await sessions.expire(id);
  } finally {
    client.close();
  }
}
