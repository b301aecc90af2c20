// The table as Holdline uses it: which items there are, and the four requests that are asked of it. Every read is a consistent one, and
// every write that others could make too has a condition.
import { setTimeout as pause } from "node:timers/promises";
import type { DynamoClient } from "./client.js";
import { DynamoError } from "./errors.js";

/** An attribute: a text, a number, or bytes. */
export type Value = string | number | Buffer;
/** An item's attributes. */
export type Attributes = Readonly<Record<string, Value>>;
/** Which items: `state` is one, the others are many. */
export type Shelf = "state" | "log" | "snapshot" | "sessions";

export interface Item {
  readonly key: string;
  readonly attributes: Attributes;
}

/** What must be true of the item that a write replaces, all of it. */
export interface Condition {
  /** It is there, or it is not. */
  readonly exists?: boolean;
  /** An attribute has this value. */
  readonly equals?: readonly [name: string, value: Value];
  /** There is no such attribute. */
  readonly without?: string;
}

type Wire = { readonly S: string } | { readonly N: string } | { readonly B: string };

// The keys' names, which no other program's table has by chance.
const SHELF = "holdline";
const KEY = "item";

export class Table {
  readonly #client: DynamoClient;
  readonly #prefix: string;
  readonly name: string;

  constructor(client: DynamoClient, name: string, prefix: string) {
    this.#client = client;
    this.name = name;
    this.#prefix = prefix;
  }

  async get(shelf: Shelf, key: string): Promise<Attributes | null> {
    const { Item: item } = await this.#client.call("GetItem", {
      TableName: this.name,
      Key: this.#keyOf(shelf, key),
      ConsistentRead: true,
    });
    return item === undefined ? null : itemOf(item as Record<string, Wire>).attributes;
  }

  /** Items of a shelf by their keys, from `from` to `to`, at most so many. `isCut`: there may be more of them. */
  async query(
    shelf: Shelf,
    from: string,
    to: string,
    limit?: number,
  ): Promise<{ readonly items: readonly Item[]; readonly isCut: boolean }> {
    const answer = await this.#client.call("Query", {
      TableName: this.name,
      ConsistentRead: true,
      KeyConditionExpression: "#s = :s AND #k BETWEEN :from AND :to",
      ExpressionAttributeNames: { "#s": SHELF, "#k": KEY },
      ExpressionAttributeValues: { ":s": toWire(this.#shelf(shelf)), ":from": toWire(from), ":to": toWire(to) },
      ...(limit === undefined ? {} : { Limit: limit }),
    });
    const items = (answer["Items"] as readonly Record<string, Wire>[]).map(itemOf);
    return { items, isCut: answer["LastEvaluatedKey"] !== undefined };
  }

  /** All items of a shelf by their keys, from `from` to `to`. */
  async queryAll(shelf: Shelf, from: string, to: string): Promise<readonly Item[]> {
    const all: Item[] = [];
    for (let next = from; ;) {
      const { items, isCut } = await this.query(shelf, next, to);
      all.push(...items.filter(({ key }) => all.length === 0 || key !== all.at(-1)?.key));
      const last = items.at(-1);
      if (!isCut || last === undefined) return all;
      next = last.key;
    }
  }

  /** @returns whether it was written: the condition holds */
  async put(shelf: Shelf, key: string, attributes: Attributes, condition?: Condition): Promise<boolean> {
    const named = Object.entries(attributes).map(([name, value]) => [name, toWire(value)] as const);
    const parameters = {
      TableName: this.name,
      Item: { ...this.#keyOf(shelf, key), ...Object.fromEntries(named) },
      ...(condition === undefined ? {} : expressionOf(condition)),
    };
    return this.#ifItHolds("PutItem", parameters);
  }

  async delete(shelf: Shelf, key: string): Promise<void> {
    await this.#client.call("DeleteItem", { TableName: this.name, Key: this.#keyOf(shelf, key) });
  }

  /** Makes the table, and waits until it can be used. Somebody else may be doing the same. */
  async create(): Promise<void> {
    try {
      await this.#client.call("CreateTable", {
        TableName: this.name,
        AttributeDefinitions: [SHELF, KEY].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
        KeySchema: [
          { AttributeName: SHELF, KeyType: "HASH" },
          { AttributeName: KEY, KeyType: "RANGE" },
        ],
        BillingMode: "PAY_PER_REQUEST",
      });
    } catch (error) {
      if (!(error instanceof DynamoError) || error.type !== "ResourceInUseException") throw this.#orHowToMakeIt(error);
    }
    while ((await this.describe())["TableStatus"] !== "ACTIVE") await pause(LOOK_EVERY_MS);
  }

  async describe(): Promise<Readonly<Record<string, unknown>>> {
    const { Table: table } = await this.#client.call("DescribeTable", { TableName: this.name });
    return table as Readonly<Record<string, unknown>>;
  }

  #orHowToMakeIt(error: unknown): unknown {
    if (!(error instanceof DynamoError) || error.code !== "not-allowed") return error;
    const hint = [
      `have somebody make it: aws dynamodb create-table --table-name ${this.name} --billing-mode PAY_PER_REQUEST`,
      `--attribute-definitions AttributeName=${SHELF},AttributeType=S AttributeName=${KEY},AttributeType=S`,
      `--key-schema AttributeName=${SHELF},KeyType=HASH AttributeName=${KEY},KeyType=RANGE`,
    ];
    const message = `there is no DynamoDB table ${this.name}, and this user may not make it`;
    return new DynamoError(error.type, error.code, message, { hint: hint.join(" ") });
  }

  async #ifItHolds(action: string, parameters: object): Promise<boolean> {
    try {
      await this.#client.call(action, parameters);
      return true;
    } catch (error) {
      if (error instanceof DynamoError && error.type === "ConditionalCheckFailedException") return false;
      throw error;
    }
  }

  #keyOf(shelf: Shelf, key: string): object {
    return { [SHELF]: toWire(this.#shelf(shelf)), [KEY]: toWire(key) };
  }

  #shelf(shelf: Shelf): string {
    return `${this.#prefix}/${shelf}`;
  }
}

// A table takes seconds to be made.
const LOOK_EVERY_MS = 100;

function expressionOf({ exists, equals, without }: Condition): object {
  const names: Record<string, string> = {};
  const parts: string[] = [];
  if (exists !== undefined) {
    names["#k"] = KEY;
    parts.push(exists ? "attribute_exists(#k)" : "attribute_not_exists(#k)");
  }
  if (equals !== undefined) {
    names["#n"] = equals[0];
    parts.push("#n = :v");
  }
  if (without !== undefined) {
    names["#w"] = without;
    parts.push("attribute_not_exists(#w)");
  }
  return {
    ConditionExpression: parts.join(" AND "),
    ExpressionAttributeNames: names,
    ...(equals === undefined ? {} : { ExpressionAttributeValues: { ":v": toWire(equals[1]) } }),
  };
}

function itemOf(wire: Readonly<Record<string, Wire>>): Item {
  const attributes = Object.entries(wire).map(([name, value]) => [name, fromWire(value)] as const);
  return { key: fromWire(wire[KEY] as Wire) as string, attributes: Object.fromEntries(attributes) };
}

function toWire(value: Value): Wire {
  if (typeof value === "string") return { S: value };
  return typeof value === "number" ? { N: String(value) } : { B: value.toString("base64") };
}

function fromWire(value: Wire): Value {
  if ("S" in value) return value.S;
  return "N" in value ? Number(value.N) : Buffer.from(value.B, "base64");
}
