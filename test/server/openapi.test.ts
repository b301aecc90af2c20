// The OpenAPI document that the server gives: valid, complete, and true of what is answered.
import { Validator } from "@seriousme/openapi-schema-validator";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { startServer } from "./serving.js";

failOnLeaks();

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

test("the OpenAPI document is valid, names every route, and describes it", async () => {
  const { ask } = await startServer(await openFleet("sqlite"));
  const document = (await ask("GET", "/v1/openapi.json")).json as Document;
  const { valid, errors } = await new Validator().validate(document as unknown as object);
  expect(valid, JSON.stringify(errors)).toBe(true);
  const described = Object.entries(document.paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`));
  expect(described).toEqual(expect.arrayContaining(routesInSource()));
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  for (const operation of operations) expect(operation, JSON.stringify(operation)).toMatchObject({ summary: /./, tags: [/./] });
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids).not.toContain(undefined);
  expect(new Set(ids).size).toBe(ids.length);
});
