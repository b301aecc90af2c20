// What there is to say of a table, for `check --live`: what it is, and what this user may not do there. Nothing is changed by asking.
import type { Examined, Finding } from "../../locks/store-report.js";
import { messageOf } from "../../locks/errors.js";
import { DynamoError } from "./errors.js";
import type { Replica } from "./replica.js";
import { LAYOUT } from "./snapshots.js";
import type { Table } from "./table.js";

/** Where the store is, for people. */
export interface Place {
  readonly table: string;
  /** The region, or the server's address. */
  readonly where: string;
  readonly prefix: string;
  /** The server that is asked. */
  readonly server: string;
}

export async function examineTable(place: Place, table: Table, replica: Replica): Promise<Examined> {
  await replica.catchUp();
  const { contents, manifest } = replica;
  return {
    kind: "dynamodb",
    // The service has none that it says.
    version: null,
    servers: [place.server],
    facts: {
      table: place.table,
      prefix: place.prefix,
      layout: LAYOUT,
      commits: contents.revision,
      commitsSinceSnapshot: contents.revision - (manifest?.n ?? 0),
      records: contents.archive.length,
    },
    findings: await forbidden(table),
  };
}

/** What this user may not do: asked by a read of nothing, a write whose condition cannot hold, and the removal of what is not there. */
async function forbidden(table: Table): Promise<readonly Finding[]> {
  const tries: readonly (() => Promise<unknown>)[] = [
    () => table.query("state", NOBODY, NOBODY, 1),
    () => table.put("state", NOBODY, {}, { exists: true }),
    () => table.delete("state", NOBODY),
  ];
  const findings = (await Promise.all(tries.map(findingOf))).flat();
  // A table that is not there is not there for all of them.
  return findings.filter(({ message }, index) => findings.findIndex((one) => one.message === message) === index);
}

const NOBODY = "nobody";

async function findingOf(attempt: () => Promise<unknown>): Promise<readonly Finding[]> {
  try {
    await attempt();
    return [];
  } catch (error) {
    // Where there is no table yet, the first run makes it.
    if (error instanceof DynamoError && error.type === "ResourceNotFoundException")
      return [{ severity: "warning", code: "unreachable", message: `${error.message} yet: the first run makes it`, hint: null }];
    if (!(error instanceof DynamoError) || error.code !== "not-allowed") throw error;
    return [{ severity: "error", code: error.code, message: messageOf(error), hint: error.hint }];
  }
}
